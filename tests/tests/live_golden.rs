//! Live capture tells the story of the replay: each recording is sent again, at its own pace, past an attached
//! observer, once as it was beside the server and once as a mirror port would deliver it.

use std::time::Duration;

use observer_tests::compare::{Rules, compare};
use observer_tests::golden::{KEA, Recording};
use observer_tests::hook::DumpHook;
use observer_tests::inject::{AnswersFrom, replay_paced};
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::observer::{Observer, binary, replay_invocations};
use observer_tests::require;
use observer_tests::scratch::Scratch;

/// The longest wait for a deadline after the last frame: the 4 s of the recorded probation, and a slow machine.
const SETTLE: Duration = Duration::from_secs(12);

fn live_equals_replay(name: &str, answers: AnswersFrom) {
    let recording = Recording::named(name);
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let config = recording.kea_config();
    let kea = ["--kea-config", config.to_str().unwrap()];
    let index = cable.server.index.to_string();
    let options = ["--iface-name", cable.server.name, "--iface-index", &index, "--settle", "4"];
    let expected = replay_invocations(&recording.capture(), &[&options[..], &kea].concat()).unwrap();
    assert!(!expected.is_empty(), "the replay of {name} has no calls");

    let hook = DumpHook::install(scratch.path()).unwrap();
    let mirror: &[&str] = match answers {
        AnswersFrom::Observed => &[],
        AnswersFrom::Peer => &["--answers", "both"],
    };
    let options = [&kea[..], mirror].concat();
    let server = &cable.server;
    let observer =
        Observer::start(&server.namespace, scratch.path(), server.name, hook.script(), &options).unwrap();
    let start = replay_paced(&recording.frames().unwrap(), 1.0, &cable.client, server, answers).unwrap();
    // When too few calls come, the comparison says which are missing.
    let _ = hook.wait_for(expected.len(), SETTLE);
    observer.stop().unwrap();
    let qdiscs = server.namespace.command("tc").args(["qdisc", "show", "dev", server.name]).output().unwrap();
    let qdiscs = String::from_utf8_lossy(&qdiscs.stdout).into_owned();
    assert!(!qdiscs.contains("clsact"), "a qdisc was left behind: {qdiscs}");

    // A whole second of CLTT lies anywhere within a second of the frame, on either clock.
    let shift = start - recording.start().unwrap();
    let rules = Rules { shift, cltt_within: 1.5, at_within: Some(3.0), variable_order: true };
    compare(&expected, &hook.calls().unwrap(), &rules)
        .unwrap_or_else(|report| panic!("{name}, {answers:?}:\n{report}"));
}

fn all_recordings(answers: AnswersFrom) {
    // Built before the clock of any recording runs.
    binary().unwrap();
    let failures: Vec<&str> = std::thread::scope(|scope| {
        let named = |name: &str| std::thread::Builder::new().name(format!("{name} {answers:?}"));
        let run = |name| named(name).spawn_scoped(scope, move || live_equals_replay(name, answers)).unwrap();
        let runs = KEA.map(|name| (name, run(name)));
        runs.into_iter().filter_map(|(name, run)| run.join().is_err().then_some(name)).collect()
    });
    assert!(failures.is_empty(), "live and replay differ: {failures:?}");
}

#[test]
fn beside_the_server() {
    require!(Need::Root, Need::Program("tc"));
    all_recordings(AnswersFrom::Observed);
}

#[test]
fn at_a_mirror_port() {
    require!(Need::Root, Need::Program("tc"));
    all_recordings(AnswersFrom::Peer);
}
