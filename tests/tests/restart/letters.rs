//! Dead letters, and `dhcp-observer events` beside a running observer.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use observer_tests::observer::binary;
use observer_tests::wait;
use serde_json::Value;

use crate::bench::{Bench, NEEDS, SOON, Told};

#[test]
fn a_call_that_failed_is_kept_until_somebody_has_it_made_again_or_drops_it() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new(None);
    let observer = bench.observe(&["--hook-retries", "1"]);
    bench.fail(true);
    let [mut one, mut two] = [1, 2].map(|number| bench.client(number));
    one.bind().unwrap();
    two.bind().unwrap();
    bench.wait_for_state("dead", 2);
    let told = bench.told();
    assert_eq!(told.len(), 4, "each once, and once more: {told:?}");
    let failed = bench.listed(&["--failed"]);
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|call| call["attempts"] == 2), "{failed:#?}");
    assert!(failed[0]["result"].as_str().unwrap().contains("status 1"), "{failed:#?}");
    let [first, second] = [0, 1].map(|place: usize| failed[place]["id"].as_u64().unwrap());

    // It fails again: it has all its retries once more.
    let replayed = bench.events(&["replay", &first.to_string()]);
    assert!(replayed.status.success(), "{replayed:?}");
    let told = bench.wait_for(6);
    let attempts: Vec<_> = told.iter().filter(|told| told.event == first).map(|told| told.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
    bench.wait_for_state("dead", 2);

    bench.fail(false);
    let dropped = bench.events(&["drop", &second.to_string()]);
    let replayed = bench.events(&["replay", &first.to_string()]);
    for output in [&dropped, &replayed] {
        assert!(output.status.success(), "{output:?}");
    }
    let told = bench.wait_for(7);
    let before = told.iter().find(|told| told.event == first).unwrap();
    assert_eq!(told[6], Told { attempt: 5, ..before.clone() });
    bench.wait_for_state("done", 1);
    bench.wait_for_state("dead", 0);
    observer.stop().unwrap();
    assert_eq!(bench.listed(&[]).len(), 1, "the other one was dropped");
}

#[test]
fn a_call_that_waits_in_the_running_daemon_is_dropped_and_one_that_runs_is_not() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new(None);
    let observer = bench.observe(&["--max-hooks", "1"]);
    bench.hold(true);
    let [mut one, mut two, mut three] = [1, 2, 3].map(|number| bench.client(number));
    for client in [&mut one, &mut two, &mut three] {
        client.bind().unwrap();
    }
    bench.wait_for_state("running", 1);
    bench.wait_for_state("waiting", 2);
    let listed = bench.listed(&[]);
    let [first, second, third] = [0, 1, 2].map(|place: usize| listed[place]["id"].as_u64().unwrap());
    assert_eq!(bench.wait_for(1)[0].event, first);

    let runs = bench.events(&["drop", &first.to_string()]);
    let error = String::from_utf8_lossy(&runs.stderr).into_owned();
    assert_eq!(runs.status.code(), Some(1));
    assert!(error.contains(&format!("event {first}: the call runs already and is let end")), "{error}");
    let waits = bench.events(&["drop", &second.to_string()]);
    assert!(waits.status.success(), "{waits:?}");
    assert_eq!(String::from_utf8_lossy(&waits.stdout), format!("event {second}: 1 call forgotten\n"));

    bench.hold(false);
    bench.wait_for_state("done", 2);
    let ended = observer.stop().unwrap();
    let told: Vec<_> = bench.told().into_iter().map(|told| told.event).collect();
    assert_eq!(told, [first, third], "{}", ended.stderr);
    assert_eq!(ended.count("hooks", "withdrawn"), 1, "{}", ended.stderr);
    assert_eq!((ended.count("store", "outbox"), ended.count("store", "dead")), (0, 0), "{}", ended.stderr);
}

#[test]
fn events_are_followed_while_they_happen() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new(None);
    let observer = bench.observe(&["--hook-retries", "1"]);
    bench.client(1).bind().unwrap();
    bench.wait_for_state("done", 1);
    let follow = |more: &[&str]| {
        let mut command = Command::new(binary().unwrap());
        command.args(["events", "--follow", "--json"]).args(more).arg("--state-dir").arg(bench.state());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, receiver) = mpsc::channel::<Value>();
        thread::spawn(move || {
            let calls = lines.map_while(Result::ok).map(|line| serde_json::from_str(&line).unwrap());
            for call in calls {
                let _ = sender.send(call);
            }
        });
        (child, receiver)
    };
    let (mut all, calls) = follow(&[]);
    let (mut failed, letters) = follow(&["--failed"]);
    let next = |what: &str, calls: &mpsc::Receiver<Value>| {
        calls.recv_timeout(SOON).unwrap_or_else(|error| panic!("{what}: {error}"))
    };
    let before = next("what there was", &calls);
    assert_eq!((&before["state"], &before["attempts"]), (&"done".into(), &1.into()), "{before:#}");

    // A call that runs, and then fails twice.
    bench.hold(true);
    bench.fail(true);
    let address = bench.client(2).bind().unwrap().yiaddr.to_string();
    let runs = wait::until("a call that runs", SOON, || {
        let call = next("a call that runs", &calls);
        Ok((call["state"] == "running").then_some(call))
    })
    .unwrap();
    assert_eq!((&runs["word"], &runs["attempts"]), (&"leases4_committed".into(), &1.into()), "{runs:#}");
    assert_eq!(runs["env"]["LEASES4_AT0_ADDRESS"], address.as_str(), "{runs:#}");
    assert!(letters.try_recv().is_err(), "nothing has failed yet");
    bench.hold(false);
    let dead = next("a dead letter", &letters);
    assert_eq!((&dead["id"], &dead["state"]), (&runs["id"], &"dead".into()), "{dead:#}");
    let last = wait::until("the same among all", SOON, || {
        let call = next("the same among all", &calls);
        Ok((call["state"] == "dead").then_some(call))
    });
    assert_eq!(last.unwrap(), dead);
    for child in [&mut all, &mut failed] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    observer.stop().unwrap();
}
