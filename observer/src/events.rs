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
use crate::store::{Action, Listed, Reader};
use crate::time::Timestamp;

/// How often it is looked for something new.
const LOOK: Duration = Duration::from_millis(250);

/// Does what the command line says.
///
/// # Errors
///
/// When there is no database, it cannot be read or written, or standard output cannot be written.
pub fn run(options: &Events) -> Result<()> {
    match &options.action {
        None => show(options, &mut io::stdout().lock()),
        Some(EventsAction::Replay(which)) => ask(Action::Replay, which),
        Some(EventsAction::Drop(which)) => ask(Action::Drop, which),
    }
}

fn open(directory: &Path) -> Result<Reader> {
    Reader::open(directory)
}

fn ask(action: Action, which: &EventIds) -> Result<()> {
    let reader = open(&which.store.state_dir)?;
    let (over, done) = match action {
        Action::Replay => ("over", "will be made again"),
        Action::Drop => ("failed or waiting", "will be forgotten"),
    };
    let when = if reader.is_held() { "within a second" } else { "when the daemon starts: none is running" };
    let mut unknown = Vec::new();
    for &id in &which.ids {
        match reader.ask(action, id)? {
            0 => unknown.push(id.to_string()),
            1 => println!("event {id}: 1 call {done} {when}"),
            count => println!("event {id}: {count} calls {done} {when}"),
        }
    }
    if !unknown.is_empty() {
        bail!("no calls that are {over}: event {}", unknown.join(", event "));
    }
    Ok(())
}

/// Shows the calls, and goes on with `--follow` until nobody reads any more.
fn show(options: &Events, out: &mut impl Write) -> Result<()> {
    let reader = open(&options.store.state_dir)?;
    let mut shown = 0;
    let mut titled = options.json;
    loop {
        let version = reader.data_version()?;
        let calls = reader.calls(shown, options.failed)?;
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
