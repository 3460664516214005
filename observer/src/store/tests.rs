//! The store on real files.

mod damage;
mod full_disk;
mod generate;
mod kill;
mod model;
mod outbox;
mod place;
mod requests;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::dialect::Memory;
use crate::dialect::invocation::{Invocation, Strings};
use crate::hook::Tried;
use crate::time::Timestamp;
use crate::tracker::{Lease4, Lease6, LeaseChange, Subject};

/// A state directory of a test's own, gone when the test is.
struct Scratch(PathBuf);

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Scratch {
    fn new() -> Self {
        let name = format!("observer-store-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn database(&self) -> PathBuf {
        self.0.join("observer.db")
    }

    /// What there is in it, by name.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const NOW: Timestamp = Timestamp::from_seconds(1_795_294_986);

fn options(directory: &Path) -> Options {
    Options { directory: directory.to_path_buf(), durability: Durability::Process, limits: Limits::default() }
}

/// Opens a store whose last user may still be closing it.
fn open_with(options: &Options) -> Archive {
    loop {
        match Archive::open(options.clone(), NOW) {
            Err(OpenError::Taken { .. }) => std::thread::yield_now(),
            outcome => return outcome.unwrap(),
        }
    }
}

fn open(directory: &Path) -> Archive {
    open_with(&options(directory))
}

fn start(archive: Archive) -> Store {
    archive.start(Clock::new()).unwrap()
}

/// The next report; fails when there is none for very long.
fn report(store: &mut Store) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(120), store.report()).await })
        .expect("no report in two minutes")
}

/// Waits until a change is stored. Gives the other reports that came before, and whether it is durable.
fn wait(store: &mut Store, ticket: Ticket) -> (Vec<Report>, bool) {
    let mut others = Vec::new();
    loop {
        match report(store) {
            Report::Stored { up_to, durable } if up_to >= ticket => return (others, durable),
            Report::Stored { .. } => {}
            other => others.push(other),
        }
    }
}

/// Stores a change, for certain.
fn put(store: &mut Store, change: Change) {
    let ticket = store.append(change).unwrap();
    assert_eq!(wait(store, ticket), (vec![], true));
}

fn leases(archive: &mut Archive) -> (Vec<Lease4>, Vec<Lease6>) {
    let leases4 = archive.leases4(|leases| leases.collect());
    (leases4, archive.leases6(|leases| leases.collect()))
}

fn memories(archive: &mut Archive) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let mut found: Vec<_> = archive.memories(|memories| memories.collect());
    found.sort();
    found
}

fn memory(hook: &str, key: &[u8], value: Option<&[u8]>) -> HookMemory {
    let memory = Memory { key: key.to_vec(), value: value.map(<[u8]>::to_vec) };
    HookMemory { hook: hook.into(), memory }
}

fn invocation(event: u64) -> Arc<Invocation> {
    let strings = |list: &[&[u8]]| {
        let mut strings = Strings::default();
        list.iter().for_each(|string| strings.push(string));
        strings
    };
    let number = format!("NUMBER={event}");
    Arc::new(Invocation {
        at: NOW,
        arguments: strings(&[b"leases4_committed", b""]),
        environment: strings(&[number.as_bytes(), b"NAME=a\nb\xff", b"EMPTY="]),
    })
}

fn call(event: u64, position: u16) -> StoredCall {
    StoredCall {
        id: CallId { event, position },
        hook: "log".into(),
        at: NOW,
        word: "leases4_committed".into(),
        changes: true,
        subjects: vec![Subject::Lease4([192, 0, 2, 1].into())],
        invocation: invocation(event),
        tried: Tried::default(),
    }
}

fn event(id: u64) -> EventRecord {
    EventRecord {
        id,
        at: NOW,
        event: "commit",
        hook_point: "leases4_committed",
        subjects: vec![Subject::Lease4([192, 0, 2, 1].into())],
    }
}

/// An event with one call.
fn change(id: u64) -> Change {
    Change { events: vec![event(id)], calls: vec![call(id, 0)], latest: Some(NOW), ..Change::default() }
}

fn outcome(attempt: u32, then: Then) -> Outcome {
    Outcome { attempt, at: NOW, result: "exit 1".to_owned(), then }
}

/// The names of calls and how many attempts may have been begun.
fn calls(archive: &mut Archive) -> Vec<(u64, u16, u32)> {
    let calls = &archive.restored().calls;
    calls.iter().map(|stored| (stored.id.event, stored.id.position, stored.tried.attempts)).collect()
}

/// What sqlite3 would say: the first column of the first row.
fn sql<T: rusqlite::types::FromSql>(scratch: &Scratch, sql: &str) -> T {
    let connection = rusqlite::Connection::open(scratch.database()).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Whether the test is to be left, because it needs root; with a reason on the real stderr, and a failure in CI.
fn lacks_root() -> bool {
    use std::io::Write;
    let lacks = !nix::unistd::geteuid().is_root();
    assert!(!lacks || std::env::var_os("CI").is_none(), "CI must be able to run this test: needs root");
    if lacks {
        let thread = std::thread::current();
        let _ = writeln!(io::stderr(), "SKIPPED {}: needs root", thread.name().unwrap_or("test"));
    }
    lacks
}
