//! Start, reload, stop, upgrade, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use observer_tests::client::message4::Kind;
use observer_tests::need::Need;
use observer_tests::{require, wait};

use crate::bench::{Bench, CONFIG, DUMP, SOON, UNIT, cannot, config, set, shell_hook};

#[test]
fn it_starts_reloads_and_stops() {
    require!(Need::Program("curl"), Need::Program("setpriv"));
    if cannot() {
        return;
    }
    let log = "[log]\nformat = \"journald\"\n[control]\ngroup = \"adm\"\nmetrics = \"127.0.0.1:9167\"\n";
    let bench = Bench::new(&format!("{DUMP}{log}"), &[]);
    let script = "echo begun >/mnt/begun; sleep 1; echo ended >/mnt/ended";
    let slow = shell_hook(&bench, "slow", script, "events = [\"lease4_release\"]");
    bench.systemctl(&["enable", "--now"]);
    assert_eq!(bench.property("ActiveState"), "active");
    assert_eq!(bench.property("StatusText"), "observing s0");
    // systemd took it for started when everything was attached, and not before. Stamps are in microseconds, of the sender.
    bench.wait_for_journal("ready: ");
    let ready = bench.records(&["--grep=^ready: "]).remove(0);
    let ready = ready["_SOURCE_REALTIME_TIMESTAMP"].as_str().unwrap().parse::<u64>().unwrap();
    let active = bench.machine.run(&["date", "--date", &bench.property("ActiveEnterTimestamp"), "+%s%6N"]);
    let active = active.unwrap().trim().parse::<u64>().unwrap();
    assert!(ready <= active && active - ready < 60_000_000, "active at {active}, ready at {ready}");
    let journal = bench.journal();
    assert!(bench.pins() > 0 && bench.programs() == 2, "{journal}");

    let mut client = bench.client(1);
    let address = client.bind().unwrap().yiaddr.to_string();
    bench.call("leases4_committed", &address);
    let status = bench.status();
    assert_eq!(status["gauges"]["leases4"], 1, "{status:#}");
    assert_eq!(status["interfaces"][0]["name"], "s0");

    // What looks at frames has a user of its own and no rights.
    let status = bench.machine.path(&format!("/proc/{}/status", bench.property("MainPID")));
    let status = fs::read_to_string(status).unwrap();
    let user = bench.machine.run(&["id", "--user", "dhcp-observer"]).unwrap();
    let all_four = [user.trim(); 4].join("\t");
    assert!(user.trim() != "0" && status.contains(&format!("Uid:\t{all_four}\n")), "{user} {status}");
    assert_eq!((set(&status, "CapPrm"), set(&status, "CapBnd")), (0, 0), "{status}");
    // So does what it keeps, which root's commands read all the same.
    let owner = bench.machine.run(&["stat", "--format=%U %a", "/var/lib/dhcp-observer"]).unwrap();
    assert_eq!(owner, "dhcp-observer 700\n");
    let events = bench.machine.run(&["dhcp-observer", "events"]).unwrap();
    assert!(events.contains(&address), "{events}");
    let ask = |group: &str| {
        let words = ["setpriv", "--reuid=nobody", group, "--clear-groups", "dhcp-observer", "status"];
        bench.machine.output(&words).unwrap()
    };
    let (member, stranger) = (ask("--regid=adm"), ask("--regid=nogroup"));
    assert!(member.status.success() && !stranger.status.success(), "{member:?} {stranger:?}");
    let metrics =
        bench.machine.run(&["curl", "--silent", "--fail", "http://127.0.0.1:9167/metrics"]).unwrap();
    assert!(metrics.contains("dhcp_observer_leases"), "{metrics}");

    // A file that is wrong changes nothing, and it is said what is wrong with it.
    bench.machine.write(CONFIG, &config("[[hook]]\nname = \"x\"\n")).unwrap();
    let refused = bench.machine.output(&["systemctl", "reload", UNIT]).unwrap();
    assert!(!refused.status.success(), "{}", bench.journal());
    bench.wait_for_journal("config.toml:3");
    assert_eq!(bench.property("ActiveState"), "active");
    assert!(client.renew().unwrap().is(Kind::Ack));
    bench.call("lease4_renew", &address);

    // What only root may read is read again all the same.
    let private = bench.machine.shared().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    fs::rename(bench.machine.shared().join("slow"), private.join("slow")).unwrap();
    let slow = slow.replace("/mnt/slow", "/mnt/private/slow");
    bench.machine.write("/etc/kea/kea.conf", &fs::read_to_string(bench.kea.config()).unwrap()).unwrap();
    let server = "[server]\nkea_config = [\"/etc/kea/kea.conf\"]\n";
    bench.machine.write(CONFIG, &config(&format!("{DUMP}{slow}{log}{server}"))).unwrap();
    bench.machine.run(&["chmod", "0700", "/etc/kea", "/etc/dhcp-observer"]).unwrap();
    let before = bench.property("MainPID");
    bench.systemctl(&["reload"]);
    bench.wait_for("ActiveState", |state| state == "active");
    wait::until("second hook", SOON, || {
        Ok((bench.status()["hooks"].as_array().map(Vec::len) == Some(2)).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {}", bench.journal()));
    assert_eq!(bench.property("MainPID"), before);

    // A hook that runs when it is stopped is let end.
    client.release().unwrap();
    bench.call("lease4_release", &address);
    bench.told("begun");
    bench.systemctl(&["stop"]);
    let journal = bench.journal();
    assert_eq!(bench.property("Result"), "success", "{journal}");
    assert_eq!((bench.property("ExecMainCode"), bench.property("ExecMainStatus")), ("1".into(), "0".into()));
    assert_eq!(bench.property("NRestarts"), "0");
    assert!(bench.machine.shared().join("ended").exists(), "{journal}");
    assert_eq!((bench.pins(), bench.programs()), (0, 0), "{journal}");
    let left = fs::read_dir(bench.machine.path("/sys/fs/bpf/dhcp-observer")).unwrap().count();
    assert!(left == 0 && !bench.machine.path("/run/dhcp-observer").exists(), "{left}: {journal}");
    assert!(bench.machine.path("/var/lib/dhcp-observer/observer.db").exists());
}

/// An upgrade: what is pinned outlives a stop where the operator asks for it, and nothing that comes meanwhile is missed.
#[test]
fn asked_to_keep_it_leaves_the_capture_to_the_next() {
    if cannot() {
        return;
    }
    let keep = (
        "systemd/system/dhcp-observer.service.d/keep.conf",
        "[Service]\nExecStart=\nExecStart=/usr/sbin/dhcp-observer --user dhcp-observer --keep\n",
    );
    let bench = Bench::new(DUMP, &[keep]);
    bench.systemctl(&["start"]);
    bench.systemctl(&["stop"]);
    assert_eq!(bench.property("Result"), "success", "{}", bench.journal());
    assert!(bench.pins() > 0 && bench.programs() == 2, "{}", bench.journal());
    let address = bench.client(1).bind().unwrap().yiaddr.to_string();
    bench.systemctl(&["restart"]);
    assert_eq!(bench.call("leases4_committed", &address).get("OBSERVER_LATE"), Some("1"));
    bench.systemctl(&["stop"]);
    let told = bench.machine.run(&["dhcp-observer", "detach"]).unwrap();
    assert_eq!((bench.pins(), bench.programs()), (0, 0), "{told}");
}

/// What is wrong is said where an operator looks, by `systemctl start` and in the journal.
#[test]
fn it_does_not_start_with_what_cannot_be() {
    if cannot() {
        return;
    }
    let bench = Bench::new("[[hook]]\nname = \"x\"\n", &[]);
    let refused = |text: &str| {
        let output = bench.machine.output(&["systemctl", "start", UNIT]).unwrap();
        assert!(!output.status.success(), "{}", bench.journal());
        bench.wait_for_journal(text);
        assert_eq!(bench.property("Result"), "exit-code");
        bench.systemctl(&["stop"]);
        assert_eq!((bench.pins(), bench.programs()), (0, 0));
    };
    refused("config.toml:3");
    // An interface that is not there, and a right that the unit does not give.
    bench.machine.write(CONFIG, &format!("[[interface]]\nname = \"none0\"\n{DUMP}")).unwrap();
    refused("none0");
    // It is tried again until the interface has come.
    assert!(!bench.machine.output(&["systemctl", "start", UNIT]).unwrap().status.success());
    bench
        .cable
        .server
        .namespace
        .ip(&["link", "add", "none0", "type", "veth", "peer", "name", "none1"])
        .unwrap();
    bench.wait_for("ActiveState", |state| state == "active");
    bench.systemctl(&["stop"]);
    bench.machine.write(CONFIG, &config(&format!("{DUMP}[capture]\npromiscuous = true\n"))).unwrap();
    refused("CAP_NET_RAW");
    let users = bench.machine.path("/etc/passwd");
    let known = fs::read_to_string(&users).unwrap();
    let others: Vec<_> = known.lines().filter(|line| !line.starts_with("dhcp-observer:")).collect();
    fs::write(&users, others.join("\n") + "\n").unwrap();
    refused("there is no user \"dhcp-observer\"");
    fs::write(&users, known).unwrap();
    let more = "[Service]\nCapabilityBoundingSet=CAP_NET_RAW\n";
    bench.machine.write("/etc/systemd/system/dhcp-observer.service.d/promiscuous.conf", more).unwrap();
    bench.machine.run(&["systemctl", "daemon-reload"]).unwrap();
    bench.systemctl(&["start"]);
    bench.systemctl(&["stop"]);
}
