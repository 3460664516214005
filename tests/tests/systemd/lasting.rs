//! Killed, standing still, or told to stop too soon: it goes on, and nothing is lost.

use std::fs;

use observer_tests::call::Call;
use observer_tests::client::message4::Kind;
use observer_tests::need::Need;
use observer_tests::{require, wait};

use crate::bench::{Bench, CONFIG, DUMP, SOON, cannot, config, shell_hook};

#[test]
fn killed_it_goes_on_and_nothing_is_lost() {
    require!(Need::Program("pgrep"));
    if cannot() {
        return;
    }
    // Long enough for what happens meanwhile, on the busiest machine.
    let late = ("systemd/system/dhcp-observer.service.d/late.conf", "[Service]\nRestartSec=1h\n");
    let bench = Bench::new(DUMP, &[late]);
    let script = "[ ! -e /mnt/attempted ] || exit 0\n\
                  echo $OBSERVER_ATTEMPT >>/mnt/attempts\n\
                  [ $OBSERVER_ATTEMPT = 2 ] || exec sleep 1000\n\
                  pgrep -x sleep >>/mnt/attempts\n\
                  mv /mnt/attempts /mnt/attempted";
    let filter = "events = [\"leases4_committed\"]\nfilter = { hwaddr = \"02:aa:bb:00:00:01\" }";
    let slow = shell_hook(&bench, "slow", script, filter);
    bench.machine.write(CONFIG, &config(&format!("{DUMP}{slow}"))).unwrap();
    bench.systemctl(&["start"]);
    let (mut one, mut two) = (bench.client(1), bench.client(2));
    let a = one.bind().unwrap().yiaddr.to_string();
    let first = bench.call("leases4_committed", &a);
    bench.told("attempts");
    bench.systemctl(&["kill", "--kill-whom=main", "--signal=KILL"]);
    bench.wait_for("SubState", |state| state == "auto-restart");
    // Nobody observes now, but the kernel.
    assert_eq!(bench.programs(), 2);
    let b = two.bind().unwrap().yiaddr.to_string();
    assert!(one.renew().unwrap().is(Kind::Ack));
    bench.systemctl(&["restart"]);
    bench.call("leases4_committed", &b);
    let renewed = bench.call("lease4_renew", &a);
    assert_eq!(renewed.get("OBSERVER_LATE"), Some("1"));
    // The hook that ran went with the observer, so it never runs twice at the same time.
    assert_eq!(bench.told("attempted"), "1\n2\n");
    assert_eq!(bench.status()["counts"]["kernel"]["lost"], 0, "{}", bench.journal());
    assert!(one.renew().unwrap().is(Kind::Ack));
    wait::until("second renewal", SOON, || {
        let calls = bench.hook.calls()?;
        Ok((calls.iter().filter(|call| call.hook() == "lease4_renew").count() == 2).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {}", bench.journal()));
    // What was told before is told once, unless its end was not stored.
    let of_first = |call: &&Call| call.get("OBSERVER_EVENT_ID") == first.get("OBSERVER_EVENT_ID");
    let calls = bench.hook.calls().unwrap();
    let attempts: Vec<_> =
        calls.iter().filter(of_first).map(|call| call.get("OBSERVER_ATTEMPT").unwrap()).collect();
    assert!(attempts == ["1"] || attempts == ["1", "2"], "{attempts:?}");
    bench.systemctl(&["stop"]);
    assert_eq!(bench.property("Result"), "success");
    assert_eq!((bench.pins(), bench.programs()), (0, 0));
}

/// Older kernels have clsact only.
#[test]
fn the_other_ways_of_attaching_have_what_they_need() {
    require!(Need::Program("tc"));
    if cannot() {
        return;
    }
    for attach in ["clsact", "xdp"] {
        let bench = Bench::new(&format!("{DUMP}[capture]\nattach = {attach:?}\n"), &[]);
        let server = &bench.cable.server.namespace;
        let is_attached = || {
            let links = server.ip(&["-d", "link", "show", "s0"]).unwrap();
            let qdiscs = server.command("tc").args(["qdisc", "show", "dev", "s0"]).output().unwrap();
            links.contains("prog/xdp") || String::from_utf8_lossy(&qdiscs.stdout).contains("clsact")
        };
        bench.systemctl(&["start"]);
        let first = bench.client(1).bind().unwrap().yiaddr.to_string();
        bench.call("leases4_committed", &first);
        bench.systemctl(&["kill", "--kill-whom=main", "--signal=KILL"]);
        let second = bench.client(2).bind().unwrap().yiaddr.to_string();
        bench.call("leases4_committed", &second);
        assert!(is_attached(), "{attach}: {}", bench.journal());
        bench.systemctl(&["stop"]);
        assert_eq!(bench.property("Result"), "success", "{attach}: {}", bench.journal());
        assert!(!is_attached() && bench.pins() == 0, "{attach}: {}", bench.journal());
    }
}

#[test]
fn what_does_not_end_at_a_stop_is_made_again_at_the_next_start() {
    if cannot() {
        return;
    }
    let short = ("systemd/system/dhcp-observer.service.d/stop.conf", "[Service]\nTimeoutStopSec=1s\n");
    let bench = Bench::new(DUMP, &[short]);
    let script = "echo $OBSERVER_ATTEMPT >>/mnt/attempts; [ $OBSERVER_ATTEMPT = 2 ] || exec sleep 1000";
    let slow = shell_hook(&bench, "slow", script, "");
    bench.machine.write(CONFIG, &config(&slow)).unwrap();
    bench.systemctl(&["start"]);
    bench.client(1).bind().unwrap();
    assert_eq!(bench.told("attempts"), "1\n");
    bench.systemctl(&["stop"]);
    assert_eq!(bench.property("Result"), "timeout", "{}", bench.journal());
    assert_eq!((bench.pins(), bench.programs()), (0, 0), "{}", bench.journal());
    // Root looks at the store meanwhile, and is killed: what that leaves there is not in the way of another user.
    let killed = ["timeout", "--signal=KILL", "1", "dhcp-observer", "events", "--follow"];
    let shown = bench.machine.output(&killed).unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("slow"), "{shown:?}");
    bench.systemctl(&["start"]);
    let attempts = bench.machine.shared().join("attempts");
    wait::until("second attempt", SOON, || Ok((fs::read_to_string(&attempts)? == "1\n2\n").then_some(())))
        .unwrap_or_else(|error| panic!("{error:#}: {}", bench.journal()));
    bench.systemctl(&["stop"]);
    assert_eq!(bench.property("Result"), "success", "{}", bench.journal());
}

#[test]
fn without_the_process_that_starts_hooks_it_begins_anew() {
    require!(Need::Program("pkill"));
    if cannot() {
        return;
    }
    let bench = Bench::new(DUMP, &[]);
    bench.systemctl(&["start"]);
    bench.machine.run(&["pkill", "-KILL", "-f", "^dhcp-observer: spawner"]).unwrap();
    bench.wait_for("NRestarts", |restarts| restarts == "1");
    bench.wait_for("ActiveState", |state| state == "active");
    let address = bench.client(1).bind().unwrap().yiaddr.to_string();
    bench.call("leases4_committed", &address);
    bench.systemctl(&["stop"]);
    assert_eq!(bench.property("Result"), "success", "{}", bench.journal());
    assert_eq!((bench.pins(), bench.programs()), (0, 0), "{}", bench.journal());
}

#[test]
fn the_watchdog_is_content_until_it_stands_still() {
    if cannot() {
        return;
    }
    let short = ("systemd/system/dhcp-observer.service.d/watchdog.conf", "[Service]\nWatchdogSec=3s\n");
    let bench = Bench::new(DUMP, &[short]);
    bench.systemctl(&["start"]);
    let microseconds = |name: &str| bench.property(name).parse::<u64>().unwrap();
    let started = microseconds("ActiveEnterTimestampMonotonic");
    // Longer than twice its limit, by its own word.
    wait::until("word to the watchdog", SOON, || {
        let heard = microseconds("WatchdogTimestampMonotonic");
        Ok((heard >= started + 7_000_000).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {}", bench.journal()));
    assert_eq!((bench.property("NRestarts"), bench.property("ActiveState")), ("0".into(), "active".into()));

    bench.systemctl(&["kill", "--kill-whom=main", "--signal=STOP"]);
    bench.wait_for("NRestarts", |restarts| restarts == "1");
    bench.wait_for("ActiveState", |state| state == "active");
    let address = bench.client(1).bind().unwrap().yiaddr.to_string();
    bench.call("leases4_committed", &address);
}
