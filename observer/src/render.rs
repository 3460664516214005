//! What people and programs read: invocations as JSON lines, totals as text.

use std::ffi::CStr;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::dialect::invocation::{Invocation, Strings};
use crate::drive::Driver;

/// An invocation as one JSON object: `{"at": …, "argv": […], "env": {…}}`. Octets that are no UTF-8 become U+FFFD, since
/// JSON has no way to say them.
pub fn invocation_json(invocation: &Invocation) -> String {
    let text = |bytes: &[u8]| Value::String(String::from_utf8_lossy(bytes).into_owned());
    let arguments = |strings: &Strings| strings.iter().map(CStr::to_bytes).map(text).collect::<Vec<_>>();
    let environment: Map<String, Value> = invocation
        .variables()
        .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), text(value)))
        .collect();
    json!({
        "at": invocation.at.as_seconds_f64(),
        "argv": arguments(&invocation.arguments),
        "env": environment,
    })
    .to_string()
}

/// What became of the frames and messages, in two lines.
pub fn totals(driver: &Driver) -> String {
    let totals = driver.totals();
    let skipped: Vec<_> = driver.skipped().collect();
    let mut text = format!(
        "totals: frames={} handled={} skipped={}",
        totals.frames,
        totals.handled,
        skipped.iter().map(|(_, count)| count).sum::<u64>()
    );
    if !skipped.is_empty() {
        let reasons: Vec<_> = skipped.iter().map(|(reason, count)| format!("{reason}={count}")).collect();
        // Writing to a string cannot fail.
        let _ = write!(text, " ({})", reasons.join(", "));
    }
    let counters = driver.counters();
    let _ = write!(text, "\ntracker:");
    for (name, count) in [
        ("messages4", counters.messages4),
        ("messages6", counters.messages6),
        ("events", counters.events),
        ("leases4", counters.leases4),
        ("leases6", counters.leases6),
    ] {
        let _ = write!(text, " {name}={count}");
    }
    for (name, count) in [
        ("malformed", counters.malformed),
        ("foreign_answers", counters.foreign_answers),
        ("foreign_queries", counters.foreign_queries),
        ("inferred_answers", counters.inferred_answers),
        ("unmatched_answers", counters.unmatched_answers),
        ("other_messages", counters.other_messages),
        ("exchanges_evicted", counters.exchanges_evicted),
        ("leases_over_limit", counters.leases_over_limit),
        ("stamps_run_back", totals.stamps_run_back),
    ] {
        if count > 0 {
            let _ = write!(text, " {name}={count}");
        }
    }
    text
}
