//! What happens while no observer runs, and what a hook is told of it at the start.

use std::time::Duration;

use observer_tests::need::Need;
use observer_tests::observer::Observer;
use observer_tests::wait;

use crate::bench::{Bench, NEEDS, SOON, story};

/// How long leases are, in seconds.
const LIFETIME: u32 = 4;

#[test]
fn a_lease_that_ends_meanwhile_is_told_late_and_with_its_own_time() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    // Pinned, nothing was missed; otherwise a renewal may have been.
    for (options, marks) in [(&[][..], "100"), (&["--no-pin", "--network-events", "gap"], "110")] {
        let mut bench = Bench::new(Some(LIFETIME));
        let first = bench.observe(options);
        bench.client(1).bind().unwrap();
        let begun = bench.wait_for(1);
        let end = wait::now() + Duration::from_secs(u64::from(LIFETIME) + 1);
        first.kill().unwrap();
        // The lease ends by the wall clock, and by nothing that could be waited for.
        wait::pace(end);
        let second = bench.observe(options);
        let expected = 2 + usize::from(marks == "110");
        let told = bench.wait_for(expected);
        second.stop().unwrap();
        let expired = told.iter().find(|told| told.word == "lease4_expire").unwrap();
        assert_eq!(expired.address, begun[0].address);
        assert_eq!(expired.marks, marks, "{told:?}");
        let listed = bench.listed(&[]);
        let at =
            |word: &str| listed.iter().find(|call| call["word"] == word).unwrap()["at"].as_f64().unwrap();
        let after = at("lease4_expire") - at("leases4_committed");
        // CLTT is the whole second.
        assert!((f64::from(LIFETIME) - 1.0..=f64::from(LIFETIME)).contains(&after), "{after}");
        if marks == "110" {
            let gap = listed.iter().find(|call| call["word"] == "observer_gap").unwrap();
            assert_eq!(gap["event"], "gap");
            assert_eq!(gap["env"]["OBSERVER_GAP_REASON"], "not-running", "{gap:#}");
            let moment = |name: &str| gap["env"][name].as_str().unwrap().parse::<f64>().unwrap();
            assert!(moment("OBSERVER_GAP_FROM") <= moment("OBSERVER_GAP_UNTIL"), "{gap:#}");
        }
    }
}

#[test]
fn a_hook_that_asks_is_told_of_the_leases_that_there_are() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new(None);
    let first = bench.observe(&[]);
    let addresses = [1, 2].map(|number| bench.client(number).bind().unwrap().yiaddr.to_string());
    bench.wait_for(2);
    first.stop().unwrap();
    let file = bench.scratch.path().join("c.toml");
    let hooks = [("asks", true), ("does-not", false)].map(|(name, asks)| {
        let hook = bench.hook();
        format!("[[hook]]\nname = {name:?}\ncommand = {hook:?}\nreplay_on_start = {asks}\n")
    });
    let text =
        format!("[[interface]]\nname = \"s0\"\n[store]\ndirectory = {:?}\n{}", bench.state(), hooks.concat());
    std::fs::write(&file, text).unwrap();
    let state = bench.state();
    let directory = bench.scratch.directory("second").unwrap();
    let arguments = ["--config", file.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
    let second = Observer::start_with(&bench.cable.server.namespace, &directory, "s0", &arguments).unwrap();
    let told = bench.wait_for(4);
    second.stop().unwrap();
    assert_eq!(bench.told().len(), 4, "one hook, two leases: {told:#?}");
    let mut replayed: Vec<_> = told[2..].to_vec();
    replayed.sort_by(|a, b| a.address.cmp(&b.address));
    let mut expected = addresses.each_ref().map(|address| ("leases4_committed", &**address));
    expected.sort();
    assert_eq!(story(&replayed), expected);
    // A clean end leaves nothing attached, so that what was since is not known.
    assert!(replayed.iter().all(|told| told.marks == "011"), "{told:#?}");
}

/// Restarts a second after each other are no time at all: nothing is told that did not happen.
#[test]
fn a_hook_that_does_not_ask_is_told_nothing_at_a_start() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new(None);
    let mut client = bench.client(1);
    let first = bench.observe(&[]);
    client.bind().unwrap();
    // What is not known to be over would be done again.
    bench.wait_for_state("done", 1);
    first.kill().unwrap();
    bench.observe(&[]).kill().unwrap();
    let last = bench.observe(&[]);
    client.renew().unwrap();
    wait::until("the renewal", SOON, || Ok((bench.told().len() >= 3).then_some(()))).unwrap();
    last.stop().unwrap();
    let words: Vec<_> = bench.told().into_iter().map(|told| told.word).collect();
    assert_eq!(words, ["leases4_committed", "lease4_renew", "leases4_committed"]);
}

/// The library by which a process sees another wall clock.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[test]
fn a_wall_clock_that_is_set_meanwhile_neither_ends_nor_freezes_leases() {
    if observer_tests::need::missing(&[NEEDS[0], NEEDS[1], Need::Program("faketime")]).is_some() {
        return;
    }
    for by in ["+20d", "-20d"] {
        let mut bench = Bench::new(None);
        let first = bench.observe(&[]);
        let mut client = bench.client(1);
        client.bind().unwrap();
        bench.wait_for_state("done", 1);
        first.kill().unwrap();
        let state = bench.state();
        let directory = bench.scratch.directory("shifted").unwrap();
        let (state, hook) = (state.to_str().unwrap(), bench.hook().to_str().unwrap().to_owned());
        let second = Observer::start_under(
            &bench.cable.server.namespace,
            &directory,
            "s0",
            &["--iface", "s0", "--script", &hook, "--state-dir", state],
            &[("LD_PRELOAD", FAKETIME), ("FAKETIME", by), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")],
        )
        .unwrap();
        client.renew().unwrap();
        let told = bench.wait_for(3);
        let log = second.log();
        second.stop().unwrap();
        assert!(log.contains("its leases are moved by as much"), "{by}: {log}");
        let words: Vec<_> = told.iter().map(|told| told.word.as_str()).collect();
        assert_eq!(words, ["leases4_committed", "lease4_renew", "leases4_committed"], "{by}: {log}");
        // It ends 600 s after the renewal, by the clock as it is now.
        let days = if by.starts_with('+') { 20.0 } else { -20.0 };
        let renewed = bench.listed(&[]);
        let renewal = renewed.iter().find(|call| call["word"] == "lease4_renew").unwrap();
        let shown: f64 = renewal["env"]["LEASE4_CLTT"].as_str().unwrap().parse().unwrap();
        assert!((shown - wait::unix_now() - days * 86_400.0).abs() < 120.0, "{by}: {shown}");
    }
}
