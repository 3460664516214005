//! An observer that was killed: what happens until the next one is told by it, once, in order, with the right times.

use std::time::Duration;

use nix::sys::signal::Signal;
use observer_tests::clients::RunningClient;
use observer_tests::clients::udhcpc::Udhcpc;
use observer_tests::need::Need;
use observer_tests::{require, wait};

use crate::bench::{Bench, EVERY_ROAD, NEEDS, frames, renew};

#[test]
fn what_happens_meanwhile_is_told_afterwards() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    for attach in EVERY_ROAD {
        let mut bench = Bench::new();
        let options = ["--attach", attach];
        let first = bench.observe(&options);
        let (mut one, mut two) = (bench.client(1), bench.client(2));
        let a = one.bind().unwrap().yiaddr.to_string();
        bench.call("leases4_committed", &a);
        first.kill().unwrap();

        // The programs are where they were, and in nobody's way.
        assert_eq!(bench.programs(), 2, "{attach}");
        let before = wait::unix_now();
        let b = two.bind().unwrap().yiaddr.to_string();
        renew(&mut one);
        two.release().unwrap();
        let after = wait::unix_now();
        // So that a CLTT of the time of reading would be seen.
        wait::pace(wait::now() + Duration::from_secs(3));

        let second = bench.observe(&options);
        bench.call("lease4_release", &b);
        renew(&mut one);
        bench.call("lease4_renew", &a);
        let log = second.log();
        assert!(log.contains("taken over from the observer before"), "{attach}: {log}");
        assert!(!log.contains("may have been lost"), "{attach}: {log}");
        assert_eq!(bench.programs(), 2, "{attach}: {log}");
        let ended = second.stop().unwrap();
        let c = "leases4_committed";
        let told = |address: &str| {
            let story = bench.story().into_iter();
            story.filter(|(_, of)| of == address).map(|(hook, _)| hook).collect::<Vec<_>>()
        };
        // The second observer has no store: the first renewal is how it learns of the lease.
        assert_eq!(told(&a), [c, c, "lease4_renew", c], "{attach}");
        assert_eq!(told(&b), [c, "lease4_release", c], "{attach}");
        let cltt: f64 = bench.call(c, &b).get("LEASES4_AT0_CLTT").unwrap().parse().unwrap();
        assert!((before - 1.0..=after).contains(&cltt), "{attach}: {cltt} is not from {before} to {after}");
        // DISCOVER to ACK twice, two renewals, a release: each is in one of the two lives.
        assert_eq!(ended.count("kernel", "taken"), 4 + 4 + 2 + 1 + 2, "{attach}: {}", ended.stderr);
        assert_eq!(frames(&ended), 4 + 2 + 1 + 2, "{attach}: {}", ended.stderr);
        assert_eq!(ended.count("kernel", "lost"), 0, "{attach}: {}", ended.stderr);
        bench.assert_nothing_is_left();
    }
}

/// A ring of one page, an observer that is stopped, one that is dead, and one that starts: each frame is either handled or
/// counted as lost, and the loss is told by whoever is there to tell it.
#[test]
fn what_does_not_fit_is_counted_to_the_frame() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    const BURST: u64 = 200;
    for attach in EVERY_ROAD {
        let mut bench = Bench::new();
        let options = ["--attach", attach, "--ring-size", "4096"];
        let mut first = bench.observe(&options);
        let flood = |bench: &Bench, number: u8| {
            let mut client = bench.client(number);
            // A release of nothing has no answer, so what is sent is all that there is.
            for _ in 0..BURST {
                let query = client.query(observer_tests::client::message4::Kind::Release);
                client.send(&query, None).unwrap();
            }
        };
        first.signal(Signal::SIGSTOP).unwrap();
        flood(&bench, 1);
        first.signal(Signal::SIGCONT).unwrap();
        first.wait_for_log("DHCP frames lost", 1).unwrap();
        // It looks at its counters before it reads; with the first call it has read all that there was.
        wait::until("a call", crate::bench::SOON, || Ok((!bench.story().is_empty()).then_some(()))).unwrap();
        first.signal(Signal::SIGSTOP).unwrap();
        flood(&bench, 2);
        let log = first.kill().unwrap();
        flood(&bench, 3);
        let mut second = bench.observe(&options);
        second.wait_for_log("DHCP frames lost", 1).unwrap();
        flood(&bench, 4);
        let ended = second.stop().unwrap();

        let (taken, lost) = (ended.count("kernel", "taken"), ended.count("kernel", "lost"));
        assert_eq!(taken + lost, 4 * BURST, "{attach}: {}", ended.stderr);
        // What was told in words adds up to what was counted.
        let told: Vec<u64> = [&log, &ended.stderr].iter().flat_map(|log| losses(log)).collect();
        assert_eq!(told.iter().sum::<u64>(), lost, "{attach}: {told:?}\n{log}\n{}", ended.stderr);
        // While it was away the ring took what it could hold, and the next one got that.
        assert!(frames(&ended) < taken, "{attach}: {}", ended.stderr);
        bench.assert_nothing_is_left();
    }
}

/// The numbers of a log's lines about loss.
fn losses(log: &str) -> Vec<u64> {
    let words = log.lines().filter_map(|line| line.split_once(" DHCP frames lost").map(|(before, _)| before));
    words.map(|before| before.rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_real_client_does_not_notice() {
    require!(Need::Program("udhcpc"));
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new();
    let directory = bench.scratch.directory("client").unwrap();
    let first = bench.observe(&[]);
    let mut client = Udhcpc::start(&bench.cable.client.namespace, &directory, "real").unwrap();
    client.settle().unwrap();
    let committed =
        |bench: &Bench| bench.story().iter().filter(|(hook, _)| hook == "leases4_committed").count();
    wait::until("the lease", crate::bench::SOON, || Ok((committed(&bench) == 1).then_some(()))).unwrap();
    first.kill().unwrap();
    client.renew().unwrap();
    client.settle().unwrap();
    let second = bench.observe(&[]);
    client.renew().unwrap();
    client.settle().unwrap();
    client.release().unwrap();
    let address = bench.story()[0].1.clone();
    bench.call("lease4_release", &address);
    second.stop().unwrap();
    bench.assert_nothing_is_left();
}

#[test]
fn a_clean_exit_leaves_nothing_and_two_observers_do_not_meet() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new();
    let first = bench.observe(&[]);
    assert!(first.log().contains("capture is pinned in /sys/fs/bpf/dhcp-observer/"), "{}", first.log());
    let pins = bench.pins();
    assert_eq!(pins.len(), 7, "ring, counters, two maps of fragments, state and two links: {pins:?}");
    for path in &pins {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(path).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o777), (0, 0o600), "{}", path.display());
    }
    // The same interfaces and no name of its own: it observes all the same, and says what it cannot do.
    let second = bench.observe(&[]);
    assert!(second.log().contains("is in use by another observer"), "{}", second.log());
    let third = bench.observe(&["--instance", "third"]);
    assert!(third.log().contains("_as_third/"), "{}", third.log());
    assert_eq!(bench.programs(), 6);
    bench.client(1).bind().unwrap();
    wait::until("three calls", crate::bench::SOON, || Ok((bench.story().len() == 3).then_some(()))).unwrap();
    for observer in [second, third] {
        observer.stop().unwrap();
        assert_eq!(bench.pins(), pins, "the pins of the first are still there");
    }
    first.stop().unwrap();
    bench.assert_nothing_is_left();
}
