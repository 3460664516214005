//! What another process sees and asks for.

use super::*;

fn states(reader: &Reader, failed: bool) -> Vec<(u64, String, u32)> {
    let calls = reader.calls(0, failed).unwrap();
    calls.into_iter().map(|call| (call.id.event, call.state, call.attempts)).collect()
}

/// A store with a call that is done, one that failed for good, one that waits and one that runs.
fn four(scratch: &Scratch) -> Store {
    let mut store = start(open(scratch.path()));
    let call = |event| CallId { event, position: 0 };
    for id in 1..=4 {
        put(&mut store, change(id));
    }
    store.ended(call(1), outcome(1, Then::Done));
    store.ended(call(2), outcome(3, Then::Dead));
    store.started(call(4), 1);
    put(&mut store, Change::default());
    store
}

#[test]
fn a_second_connection_sees_all_and_follows() {
    let scratch = Scratch::new();
    let mut store = four(&scratch);
    let reader = Reader::open(scratch.path()).unwrap();
    assert!(reader.is_held());
    let row = |event, state: &str, attempts| (event, state.to_owned(), attempts);
    assert_eq!(
        states(&reader, false),
        [row(1, "done", 1), row(2, "dead", 3), row(3, "waiting", 0), row(4, "running", 1)]
    );
    assert_eq!(states(&reader, true), [row(2, "dead", 3)]);
    let calls = reader.calls(0, true).unwrap();
    assert_eq!(calls[0].result.as_deref(), Some("exit 1"));
    assert_eq!(calls[0].subjects, "lease4 192.0.2.1");
    assert_eq!((calls[0].event.as_deref(), calls[0].time.as_str()), (Some("commit"), "2026-11-21 21:03:06"));
    let (arguments, environment) = reader.invocation(calls[0].id).unwrap();
    assert_eq!((&arguments, &environment), (&invocation(2).arguments, &invocation(2).environment));
    let seen = reader.calls(0, false).unwrap().iter().map(|call| call.change).max().unwrap();
    let version = reader.data_version().unwrap();
    assert_eq!(reader.calls(seen, false).unwrap(), []);
    store.ended(CallId { event: 3, position: 0 }, outcome(1, Then::Done));
    put(&mut store, Change::default());
    assert_ne!(reader.data_version().unwrap(), version);
    let new: Vec<u64> = reader.calls(seen, false).unwrap().iter().map(|call| call.id.event).collect();
    assert_eq!(new, [3]);
    store.close();
    assert!(!Reader::open(scratch.path()).unwrap().is_held());
}

#[test]
fn a_running_daemon_hears_what_is_asked() {
    let scratch = Scratch::new();
    let mut store = four(&scratch);
    let reader = Reader::open(scratch.path()).unwrap();
    assert_eq!(reader.ask(Action::Replay, 99).unwrap(), 0);
    assert_eq!(reader.ask(Action::Replay, 3).unwrap(), 0, "it waits already");
    assert_eq!(reader.ask(Action::Drop, 4).unwrap(), 0, "it runs");
    assert_eq!(reader.ask(Action::Replay, 1).unwrap(), 1);
    let again = |event, attempts| {
        Report::Replay(vec![StoredCall { tried: Tried { attempts, failures: 0 }, ..call(event, 0) }])
    };
    assert_eq!(report(&mut store), again(1, 1));
    assert_eq!(reader.ask(Action::Replay, 2).unwrap(), 1);
    assert_eq!(report(&mut store), again(2, 3));
    assert_eq!(reader.ask(Action::Drop, 3).unwrap(), 1);
    assert_eq!(report(&mut store), Report::Unwanted(vec![CallId { event: 3, position: 0 }]));
    assert!(!reader.is_unheard(3).unwrap());
    // It may fail before it hears that nobody wants it.
    store.ended(CallId { event: 3, position: 0 }, outcome(1, Then::Dead));
    store.withdraw(CallId { event: 3, position: 0 });
    put(&mut store, Change::default());
    assert!(reader.states(3).unwrap().is_empty());
    store.ended(CallId { event: 2, position: 0 }, outcome(4, Then::Dead));
    put(&mut store, Change::default());
    assert_eq!(reader.ask(Action::Drop, 2).unwrap(), 1);
    while !reader.calls(0, true).unwrap().is_empty() {
        std::thread::yield_now();
    }
    store.close();
    assert_eq!(calls(&mut open(scratch.path())), [(1, 0, 2), (4, 0, 1)]);
}

