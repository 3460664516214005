//! What was read while the database could not be written, and not stored before the observer was killed.

use std::path::Path;

use rusqlite::Connection;

use crate::bench::{Bench, NEEDS};

/// Has the store go on in memory, until the connection is dropped.
fn lock(state: &Path) -> Connection {
    let connection = Connection::open(state.join("observer.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
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
        let log = first.kill().unwrap();
        assert!(
            !log.contains("DHCP frames lost"),
            "{attach}: nothing is lost but what was not stored: {log}"
        );
        drop(lock);

        let second = bench.observe(&[&options[..], &["--network-events", "gap"]].concat());
        let gap =
            bench.hook.wait_for_call("the gap", crate::bench::SOON, |call| call.hook() == "observer_gap");
        let gap = gap.unwrap();
        assert_eq!(gap.get("OBSERVER_GAP_REASON"), Some("not-stored"), "{attach}: {gap:?}");
        let log = second.log();
        assert!(log.contains("had not stored what it read"), "{attach}: {log}");
        assert!(!log.contains("read again"), "{attach}: {log}");
        // It knows that it does not know of these leases; the next frames are handled as ever.
        let address = bench.client(10).bind().unwrap().yiaddr.to_string();
        bench.call("leases4_committed", &address);
        second.stop().unwrap();
        bench.assert_nothing_is_left();
    }
}
