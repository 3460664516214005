//! `dhcp-observer events` on a database that the store has made, while it is held and while it is not.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dhcp_observer::clock::Clock;
use dhcp_observer::dialect::invocation::{Invocation, Strings};
use dhcp_observer::hook::Tried;
use dhcp_observer::store::{
    Archive, CallId, Change, Durability, EventRecord, Limits, Options, Outcome, Report, Store, StoredCall,
    Then,
};
use dhcp_observer::time::Timestamp;
use dhcp_observer::tracker::Subject;

const NOW: Timestamp = Timestamp::from_seconds(1_795_294_986);

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("observer-events-{}-{name}", std::process::id())))
    }

    fn open(&self) -> Archive {
        let (directory, limits) = (self.0.clone(), Limits::default());
        Archive::open(Options { directory, durability: Durability::Process, limits }, NOW).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn report(store: &mut Store) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(120), store.report()).await })
        .expect("no report in two minutes")
}

fn put(store: &mut Store, change: Change) {
    let ticket = store.append(change).unwrap();
    assert_eq!(report(store), Report::Stored { up_to: ticket, durable: true });
}

fn change(id: u64) -> Change {
    let subjects = vec![Subject::Lease4([192, 0, 2, 1].into())];
    let (mut arguments, mut environment) = (Strings::default(), Strings::default());
    arguments.push(b"lease4_renew");
    environment.push(b"LEASE4_HOSTNAME=h\xf6st \"x\"");
    Change {
        events: vec![EventRecord {
            id,
            at: NOW,
            event: "renew",
            hook_point: "lease4_renew",
            subjects: subjects.clone(),
        }],
        calls: vec![StoredCall {
            id: CallId { event: id, position: 0 },
            hook: "dns\u{1b}[2J".into(),
            at: NOW,
            word: "lease4_renew".into(),
            changes: false,
            subjects,
            invocation: Arc::new(Invocation { at: NOW, arguments, environment }),
            tried: Tried::default(),
        }],
        ..Change::default()
    }
}

/// Event 7 is done, 8 failed for good, 9 waits.
fn three(scratch: &Scratch) -> Store {
    let mut store = scratch.open().start(Clock::new()).unwrap();
    for id in 7..=9 {
        put(&mut store, change(id));
    }
    let outcome = |attempt, result: &str, then| Outcome { attempt, at: NOW, result: result.to_owned(), then };
    store.ended(CallId { event: 7, position: 0 }, outcome(1, "exit 0", Then::Done));
    store.ended(CallId { event: 8, position: 0 }, outcome(3, "signal 9", Then::Dead));
    put(&mut store, Change::default());
    store
}

fn command(arguments: &[&str], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dhcp-observer"));
    command.arg("events").args(arguments).arg("--state-dir").arg(directory);
    command
}

fn run(arguments: &[&str], scratch: &Scratch) -> Output {
    command(arguments, &scratch.0).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Of each line after the title: the number, the state, the attempts.
fn rows(table: &str) -> Vec<(String, String, String)> {
    let row = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        (words[0].to_owned(), words[5].to_owned(), words[6].to_owned())
    };
    table.lines().skip(1).map(row).collect()
}

fn row(number: &str, state: &str, attempts: &str) -> (String, String, String) {
    (number.to_owned(), state.to_owned(), attempts.to_owned())
}

#[test]
fn events_are_shown_as_a_table_and_as_json() {
    let scratch = Scratch::new("shown");
    let store = three(&scratch);
    let table = said(&run(&[], &scratch));
    assert_eq!(rows(&table), [row("7", "done", "1"), row("8", "dead", "3"), row("9", "waiting", "0")]);
    assert!(table.lines().next().unwrap().starts_with("EVENT "), "{table}");
    assert!(table.contains("signal 9") && table.contains("lease4 192.0.2.1"), "{table}");
    assert!(!table.contains('\u{1b}'), "a terminal would obey it: {table:?}");
    assert_eq!(rows(&said(&run(&["--failed"], &scratch))), [row("8", "dead", "3")]);
    let json = said(&run(&["--failed", "--json"], &scratch));
    let call: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&call["id"], &call["state"], &call["result"]),
        (&8.into(), &"dead".into(), &"signal 9".into())
    );
    assert_eq!(call["argv"], serde_json::json!(["lease4_renew"]));
    assert_eq!(call["env"]["LEASE4_HOSTNAME"], "h\u{fffd}st \"x\"");
    assert_eq!((&call["event"], &call["hook_point"]), (&"renew".into(), &"lease4_renew".into()));
    store.close();
}

