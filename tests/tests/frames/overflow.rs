//! More frames than the ring buffer holds: what is lost is said and counted, and what comes after is right.

use std::fs;

use nix::sys::signal::Signal;
use observer_tests::call::Call;
use observer_tests::hook::DumpHook;
use observer_tests::need::Need;
use observer_tests::observer::Observer;
use observer_tests::scratch::Scratch;
use observer_tests::{require, wait};

use crate::stage::{LIFE, SOON, Stage, Wire, cable, is_life};
use crate::talk::Talk;

#[test]
fn loss_is_said_aloud_and_passes() {
    require!(Need::Root);
    const BURST: u64 = 500;
    let mut stage = Stage::new(&["--ring-size", "4096"]);
    // As if the machine had no time for it.
    stage.observer.signal(Signal::SIGSTOP).unwrap();
    let mut flood = stage.talk(9);
    for _ in 0..BURST {
        let discover = flood.discover();
        stage.wire.arrives(&flood.by_client(&discover));
    }
    stage.observer.signal(Signal::SIGCONT).unwrap();
    stage.observer.wait_for_log("DHCP frames lost", 1).unwrap();
    let mut talk = stage.talk(7);
    stage.wire.live(&mut talk);
    let (calls, ended) = stage.finish(LIFE.len());
    is_life(&calls, &talk, &LIFE);
    let count = |name| ended.count("kernel", name);
    assert!(count("lost") > BURST / 2, "{}", ended.stderr);
    assert_eq!(count("taken") + count("lost"), BURST + 7, "{}", ended.stderr);
    assert_eq!(ended.count("totals", "frames"), count("taken"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("{} in all", count("lost"))), "{}", ended.stderr);
    assert!(ended.stderr.contains("--ring-size"), "{}", ended.stderr);
}

/// Gaps are of the whole observer: it is asked for them once, and each hook may ask for some words only.
#[test]
fn hooks_that_ask_are_told_of_the_gap() {
    require!(Need::Root);
    const BURST: u64 = 300;
    let (cable, scratch) = (cable(1500), Scratch::new().unwrap());
    let [gaps, leases, all] =
        ["gaps", "leases", "all"].map(|name| DumpHook::install(&scratch.directory(name).unwrap()).unwrap());
    let table = |name: &str, hook: &DumpHook, more: &str| {
        format!("[[hook]]\nname = {name:?}\ncommand = {:?}\n{more}\n", hook.script())
    };
    let text = [
        "[[interface]]\nname = \"s0\"\n[limits]\nring_size = 4096\n[network_events]\nkinds = \"gap\"\n"
            .to_owned(),
        table("gaps", &gaps, "events = [\"gap\"]"),
        table("leases", &leases, "events = [\"commit\", \"renew\", \"release\"]"),
        table("all", &all, ""),
    ];
    let file = scratch.path().join("c.toml");
    fs::write(&file, text.concat()).unwrap();
    let (server, file) = (&cable.server, file.to_str().unwrap());
    let mut observer =
        Observer::start_with(&server.namespace, scratch.path(), "s0", &["--config", file]).unwrap();
    let wire = Wire::new(&cable.client, server);

    // As if the machine had no time for it.
    observer.signal(Signal::SIGSTOP).unwrap();
    let mut flood = Talk::new(9, server.mac);
    let begun = wait::unix_now();
    for _ in 0..BURST {
        let discover = flood.discover();
        wire.arrives(&flood.by_client(&discover));
    }
    let over = wait::unix_now();
    observer.signal(Signal::SIGCONT).unwrap();
    observer.wait_for_log("DHCP frames lost", 1).unwrap();
    gaps.wait_for(1, SOON).unwrap();
    let mut talk = Talk::new(7, server.mac);
    wire.live(&mut talk);
    leases.wait_for(LIFE.len(), SOON).unwrap();
    let ended = observer.stop().unwrap();

    let [gaps, leases, all] = [gaps, leases, all].map(|hook| hook.calls().unwrap());
    let lost = ended.count("kernel", "lost");
    assert!(lost > BURST / 2, "{}", ended.stderr);
    let number = |call: &Call, name: &str| -> f64 { call.get(name).unwrap().parse().unwrap() };
    for gap in &gaps {
        let words = ["OBSERVER_EVENT", "OBSERVER_GAP_REASON"].map(|name| gap.get(name).unwrap());
        assert_eq!((gap.hook(), words), ("observer_gap", ["gap", "ring-full"]));
        let (from, until) = (number(gap, "OBSERVER_GAP_FROM"), number(gap, "OBSERVER_GAP_UNTIL"));
        assert!(from <= over && until >= begun && from <= until, "{from} to {until}: {begun} to {over}");
    }
    let told: f64 = gaps.iter().map(|gap| number(gap, "OBSERVER_GAP_LOST")).sum();
    assert_eq!(told as u64, lost, "to the frame: {}", ended.stderr);
    is_life(&leases, &talk, &LIFE);
    let (of_all, others): (Vec<Call>, Vec<Call>) =
        all.into_iter().partition(|call| call.hook() == "observer_gap");
    assert_eq!(of_all.len(), gaps.len());
    is_life(&others, &talk, &LIFE);
}
