//! Scripts written for Kea by its public variables, in the manner of routers and firewalls, replayed and live.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use observer_tests::client::message4::option;
use observer_tests::client::message6::{Ia, Item6, Kind};
use observer_tests::client::v4::Client4;
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::observer::{Observer, binary};
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::servers::Lifetimes;
use observer_tests::servers::isc_dhcpd4::IscDhcpd4;
use observer_tests::traffic::{Options4, Station, Traffic};
use observer_tests::wait;

use crate::install;

const PATIENCE: Duration = Duration::from_secs(40);

/// Replays what the traffic says into a program; every call must have succeeded.
fn replay(mut command: Command, directory: &Path, program: &Path, settle: &str, traffic: &Traffic) {
    let file = directory.join("told.pcap");
    traffic.write(&file).unwrap();
    command.arg("replay").arg(&file).arg("--script").arg(program);
    command.args(["--iface-name", "s0", "--settle", settle]);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let hooks = stderr.lines().rev().find(|line| line.contains("hooks: ")).unwrap().to_owned();
    let count = |name: &str| {
        let mut words = hooks.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap_or("0").to_owned()
    };
    assert!(count("started") != "0" && count("started") == count("succeeded"), "{stderr}");
}

fn named(name: &str) -> Options4 {
    vec![(option::HOST_NAME, name.into())]
}

fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_router_keeps_the_names_of_its_clients_in_a_hosts_file() {
    let scratch = Scratch::new().unwrap();
    let program = install(scratch.path(), "hosts-of-leases");
    let mut traffic = Traffic::starting(wait::unix_now() - 60.0);
    let address = |last: u8| [192, 0, 2, last].into();
    let tell = |settle: &str, traffic: &Traffic, expected: &[&str]| {
        replay(Command::new(binary().unwrap()), scratch.path(), &program, settle, traffic);
        assert_eq!(lines(&scratch.path().join("hosts")), expected);
    };
    let bind = |traffic: &mut Traffic, station, last, name: &str| {
        traffic.bind4(Station(station), address(last), &Options4::new(), &named(name)).unwrap();
        traffic.pass(1.0);
    };
    bind(&mut traffic, 1, 101, "one.example.org");
    bind(&mut traffic, 2, 102, "two$(reboot)");
    bind(&mut traffic, 3, 103, "");
    let (one, two) = (
        "192.0.2.101 one.example.org # dhcp-server-192.0.2.101.",
        "192.0.2.102 tworeboot # dhcp-server-192.0.2.102.",
    );
    let three = "192.0.2.103 client-02-00-5e-00-00-03 # dhcp-server-192.0.2.103.";
    tell("0", &traffic, &[one, two, three]);
    // Another name at a renewal, a release, a decline.
    bind(&mut traffic, 1, 101, "uno");
    traffic.release4(Station(2), address(102), &Options4::new()).unwrap();
    traffic.decline4(Station(3), address(103), &Options4::new()).unwrap();
    tell("0", &traffic, &["192.0.2.101 uno # dhcp-server-192.0.2.101."]);
    // The end.
    tell("7200", &traffic, &[]);
}

#[test]
fn the_hosts_file_beside_a_server_that_is_not_kea() {
    require!(Need::Root, Need::Program("dhcpd"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let (a, b) = (scratch.directory("dhcpd").unwrap(), scratch.directory("observer").unwrap());
    let program = install(&b, "hosts-of-leases");
    let namespace = &cable.server.namespace;
    let _server = IscDhcpd4::new(Lifetimes::SHORT).start(namespace, &a).unwrap();
    let observer = Observer::start(namespace, &b, "s0", &program, &[]).unwrap();
    let mut one = Client4::new(&cable, 1).unwrap().host_name("One");
    let mut two = Client4::new(&cable, 2).unwrap().host_name("Two");
    one.bind().unwrap();
    two.bind().unwrap();
    let line = |address: &str, name: &str| format!("{address} {name} # dhcp-server-{address}.");
    let until = |expected: Vec<String>| {
        let same = || Ok((lines(&b.join("hosts")) == expected).then_some(()));
        wait::until(&format!("{expected:?}"), PATIENCE, same)
            .unwrap_or_else(|error| panic!("{error}: {:?}", lines(&b.join("hosts"))));
    };
    let (first, second) = (one.address().unwrap().to_string(), two.address().unwrap().to_string());
    let mut both = vec![line(&first, "one"), line(&second, "two")];
    both.sort();
    until(both);
    one.release().unwrap();
    until(vec![line(&second, "two")]);
    // Gone without a word: its lease lasts 20 s.
    until(vec![]);
    observer.stop().unwrap();
}

#[test]
fn a_firewall_routes_prefixes_and_names_addresses() {
    require!(Need::Root);
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let namespace = &cable.server.namespace;
    let program = install(scratch.path(), "prefixes-and-names");
    let data = scratch.directory("unbound").unwrap();
    let item = |address: &str, prefix_length| Item6 {
        address: address.parse().unwrap(),
        prefix_length,
        preferred: 1800,
        valid: 3600,
    };
    let both = [
        Ia { items: vec![item("2001:db8:1::7", 128)], ..Ia::addresses(1) },
        Ia { items: vec![item("2001:db8:8000::", 56)], ..Ia::prefixes(2) },
    ];
    let name = vec![(39, b"\x00\x04host\x07example\x00".to_vec())];
    let routes = || {
        let text = namespace.ip(&["-6", "route", "show", "proto", "77"]).unwrap();
        text.lines().map(|line| line.split(" metric").next().unwrap().trim().to_owned()).collect::<Vec<_>>()
    };
    let told = || {
        let files = std::fs::read_dir(&data).unwrap().map(|file| file.unwrap().path());
        files.map(|file| std::fs::read_to_string(file).unwrap()).collect::<Vec<_>>()
    };
    let tell = |settle: &str, traffic: &Traffic| {
        let binary = binary().unwrap();
        replay(namespace.command(binary.to_str().unwrap()), scratch.path(), &program, settle, traffic);
    };
    let mut traffic = Traffic::starting(wait::unix_now() - 60.0);
    traffic.exchange6(Kind::Request, Station(1), &both, &name, None).unwrap();
    tell("0", &traffic);
    let route = "2001:db8:8000::/56 via fe80::5eff:fe00:1 dev s0";
    let record = "local-data: \"host.example. IN AAAA 2001:db8:1::7\"\n";
    assert_eq!((routes(), told()), (vec![route.to_owned()], vec![record.to_owned()]));
    traffic.pass(5.0);
    traffic.exchange6(Kind::Renew, Station(1), &both, &name, None).unwrap();
    tell("0", &traffic);
    assert_eq!((routes(), told()), (vec![route.to_owned()], vec![record.to_owned()]));
    traffic.pass(5.0);
    traffic.exchange6(Kind::Release, Station(1), &both[1..], &vec![], None).unwrap();
    tell("0", &traffic);
    assert_eq!((routes(), told()), (vec![], vec![record.to_owned()]));
    tell("7200", &traffic);
    assert_eq!((routes(), told()), (vec![], vec![]));
}
