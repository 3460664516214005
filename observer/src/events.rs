//! `dhcp-observer events`: the calls that the store knows, shown to people and programs.

use std::ffi::CStr;
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::cli::{EventIds, Events, EventsAction};
use crate::dialect::invocation::{Invocation, Strings};
use crate::store::{self, Action, Listed, Reader};
use crate::time::Timestamp;

/// How often it is looked for something new.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is looked for what the daemon made of what it was asked: for ten seconds.
const ANSWER_LOOKS: u32 = 40;

/// When something is done where no daemon runs.
const NEXT_START: &str = "when the daemon starts: none is running";
/// What becomes of a call whose process is there.
const LET_END: &str = "runs already and is let end";
/// States of a call.
const RUNNING: &str = "running";
const DONE: &str = "done";

/// Does what the command line says.
///
/// # Errors
///
/// When there is no database, it cannot be read or written, or standard output cannot be written.
pub fn run(options: &Events) -> Result<()> {
    let state = match &options.action {
        None => &options.store,
        Some(EventsAction::Replay(which) | EventsAction::Drop(which)) => &which.store,
    };
    // Where there is nothing, who opens it says so.
    if state.state_dir.exists() {
        let name = || format!("cannot become the owner of {}", state.state_dir.display());
        store::become_owner(&state.state_dir).with_context(name)?;
    }
    match &options.action {
        None => show(options, &mut io::stdout().lock()),
        Some(EventsAction::Replay(which)) => replay(which),
        Some(EventsAction::Drop(which)) => forget(which),
    }
}

fn open(directory: &Path) -> Result<Reader> {
    Reader::open(directory)
}

/// Whether another database has taken the place of this one, or does so soon.
fn wait_for_successor(reader: &Reader) -> bool {
    (0..ANSWER_LOOKS).any(|_| {
        let is_replaced = reader.is_replaced();
        if !is_replaced {
            thread::sleep(LOOK);
        }
        is_replaced
    })
}

/// The same for one that was begun a moment ago, and may have no tables yet.
fn open_new(directory: &Path) -> Result<Reader> {
    for _ in 0..ANSWER_LOOKS {
        if let Ok(reader) = open(directory) {
            return Ok(reader);
        }
        thread::sleep(LOOK);
    }
    open(directory)
}

fn replay(which: &EventIds) -> Result<()> {
    let reader = open(&which.store.state_dir)?;
    let when = if reader.is_held() { "within a second" } else { NEXT_START };
    let mut unknown = Vec::new();
    for &id in &which.ids {
        match reader.ask(Action::Replay, id)? {
            0 => unknown.push(id),
            count => println!("event {id}: {} will be made again {when}", calls(count)),
        }
    }
    if !unknown.is_empty() {
        bail!("no calls that are over: {}", named(&unknown));
    }
    Ok(())
}

/// Asks for all events first, and then waits for what the daemon says: only it knows what runs.
fn forget(which: &EventIds) -> Result<()> {
    let reader = open(&which.store.state_dir)?;
    let (mut asked, mut unknown, mut running) = (Vec::new(), Vec::new(), Vec::new());
    for &id in &which.ids {
        let before = reader.states(id)?;
        match reader.ask(Action::Drop, id)? {
            0 if before.values().any(|state| state == RUNNING) => running.push(id),
            0 => unknown.push(id),
            count => asked.push((id, count, before)),
        }
    }
    for (id, count, before) in asked {
        if !reader.is_held() {
            println!("event {id}: {} will be forgotten {NEXT_START}", calls(count));
            continue;
        }
        let is_open = |state: &String| state != RUNNING && state != DONE;
        for _ in 0..ANSWER_LOOKS {
            if !reader.is_unheard(id)? && !reader.states(id)?.values().any(is_open) {
                break;
            }
            thread::sleep(LOOK);
        }
        if reader.is_unheard(id)? {
            println!("event {id}: {} will be forgotten when the daemon gets to it", calls(count));
            continue;
        }
        let after = reader.states(id)?;
        let forgotten = before.keys().filter(|call| !after.contains_key(call)).count();
        let not_done = after.values().filter(|state| *state != DONE).count();
        let kept = if not_done == 0 { String::new() } else { format!("; {not_done} {LET_END}") };
        println!("event {id}: {} forgotten{kept}", calls(forgotten));
    }
    let unknown = (!unknown.is_empty()).then(|| format!("no calls that failed or wait: {}", named(&unknown)));
    let running = (!running.is_empty()).then(|| format!("{}: the call {LET_END}", named(&running)));
    match (unknown, running) {
        (None, None) => Ok(()),
        (unknown, running) => bail!("{}", unknown.into_iter().chain(running).collect::<Vec<_>>().join("; ")),
    }
}