#[test]
fn follow_shows_what_happens() {
    let scratch = Scratch::new("follow");
    let mut store = three(&scratch);
    let mut child = command(&["--follow"], &scratch.0).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    for beginning in ["EVENT ", "7 ", "8 ", "9 "] {
        let line = lines.next().unwrap();
        assert!(line.starts_with(beginning), "{line}");
    }
    put(&mut store, change(10));
    let line = lines.next().unwrap();
    assert!(line.starts_with("10 ") && line.contains(" waiting "), "{line}");
    let result = "exit 3".to_owned();
    let outcome = Outcome { attempt: 1, at: NOW, result, then: Then::Done };
    store.ended(CallId { event: 9, position: 0 }, outcome);
    put(&mut store, Change::default());
    let line = lines.next().unwrap();
    assert!(line.starts_with("9 ") && line.contains(" done ") && line.contains("exit 3"), "{line}");
    // Another database takes the place of a damaged one.
    let other = rusqlite::Connection::open(scratch.0.join("observer.db")).unwrap();
    other.execute_batch("DROP TABLE outbox").unwrap();
    drop(other);
    store.append(change(11)).unwrap();
    assert!(matches!(report(&mut store), Report::MovedAside(_)));
    let line = lines.next().unwrap();
    assert!(line.starts_with("11 ") && line.contains(" waiting "), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
    store.close();
}

#[test]
fn events_are_replayed_and_dropped() {
    let scratch = Scratch::new("asked");
    let mut store = three(&scratch);
    let text = said(&run(&["replay", "8"], &scratch));
    assert_eq!(text, "event 8: 1 call will be made again within a second\n");
    let Report::Replay(calls) = report(&mut store) else { panic!("no replay") };
    assert_eq!((calls.len(), calls[0].id.event, calls[0].tried.attempts), (1, 8, 3));
    // One of several that does not exist, or runs, does not keep the others from being done.
    store.started(CallId { event: 8, position: 0 }, 4);
    put(&mut store, Change::default());
    let mut drop = command(&["drop", "77", "9", "8"], &scratch.0);
    let drop = drop.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let nine = CallId { event: 9, position: 0 };
    assert_eq!(report(&mut store), Report::Unwanted(vec![nine]));
    store.withdraw(nine);
    put(&mut store, Change::default());
    let output = drop.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "event 9: 1 call forgotten\n");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains(
            "no calls that failed or wait: event 77; event 8: the call runs already and is let end"
        ),
        "{error}"
    );
    store.close();
    let text = said(&run(&["replay", "7"], &scratch));
    assert_eq!(text, "event 7: 1 call will be made again when the daemon starts: none is running\n");
    let mut archive = scratch.open();
    let calls: Vec<u64> = archive.restored().calls.iter().map(|stored| stored.id.event).collect();
    assert_eq!(calls, [7, 8]);
}

#[test]
fn errors_name_the_file_and_the_flag() {
    let scratch = Scratch::new("missing");
    for arguments in [&[][..], &["replay", "1"], &["drop", "1"]] {
        let output = run(arguments, &scratch);
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains("observer.db: no such database") && error.contains("--state-dir"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    for arguments in [&["replay"][..], &["drop", "x"], &["replay", "-1"]] {
        assert_eq!(run(arguments, &scratch).status.code(), Some(2), "{arguments:?}");
    }
}
