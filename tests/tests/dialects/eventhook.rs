//! A program after the contract of dhcpagent's event hook beside a real Kea, with crafted and real clients.

use std::path::Path;
use std::time::Duration;

use observer_tests::client::message4::Kind;
use observer_tests::client::message6::Ia;
use observer_tests::client::v4::Client4;
use observer_tests::client::v6::Client6;
use observer_tests::clients::any::Client;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::observer::Observer;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::wait;

use crate::install;

const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until this has happened so often.
fn happened(directory: &Path, event: &str, lease: &str, times: usize) {
    let line = format!("{event} {lease}");
    let file = directory.join("happened");
    let enough = || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        Ok((text.lines().filter(|found| *found == line).count() >= times).then_some(()))
    };
    wait::until(&format!("{times} times {line}"), PATIENCE, enough).unwrap_or_else(|error| {
        panic!("{error:?}\n{}", std::fs::read_to_string(&file).unwrap_or_default());
    });
}

/// Every file of the program's states is gone, and nothing was wrong.
fn all_is_over(directory: &Path) -> Vec<String> {
    let wrong = std::fs::read_to_string(directory.join("wrong")).unwrap_or_default();
    assert_eq!(wrong, "");
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name());
    let states: Vec<_> = files.filter(|name| name.to_string_lossy().starts_with("state.")).collect();
    assert!(states.is_empty(), "without an end: {states:?}");
    let text = std::fs::read_to_string(directory.join("happened")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn of(happened: &[String], lease: &str) -> Vec<String> {
    let lines = happened.iter().filter_map(|line| line.strip_suffix(&format!(" {lease}")));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_program_sees_the_promise_kept_beside_kea() {
    require!(Need::Root, Need::Program("kea-dhcp4"), Need::Program("udhcpc"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let (a, b) = (scratch.directory("kea").unwrap(), scratch.directory("observer").unwrap());
    let program = install(&b, "eventhook");
    let namespace = &cable.server.namespace;
    let config = Config::plain(Family::V4).unwrap().set("valid-lifetime", 12).set("authoritative", true);
    let _kea = Kea::start(namespace, &a, config, Path::new("/bin/true")).unwrap();
    let options = ["--dialect", "eventhook"];
    let observer = Observer::start(namespace, &b, "s0", &program, &options).unwrap();
    let client = |number| Client4::new(&cable, number).unwrap();

    // Released after renewals of each kind, and bound again.
    let mut one = client(11);
    one.bind().unwrap();
    one.renew().unwrap();
    one.rebind().unwrap();
    one.init_reboot(one.address().unwrap()).unwrap();
    let first = one.address().unwrap().to_string();
    one.release().unwrap();
    happened(&b, "RELEASE", &first, 1);
    // Declined.
    let mut two = client(12);
    two.bind().unwrap();
    let second = two.address().unwrap().to_string();
    two.decline().unwrap();
    happened(&b, "DROP", &second, 1);
    // Refused: it claims its address in another network, behind a relay.
    namespace.ip(&["route", "add", "198.51.100.0/24", "dev", "s0"]).unwrap();
    cable.server.neighbour("198.51.100.1", cable.client.mac).unwrap();
    let mut three = client(13);
    three.bind().unwrap();
    let third = three.address().unwrap();
    let mut three = three.through("198.51.100.1", None);
    let answer = three.init_reboot(third).unwrap();
    let third = third.to_string();
    assert!(answer.is(Kind::Nak), "{answer:?}");
    happened(&b, "DROP", &third, 1);
    // A real client.
    let directory = scratch.directory("udhcpc").unwrap();
    let mut real = Client::Udhcpc.start(&cable.client.namespace, &directory, "labhost").unwrap();
    real.settle().unwrap();
    real.renew().unwrap();
    real.settle().unwrap();
    real.release().unwrap();
    // Gone without a word.
    let mut four = client(14);
    four.bind().unwrap();
    let fourth = four.address().unwrap().to_string();
    happened(&b, "EXPIRE", &fourth, 1);
    let ended = observer.stop().unwrap();
    assert!(!ended.stdout.contains("nobody reads this") && !ended.stderr.contains("nobody reads this"));

    let happened = all_is_over(&b);
    assert_eq!(of(&happened, &first)[..5], ["BOUND", "EXTEND", "EXTEND", "EXTEND", "RELEASE"]);
    assert_eq!(of(&happened, &second), ["BOUND", "DROP"]);
    assert_eq!(of(&happened, &third)[..2], ["BOUND", "DROP"]);
    assert_eq!(of(&happened, &fourth).last().unwrap(), "EXPIRE");
    // udhcpc was given an address of its own, or one that was free again.
    let count = |event: &str| happened.iter().filter(|line| line.starts_with(event)).count();
    assert_eq!(count("BOUND"), 5, "{happened:?}");
    assert_eq!(count("RELEASE"), 2, "{happened:?}");
    assert!(count("EXTEND") >= 4, "{happened:?}");
}

#[test]
fn each_address_and_prefix_of_dhcpv6_has_a_promise_of_its_own() {
    require!(Need::Root, Need::Program("kea-dhcp6"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let (a, b) = (scratch.directory("kea").unwrap(), scratch.directory("observer").unwrap());
    let program = install(&b, "eventhook");
    let namespace = &cable.server.namespace;
    let config = Config::plain(Family::V6).unwrap().set("valid-lifetime", 8).set("preferred-lifetime", 8);
    let _kea = Kea::start(namespace, &a, config, Path::new("/bin/true")).unwrap();
    let options = ["--dialect", "eventhook"];
    let observer = Observer::start(namespace, &b, "s0", &program, &options).unwrap();
    let both = || vec![Ia::addresses(1), Ia::prefixes(2)];
    let mut one = Client6::new(&cable, 21, both()).unwrap();
    one.bind().unwrap();
    let (address, prefix) = (one.address(0).unwrap().to_string(), one.address(1).unwrap().to_string());
    one.renew().unwrap();
    one.rebind().unwrap();
    one.release().unwrap();
    happened(&b, "RELEASE", &address, 1);
    happened(&b, "RELEASE", &prefix, 1);
    let mut two = Client6::new(&cable, 22, both()).unwrap();
    two.bind().unwrap();
    let (other, left) = (two.address(0).unwrap().to_string(), two.address(1).unwrap().to_string());
    two.decline().unwrap();
    happened(&b, "DROP", &other, 1);
    happened(&b, "EXPIRE", &left, 1);
    observer.stop().unwrap();
    let happened = all_is_over(&b);
    for lease in [&address, &prefix] {
        assert_eq!(of(&happened, lease)[..4], ["BOUND", "EXTEND", "EXTEND", "RELEASE"], "{happened:?}");
    }
    assert_eq!(of(&happened, &other), ["BOUND", "DROP"], "{happened:?}");
}
