//! More frames than the ring buffer holds: what is lost is said and counted, and what comes after is right.

use nix::sys::signal::Signal;
use observer_tests::need::Need;
use observer_tests::require;

use crate::stage::{LIFE, Stage, is_life};

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