fn calls(count: usize) -> String {
    if count == 1 { "1 call".to_owned() } else { format!("{count} calls") }
}

fn named(events: &[u64]) -> String {
    events.iter().map(|id| format!("event {id}")).collect::<Vec<_>>().join(", ")
}

/// Shows the calls, and goes on with `--follow` until nobody reads any more.
fn show(options: &Events, out: &mut impl Write) -> Result<()> {
    let mut reader = open(&options.store.state_dir)?;
    let mut shown = 0;
    let mut titled = options.json;
    loop {
        let read =
            reader.data_version().and_then(|version| Ok((version, reader.calls(shown, options.failed)?)));
        let (version, calls) = match read {
            Ok(read) => read,
            // It is damaged, and the daemon has not moved it aside yet.
            Err(error) if options.follow => {
                wait_for_successor(&reader).then_some(()).ok_or(error)?;
                (reader, shown) = (open_new(&options.store.state_dir)?, 0);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for call in &calls {
            if options.json {
                writeln!(out, "{}", json(&reader, call)?)?;
            } else {
                if !std::mem::replace(&mut titled, true) {
                    writeln!(out, "{}", row(&TITLES.map(str::to_owned)))?;
                }
                writeln!(out, "{}", row(&columns(call)))?;
            }
            shown = shown.max(call.change);
        }
        out.flush()?;
        if !options.follow {
            return Ok(());
        }
        while reader.data_version().context("the database cannot be read any more")? == version {
            thread::sleep(LOOK);
            if reader.is_replaced() {
                (reader, shown) = (open_new(&options.store.state_dir)?, 0);
                break;
            }
        }
    }
}

const TITLES: [&str; 8] = ["EVENT", "TIME (UTC)", "HOOK", "WORD", "STATE", "ATTEMPTS", "RESULT", "ABOUT"];
const WIDTHS: [usize; 7] = [8, 19, 12, 18, 8, 8, 20];

fn columns(call: &Listed) -> [String; 8] {
    [
        call.id.event.to_string(),
        call.time.clone(),
        call.hook.clone(),
        call.word.clone(),
        call.state.clone(),
        call.attempts.to_string(),
        call.result.clone().unwrap_or_else(|| "-".to_owned()),
        call.subjects.clone(),
    ]
}

/// One line. What holds control characters is shown with escapes: a terminal is not to be written to by others.
fn row(columns: &[String]) -> String {
    let mut line = String::new();
    for (position, text) in columns.iter().enumerate() {
        let clean: String = text
            .chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .collect();
        line.push_str(&clean);
        if let Some(width) = WIDTHS.get(position) {
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(clean.chars().count()) + 2));
        }
    }
    line
}

fn json(reader: &Reader, call: &Listed) -> Result<Value> {
    let text = |octets: &[u8]| Value::String(String::from_utf8_lossy(octets).into_owned());
    // It may have been forgotten since.
    let (arguments, environment) =
        reader.invocation(call.id).unwrap_or_else(|_| (Strings::default(), Strings::default()));
    let invocation = Invocation { at: call.at, arguments, environment };
    let variables: Map<String, Value> = invocation
        .variables()
        .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), text(value)))
        .collect();
    Ok(json!({
        "id": call.id.event,
        "position": call.id.position,
        "at": call.at.as_seconds_f64(),
        "event": call.event,
        "hook_point": call.hook_point,
        "hook": call.hook,
        "word": call.word,
        "subjects": call.subjects,
        "state": call.state,
        "attempts": call.attempts,
        "failures": call.failures,
        "result": call.result,
        "ended": call.ended.map(Timestamp::as_seconds_f64),
        "next_try": call.next_try.map(Timestamp::as_seconds_f64),
        "argv": invocation.arguments.iter().map(CStr::to_bytes).map(text).collect::<Vec<_>>(),
        "env": variables,
    }))
}