/// Only those who have the processes know which calls run: a stream has no word for it.
#[test]
fn a_call_that_nobody_wants_and_somebody_has_runs() {
    let scratch = Scratch::new();
    let mut store = start(open(scratch.path()));
    let calls = (0..2).map(|position| call(1, position)).collect();
    put(&mut store, Change { calls, ..change(1) });
    let reader = Reader::open(scratch.path()).unwrap();
    assert_eq!(reader.ask(Action::Drop, 1).unwrap(), 2);
    let id = |position| CallId { event: 1, position };
    assert_eq!(report(&mut store), Report::Unwanted(vec![id(0), id(1)]));
    store.keep(id(0));
    store.withdraw(id(1));
    put(&mut store, Change::default());
    assert_eq!(reader.states(1).unwrap(), [(id(0), "running".to_owned())].into());
    let attempts = "SELECT attempts FROM outbox WHERE call = 65536";
    assert_eq!(sql::<u32>(&scratch, attempts), 1, "after a crash the next one is the second");
    store.ended(id(0), outcome(1, Then::Done));
    put(&mut store, Change::default());
    assert_eq!(reader.states(1).unwrap(), [(id(0), "done".to_owned())].into());
}

/// A call that somebody wants again has all its retries again, also when a crash comes between.
#[test]
fn retries_begin_anew_with_a_replay() {
    let scratch = Scratch::new();
    let mut store = four(&scratch);
    let reader = Reader::open(scratch.path()).unwrap();
    assert_eq!(reader.ask(Action::Replay, 2).unwrap(), 1);
    let Report::Replay(again) = report(&mut store) else { panic!("no replay") };
    assert_eq!(again[0].tried, Tried { attempts: 3, failures: 0 });
    let id = CallId { event: 2, position: 0 };
    store.started(id, 4);
    store.ended(id, outcome(4, Then::Again { at: NOW, failures: 1 }));
    store.started(id, 5);
    put(&mut store, Change::default());
    store.close();
    let mut archive = open(scratch.path());
    let left = archive.restored().calls.iter().find(|stored| stored.id == id).unwrap();
    assert_eq!(left.tried, Tried { attempts: 5, failures: 1 }, "of the fifth it is not known");
}

#[test]
fn what_is_asked_while_nobody_is_there_waits_for_the_next_start() {
    let scratch = Scratch::new();
    four(&scratch).close();
    let reader = Reader::open(scratch.path()).unwrap();
    assert_eq!(reader.ask(Action::Replay, 2).unwrap(), 1);
    assert_eq!(reader.ask(Action::Drop, 3).unwrap(), 1);
    drop(reader);
    let mut archive = open(scratch.path());
    assert_eq!(calls(&mut archive), [(2, 0, 4), (4, 0, 1)]);
    assert_eq!(sql::<i64>(&scratch, "SELECT count(*) FROM requests"), 0);
}

#[test]
fn a_lock_of_somebody_at_sqlite3_is_waited_for_in_memory() {
    let scratch = Scratch::new();
    let mut store = four(&scratch);
    let other = rusqlite::Connection::open(scratch.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ticket = store.append(change(5)).unwrap();
    let (reports, durable) = wait(&mut store, ticket);
    assert!(matches!(&reports[..], [Report::Degraded { why }] if why.contains("locked")), "{reports:?}");
    assert!(!durable);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(report(&mut store), Report::Recovered);
    store.close();
    assert_eq!(calls(&mut open(scratch.path())).len(), 3);
}

#[test]
fn there_must_be_a_database() {
    let scratch = Scratch::new();
    let error = Reader::open(scratch.path()).unwrap_err().to_string();
    assert!(error.contains("observer.db: no such database") && error.contains("--state-dir"), "{error}");
}
