//! What people and programs read: invocations as JSON lines, totals as text.

use std::fmt::Write as _;

use crate::capture::counters as capture;
use crate::dialect::Loss;
use crate::dialect::invocation::Invocation;
use crate::dialect::json;
use crate::drive::Driver;
use crate::seed::SkippedLine;
use crate::{dialect, hook, store};

/// An invocation as one JSON object: `{"at": …, "argv": […], "env": {…}}`, with `"hook"` in front where the hook has a name.
/// Octets that are no UTF-8 become U+FFFD, since JSON has no way to say them.
pub fn invocation_json(hook: Option<&str>, invocation: &Invocation) -> String {
    let mut line = Vec::with_capacity(4_096);
    json::write_invocation(&mut line, invocation);
    // It is ASCII and what was UTF-8 before.
    let mut line = String::from_utf8(line).unwrap_or_default();
    if let Some(hook) = hook {
        line.replace_range(..1, &format!("{{\"hook\":{},", serde_json::Value::from(hook)));
    }
    line
}

/// How many skipped lines are named before the rest is only counted.
const NAMED_LINES: usize = 100;

/// The lines of lease files that were skipped, and why; of very many the first hundred and how many more there are.
pub fn skipped_lines(skipped: &[SkippedLine]) -> impl Iterator<Item = String> {
    let more = skipped.len().saturating_sub(NAMED_LINES);
    let rest = (more > 0).then(|| format!("{more} more lines of lease files were skipped"));
    skipped.iter().take(NAMED_LINES).map(|line| format!("skipped {line}")).chain(rest)
}

/// What became of the frames: those handled and those skipped, by reason, are all that were read.
pub fn frame_totals(driver: &Driver) -> String {
    let totals = driver.totals();
    let skipped: Vec<_> = driver.skipped().collect();
    let mut text = format!(
        "frames={} handled={} skipped={}",
        totals.frames,
        totals.handled,
        skipped.iter().map(|(_, count)| count).sum::<u64>()
    );
    if !skipped.is_empty() {
        let reasons: Vec<_> = skipped.iter().map(|(reason, count)| format!("{reason}={count}")).collect();
        // Writing to a string cannot fail.
        let _ = write!(text, " ({})", reasons.join(", "));
    }
    text
}

/// What became of the frames and messages, in two lines. `over_limit` is what filters and dialects had no room for.
pub fn totals(driver: &Driver, over_limit: &[(&str, u64)]) -> String {
    let tracker = named("tracker", 5, &[&driver.counts(), over_limit].concat());
    format!("totals: {}\n{tracker}", frame_totals(driver))
}

fn named(title: &str, always: usize, counts: &[(&str, u64)]) -> String {
    let shown = counts.iter().enumerate().filter(|(place, (_, count))| *place < always || *count > 0);
    let words: Vec<_> = shown.map(|(_, (name, count))| format!("{name}={count}")).collect();
    format!("{title}: {}", words.join(" "))
}

/// What the eBPF programs counted, in one line.
pub fn kernel_totals(counters: &capture::Counters) -> String {
    let mut counts = vec![("seen", counters.seen), ("taken", counters.taken()), ("lost", counters.lost)];
    counts.extend(counters.named().into_iter().filter(|(name, _)| !matches!(*name, "seen" | "lost")));
    named("kernel", 3, &counts)
}

/// What became of hooks, in one line.
pub fn hook_totals(counters: &hook::Counters) -> String {
    named("hooks", 2, &counters.named().collect::<Vec<_>>())
}

/// What the store did, in one line.
pub fn store_totals(counters: &store::Counters) -> String {
    let kept = [("outbox", counters.open), ("dead", counters.dead)];
    named("store", 3, &kept.into_iter().chain(counters.named()).collect::<Vec<_>>())
}

/// Who was not answered and which lines of the log were left out, in one line; in none, where all is zero.
pub fn unserved(counts: impl Iterator<Item = (&'static str, u64)>) -> String {
    let counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
    if counts.is_empty() { String::new() } else { named("observer", 0, &counts) + "\n" }
}

/// What hooks were not told of, a line for each that missed something.
pub fn losses(losses: &[(&str, Vec<Loss>)]) -> String {
    let line = |(hook, losses): &(&str, Vec<Loss>)| {
        let counts: Vec<_> = losses.iter().map(|loss| (loss.name, loss.count)).collect();
        named(&format!("left out for hook {hook:?}"), 0, &counts) + "\n"
    };
    losses.iter().map(line).collect()
}

/// The table of variables for the README, in Markdown.
pub fn variables_markdown() -> String {
    let mut text = String::from("| variable | hook points | known how | what it says |\n|---|---|---|---|\n");
    for row in dialect::reference::reference() {
        let presence = if row.optional { "; left out when there is none" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {}{presence} |",
            row.name,
            row.hook_points,
            row.source.name(),
            row.meaning
        );
    }
    text
}
