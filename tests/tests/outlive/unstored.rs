//! What was read while the database could not be written, and not stored before the observer was killed.

use std::ops::Range;
use std::path::Path;

use nix::sys::signal::Signal;
use observer_tests::call::Call;
use observer_tests::observer::Observer;
use observer_tests::wait;
use rusqlite::Connection;

use crate::bench::{Bench, NEEDS, SOON};

/// Has the store go on in memory, until the connection is dropped.
fn lock(state: &Path) -> Connection {
    let connection = Connection::open(state.join("observer.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

/// The numbers of the events that the hook was told of, and of whose leases, in their order.
fn told(bench: &Bench) -> Vec<(u64, String)> {
    let calls = bench.hook.calls().unwrap().into_iter().filter(|call| call.hook() == "leases4_committed");
    let event = |call: &Call| {
        let address = call.get("LEASES4_AT0_ADDRESS").unwrap().to_owned();
        (call.get("OBSERVER_EVENT_ID").unwrap().parse().unwrap(), address)
    };
    let mut told: Vec<_> = calls.map(|call| event(&call)).collect();
    told.sort();
    told
}

/// Binds these clients while nothing can be stored, and waits until the hook was told.
fn bind_in_memory(bench: &Bench, observer: &mut Observer, state: &Path, clients: Range<u8>) {
    let lock = lock(state);
    for number in clients {
        let address = bench.client(number).bind().unwrap().yiaddr.to_string();
        bench.call("leases4_committed", &address);
    }
    assert!(observer.log().contains("going on in memory"), "{}", observer.log());
    observer.signal(Signal::SIGSTOP).unwrap();
    drop(lock);
}

/// What a first observer tells of a lease that is stored and of others that are not, before it is killed.
fn told_by_a_first(bench: &mut Bench, options: &[&str], state: &Path) -> Vec<(u64, String)> {
    let mut first = bench.observe(options);
    let address = bench.client(1).bind().unwrap().yiaddr.to_string();
    bench.call("leases4_committed", &address);
    wait_until_over(state);
    bind_in_memory(bench, &mut first, state, 2..6);
    let before = told(bench);
    first.kill().unwrap();
    before
}

/// Frames make the same events out of the same state, so that their numbers need not be stored to be the same again.
#[test]
fn what_is_read_again_is_told_again_under_the_same_numbers() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new();
    let state = bench.scratch.path().join("state");
    let options = ["--state-dir", state.to_str().unwrap()];
    let before = told_by_a_first(&mut bench, &options, &state);

    let second = bench.observe(&options);
    assert!(second.log().contains("are read again"), "{}", second.log());
    let doubled: Vec<_> = before.iter().flat_map(|event| std::iter::repeat_n(event, 2)).skip(1).collect();
    wait::until("the same again", SOON, || Ok((told(&bench).len() == doubled.len()).then_some(()))).unwrap();
    assert!(told(&bench).iter().eq(doubled), "{before:?} {:?}", told(&bench));
    second.stop().unwrap();
    bench.assert_nothing_is_left();
}

#[test]
fn a_number_that_was_told_and_not_stored_is_not_given_to_another_event() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new();
    let state = bench.scratch.path().join("state");
    let options = ["--no-pin", "--state-dir", state.to_str().unwrap()];
    let before = told_by_a_first(&mut bench, &options, &state);

    let second = bench.observe(&options);
    let address = bench.client(6).bind().unwrap().yiaddr.to_string();
    bench.call("leases4_committed", &address);
    let (last, new) = (before.last().unwrap(), told(&bench).pop().unwrap());
    assert!(new.1 == address && new.0 > last.0, "{before:?} {new:?}");
    second.stop().unwrap();
}

/// Waits until no call is open: those would be made again.
fn wait_until_over(state: &Path) {
    wait::until("an end of the calls", SOON, || {
        let connection = Connection::open(state.join("observer.db"))?;
        let open = "SELECT count(*) FROM outbox WHERE state IN ('waiting', 'running')";
        let open: i64 = connection.query_row(open, [], |row| row.get(0))?;
        Ok((open == 0).then_some(()))
    })
    .unwrap();
}

#[test]
fn what_was_written_over_since_is_a_gap() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    for attach in ["tc", "xdp"] {
        let mut bench = Bench::new();
        let state = bench.scratch.path().join("state");
        let options = ["--attach", attach, "--ring-size", "4096", "--state-dir", state.to_str().unwrap()];
        let mut first = bench.observe(&options);
        let address = bench.client(1).bind().unwrap().yiaddr.to_string();
        bench.call("leases4_committed", &address);
        let lock = lock(&state);
        // The frames of eight clients are several rings full, and each is handled before the next one comes.
        let addresses: Vec<_> =
            (2..10).map(|number| bench.client(number).bind().unwrap().yiaddr.to_string()).collect();
        first.wait_for_log("going on in memory", 1).unwrap();
        for address in &addresses {
            bench.call("leases4_committed", address);
        }
        let before = told(&bench);
        let log = first.kill().unwrap();
        assert!(
            !log.contains("DHCP frames lost"),
            "{attach}: nothing is lost but what was not stored: {log}"
        );
        drop(lock);

        let second = bench.observe(&[&options[..], &["--network-events", "gap"]].concat());
        let gap = bench.hook.wait_for_call("the gap", SOON, |call| call.hook() == "observer_gap");
        let gap = gap.unwrap();
        assert_eq!(gap.get("OBSERVER_GAP_REASON"), Some("not-stored"), "{attach}: {gap:?}");
        let log = second.log();
        assert!(log.contains("had not stored what it read"), "{attach}: {log}");
        assert!(!log.contains("read again"), "{attach}: {log}");
        // It knows that it does not know of these leases; the next frames are handled as ever.
        let address = bench.client(10).bind().unwrap().yiaddr.to_string();
        bench.call("leases4_committed", &address);
        let (last, new) = (before.last().unwrap(), told(&bench).pop().unwrap());
        assert!(new.1 == address && new.0 > last.0, "{attach}: {before:?} {new:?}");
        second.stop().unwrap();
        bench.assert_nothing_is_left();
    }
}
