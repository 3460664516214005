//! What an observer with another name or other interfaces has left in the same network namespace.

use std::path::Path;
use std::process::Output;

use nix::sys::signal::Signal;
use observer_tests::observer::Observer;
use observer_tests::observer::every_user;
use observer_tests::wait;

use crate::bench::{Bench, EVERY_ROAD, NEEDS, SOON};

/// The instances of this network namespace.
fn instances(bench: &Bench) -> Vec<String> {
    let pins = bench.pins();
    // Those of the bench's own interface say which namespace it is.
    let Some(path) = pins.first() else { return Vec::new() };
    let instance = path.ancestors().nth(2).unwrap();
    let (all, name) = (instance.parent().unwrap(), instance.file_name().unwrap().to_str().unwrap());
    let prefix = name.split_once("_if_").unwrap().0.to_owned();
    let names = std::fs::read_dir(all).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> =
        names.filter_map(|name| name.to_str()?.strip_prefix(&prefix).map(str::to_owned)).collect();
    names.sort();
    names
}

/// What sqlite3 would say.
fn sql(state: &Path, question: &str) -> i64 {
    let connection = rusqlite::Connection::open(state.join("observer.db")).unwrap();
    connection.query_row(question, [], |row| row.get(0)).unwrap()
}

/// The kernel's number of the ring from which the store was filled last.
fn ring(state: &Path) -> i64 {
    sql(state, "SELECT value FROM meta WHERE name = 'ring_id'")
}

/// Waits until so many calls are known to be over: others would be made again.
fn wait_for_done(state: &Path, count: i64) {
    let done = || sql(state, "SELECT count(*) FROM outbox WHERE state = 'done'");
    wait::until("the end of the calls", SOON, || Ok((done() == count).then_some(()))).unwrap();
}

/// The store knows from which ring it was filled, so the next observer knows what is its own, whatever it is called now.
#[test]
fn other_interfaces_lose_nothing_of_those_that_stay() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    for attach in EVERY_ROAD {
        let mut bench = Bench::new();
        let state = bench.scratch.path().join("state");
        let options = ["--attach", attach, "--state-dir", state.to_str().unwrap()];
        let first = bench.observe(&options);
        let mut one = bench.client(1);
        let a = one.bind().unwrap().yiaddr.to_string();
        bench.call("leases4_committed", &a);
        wait_for_done(&state, 1);
        first.kill().unwrap();
        let of_first = ring(&state);
        let b = bench.client(2).bind().unwrap().yiaddr.to_string();

        let second = bench.observe(&[&options[..], &["--iface", "lo"]].concat());
        bench.call("leases4_committed", &b);
        let log = second.log();
        assert!(log.contains("was left by the observer before this one"), "{attach}: {log}");
        assert!(!log.contains("nothing was attached to s0"), "{attach}: {log}");
        assert_eq!(bench.programs(), 2, "{attach}: {log}");
        // Of the first instance nothing is left once its ring is read.
        wait::until("an end of the first", SOON, || Ok(bench.pins().is_empty().then_some(()))).unwrap();
        wait::until("the second ring in the store", SOON, || Ok((ring(&state) != of_first).then_some(())))
            .unwrap();
        wait_for_done(&state, 2);
        second.kill().unwrap();

        // And back again: here the other interface is the one that goes.
        let c = bench.client(3).bind().unwrap().yiaddr.to_string();
        let third = bench.observe(&options);
        bench.call("leases4_committed", &c);
        let log = third.log();
        assert!(!log.contains("lost"), "{attach}: {log}");
        // An observer with a user of its own leaves an empty directory to its spawner, which removes it at the end.
        let is_over = |bench: &Bench| every_user().is_some() || instances(bench) == ["_if_s0"];
        wait::until("an end of the second", SOON, || Ok(is_over(&bench).then_some(())))
            .unwrap_or_else(|error| panic!("{error:#} {attach}: {:?} {log}", instances(&bench)));
        assert_eq!(bench.programs(), 2, "{attach}: {log}");
        third.stop().unwrap();
        for address in [&a, &b, &c] {
            let told = bench.story().into_iter().filter(|(_, of)| of == address).count();
            assert_eq!(told, 1, "{attach}: {address}");
        }
        bench.assert_nothing_is_left();
    }
}

/// Runs a command line where the observer is.
fn run(bench: &Bench, command: &str) -> Output {
    let binary = observer_tests::observer::binary().unwrap();
    let directory = binary.parent().and_then(Path::to_str).unwrap();
    let line = format!("PATH={directory}:$PATH; {command}");
    bench.cable.server.namespace.command("sh").args(["-c", &line]).output().unwrap()
}

#[test]
fn what_may_be_somebody_elses_stays_and_it_is_said_how_it_is_removed() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    for (left, ours) in [(&[][..], &["--instance", "mine"][..]), (&["--instance", "two words"], &[])] {
        let mut bench = Bench::new();
        bench.observe(left).kill().unwrap();
        let second = bench.observe(ours);
        let log = second.log();
        let said = log.lines().find_map(|line| line.split_once("captured for it: ").map(|(_, said)| said));
        let said = said.unwrap_or_else(|| panic!("{left:?}: {log}"));
        let command = said.strip_suffix(" removes it").unwrap();
        assert_eq!(bench.programs(), 4, "{left:?}: {log}");
        let output = run(&bench, command);
        assert!(output.status.success(), "{command}: {output:?}");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.starts_with("removed "), "{command}: {stdout}");
        wait::until("an end of the first", SOON, || Ok((bench.programs() == 2).then_some(()))).unwrap();
        second.stop().unwrap();
        bench.assert_nothing_is_left();
    }
}

/// A running observer keeps the name that it began with, whatever it is told to observe.
#[test]
fn interfaces_that_came_with_a_reload_lose_nothing_either() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let bench = Bench::new();
    let state = bench.scratch.path().join("state");
    let file = bench.scratch.path().join("c.toml");
    let configure = |interfaces: &[&str]| {
        let tables: Vec<_> =
            interfaces.iter().map(|name| format!("[[interface]]\nname = {name:?}\n")).collect();
        let hook = format!("[[hook]]\nname = \"dump\"\ncommand = {:?}\n", bench.hook.script());
        std::fs::write(&file, format!("{}[store]\ndirectory = {state:?}\n{hook}", tables.concat())).unwrap();
    };
    let observe = |life: &str| {
        let directory = bench.scratch.directory(life).unwrap();
        let words = ["--config", file.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
        Observer::start_with(&bench.cable.server.namespace, &directory, "s0", &words).unwrap()
    };
    configure(&["s0"]);
    let mut first = observe("first");
    let a = bench.client(1).bind().unwrap().yiaddr.to_string();
    bench.call("leases4_committed", &a);
    configure(&["s0", "lo"]);
    first.signal(Signal::SIGHUP).unwrap();
    first.wait_for_log("reloaded", 1).unwrap();
    wait_for_done(&state, 1);
    first.kill().unwrap();
    let b = bench.client(2).bind().unwrap().yiaddr.to_string();

    let second = observe("second");
    bench.call("leases4_committed", &b);
    let log = second.log();
    assert!(log.contains("was left by the observer before this one") && !log.contains("lost"), "{log}");
    assert_eq!(log.matches("taken over from the observer before").count(), 2, "{log}");
    second.stop().unwrap();
    bench.assert_nothing_is_left();
}
