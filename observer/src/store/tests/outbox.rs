//! What becomes of calls.

use super::*;

fn small(scratch: &Scratch, calls: usize, history: usize) -> Options {
    let limits = Limits { calls, history, ..Limits::default() };
    Options { limits, ..options(scratch.path()) }
}

#[test]
fn what_was_not_over_is_there_again_with_more_attempts() {
    let scratch = Scratch::new();
    let mut store = start(open(scratch.path()));
    for id in 1..=6 {
        put(&mut store, change(id));
    }
    let call = |event| CallId { event, position: 0 };
    store.ended(call(1), outcome(1, Then::Done));
    store.started(call(2), 1);
    store.ended(call(3), outcome(1, Then::Again { at: NOW, failures: 1 }));
    store.ended(call(4), outcome(3, Then::Dead));
    store.ended(call(5), outcome(2, Then::Again { at: NOW, failures: 1 }));
    store.started(call(5), 3);
    // This life ends without a word.
    drop(store);
    let mut archive = open(scratch.path());
    // The third may have begun its second attempt, the sixth its first.
    assert_eq!(calls(&mut archive), [(2, 0, 1), (3, 0, 2), (5, 0, 3), (6, 0, 1)]);
    assert!(!archive.restored().clean);
    assert_eq!(archive.restored().next_event, 7);
    assert_eq!(archive.restored().latest, Some(NOW));
    // Nothing happens in the next life, but it could have.
    start(archive).close();
    let mut archive = open(scratch.path());
    assert_eq!(calls(&mut archive), [(2, 0, 2), (3, 0, 3), (5, 0, 4), (6, 0, 2)]);
    assert!(archive.restored().clean && !archive.restored().rebooted);
}

#[test]
fn how_often_a_call_has_failed_is_known_in_the_next_life() {
    let scratch = Scratch::new();
    let mut store = start(open(scratch.path()));
    for id in 1..=3 {
        put(&mut store, change(id));
    }
    let call = |event| CallId { event, position: 0 };
    let failed = |failures| Then::Again { at: NOW, failures };
    for attempt in 1..=2 {
        store.started(call(1), attempt);
        store.ended(call(1), outcome(attempt, failed(attempt)));
    }
    store.started(call(1), 3);
    store.started(call(2), 1);
    for attempt in 1..=2 {
        store.ended(call(3), outcome(attempt, failed(attempt)));
    }
    store.ended(call(3), outcome(3, Then::Dead));
    drop(store);
    let tried = |archive: &mut Archive| -> Vec<_> {
        archive.restored().calls.iter().map(|call| (call.id.event, call.tried)).collect()
    };
    let known = |attempts, failures| Tried { attempts, failures };
    assert_eq!(tried(&mut open(scratch.path())), [(1, known(3, 2)), (2, known(1, 0))]);
    // Whoever wants a dead letter again wants it with all its retries.
    assert_eq!(Reader::open(scratch.path()).unwrap().ask(Action::Replay, 3).unwrap(), 1);
    assert_eq!(tried(&mut open(scratch.path()))[2], (3, known(4, 0)));
}

#[test]
fn a_full_outbox_drops_old_dead_letters_and_then_refuses() {
    let scratch = Scratch::new();
    let mut store = start(open_with(&small(&scratch, 4, 100)));
    for id in 1..=4 {
        put(&mut store, change(id));
    }
    for event in [2, 1] {
        store.ended(CallId { event, position: 0 }, outcome(1, Then::Dead));
    }
    for id in 5..=7 {
        put(&mut store, change(id));
    }
    let counters = store.counters();
    assert_eq!((counters.dead_dropped, counters.calls_refused), (2, 1));
    assert_eq!((counters.open, counters.dead), (4, 0));
    // A call that was never stored can end like any other.
    store.ended(CallId { event: 7, position: 0 }, outcome(1, Then::Dead));
    store.ended(CallId { event: 5, position: 0 }, outcome(1, Then::Done));
    put(&mut store, change(8));
    store.close();
    let mut archive = open(scratch.path());
    assert_eq!(calls(&mut archive), [(3, 0, 1), (4, 0, 1), (6, 0, 1), (8, 0, 1)]);
}

#[test]
fn history_is_bounded_and_dead_letters_keep_their_events() {
    let scratch = Scratch::new();
    let mut store = start(open_with(&small(&scratch, 1_000, 20)));
    for id in 1..=200 {
        put(&mut store, change(id));
        let then = if id == 3 { Then::Dead } else { Then::Done };
        store.ended(CallId { event: id, position: 0 }, outcome(1, then));
    }
    store.close();
    for (what, least, most) in [
        ("SELECT count(*) FROM outbox WHERE state = 'done'", 20, 20),
        ("SELECT count(*) FROM outbox WHERE state = 'dead'", 1, 1),
        ("SELECT count(*) FROM invocations", 21, 21),
        ("SELECT count(*) FROM events", 21, 27),
        ("SELECT min(id) FROM events", 3, 3),
    ] {
        let found: i64 = sql(&scratch, what);
        assert!((least..=most).contains(&found), "{what}: {found}");
    }
    // The next life goes on where this one was.
    let mut store = start(open_with(&small(&scratch, 1_000, 20)));
    put(&mut store, change(201));
    store.ended(CallId { event: 201, position: 0 }, outcome(1, Then::Done));
    store.close();
    assert_eq!(sql::<i64>(&scratch, "SELECT min(event) FROM outbox WHERE state = 'done'"), 182);
}

#[test]
fn a_queue_that_is_full_gives_changes_back() {
    let scratch = Scratch::new();
    let limits = Limits { queued: 3, ..Limits::default() };
    let mut store = start(open_with(&Options { limits, ..options(scratch.path()) }));
    // Reports are not taken, so all of them count as waiting.
    let tickets: Vec<_> = (1..=3).map(|id| store.append(change(id)).unwrap()).collect();
    assert!(!store.has_room());
    assert_eq!(store.append(change(4)).unwrap_err().calls, [call(4, 0)]);
    assert_eq!(store.refused(), 1);
    wait(&mut store, tickets[2]);
    put(&mut store, change(4));
    store.close();
    assert_eq!(calls(&mut open(scratch.path())).len(), 4);
}

#[test]
fn gaps_are_kept() {
    let scratch = Scratch::new();
    let mut store = start(open(scratch.path()));
    let until = |second| NOW + Duration::from_secs(second);
    let gaps = (1..=120).map(|second| Gap { from: NOW, until: until(second), why: "ring full".to_owned() });
    put(&mut store, Change { gaps: gaps.collect(), ..Change::default() });
    store.close();
    let known = std::mem::take(&mut open(scratch.path()).restored().gaps);
    assert_eq!(known, (21..=120).map(|second| (NOW, until(second))).collect::<Vec<_>>());
    assert_eq!(
        sql::<String>(&scratch, "SELECT why || (until_ns - from_ns) FROM gaps"),
        "ring full1000000000"
    );
}
