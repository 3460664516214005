//! `pd-routes.sh` and the kernel's routing table.

use std::net::Ipv6Addr;

use observer_tests::client::message6::{Ia, Item6, Kind};
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::Script;
use observer_tests::traffic::{Station, Traffic};
use observer_tests::wait;

/// Our routes: prefix, next hop, interface.
pub fn routes(namespace: &Namespace) -> Vec<String> {
    let text = namespace.ip(&["-6", "route", "show", "proto", "219"]).unwrap();
    let route = |line: &str| line.split(" metric").next().unwrap_or_default().trim().to_owned();
    let mut routes: Vec<String> = text.lines().map(route).collect();
    routes.sort();
    routes
}

fn prefix(text: &str) -> [Ia; 1] {
    let item = Item6 { address: text.parse().unwrap(), prefix_length: 56, preferred: 1800, valid: 3600 };
    [Ia { items: vec![item], ..Ia::prefixes(1) }]
}

#[test]
fn a_delegated_prefix_is_routed_to_who_has_it() {
    require!(Need::Root);
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let namespace = &cable.server.namespace;
    // A route of the operator's own, which is nobody's business.
    namespace.ip(&["-6", "route", "add", "2001:db8:ffff::/48", "via", "2001:db8:1::99"]).unwrap();
    let script = Script::install(namespace, scratch.path(), "pd-routes", "").unwrap();
    let file = scratch.path().join("told.pcap");
    let relay: Ipv6Addr = "2001:db8:1::2".parse().unwrap();
    let near_relay: Ipv6Addr = "fe80::9".parse().unwrap();
    let none = Vec::new();
    let tell = |settle: &str, expected: &[&str], story: &dyn Fn(&mut Traffic)| {
        let mut traffic = Traffic::starting(wait::unix_now() - 60.0);
        story(&mut traffic);
        traffic.write(&file).unwrap();
        for time in ["first", "second"] {
            script.replay(&file, &["--settle", settle, "--iface-name", "s0"]).unwrap();
            assert_eq!(routes(namespace), expected, "the {time} time");
        }
    };
    let (a, b) = (prefix("2001:db8:8000::"), prefix("2001:db8:8000:100::"));
    let ask = |traffic: &mut Traffic, kind, station, prefix: &[Ia], relay| {
        traffic.exchange6(kind, station, prefix, &none, relay).unwrap();
        traffic.pass(5.0);
    };
    let direct = "2001:db8:8000::/56 via fe80::5eff:fe00:1 dev s0";
    // Locally administered hardware addresses have the universal bit of the interface identifier clear.
    assert_eq!(Station(1).link_local().to_string(), "fe80::5eff:fe00:1");
    let relayed = ["2001:db8:8000:100::/56 via 2001:db8:1::2 dev s0", direct];
    tell("0", &relayed, &|traffic| {
        ask(traffic, Kind::Request, Station(1), &a, None);
        ask(traffic, Kind::Request, Station(2), &b, Some(relay));
        ask(traffic, Kind::Renew, Station(1), &a, None);
    });
    // The client moves behind a relay that is known by its link-local address; the other gives its prefix back.
    tell("0", &["2001:db8:8000::/56 via fe80::9 dev s0"], &|traffic| {
        ask(traffic, Kind::Request, Station(1), &a, None);
        ask(traffic, Kind::Request, Station(2), &b, Some(relay));
        ask(traffic, Kind::Renew, Station(1), &a, Some(near_relay));
        ask(traffic, Kind::Release, Station(2), &b, Some(relay));
    });
    // Another client gets the prefix when the first has given it back.
    tell("0", &["2001:db8:8000::/56 via fe80::5eff:fe00:3 dev s0"], &|traffic| {
        ask(traffic, Kind::Request, Station(1), &a, None);
        ask(traffic, Kind::Release, Station(1), &a, None);
        ask(traffic, Kind::Request, Station(3), &a, None);
    });
    tell("7200", &[], &|traffic| ask(traffic, Kind::Request, Station(1), &a, None));
    assert!(namespace.ip(&["-6", "route"]).unwrap().contains("2001:db8:ffff::/48"));
}

#[test]
fn a_route_has_its_leases_end_and_needs_no_observer_variables() {
    require!(Need::Root);
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let namespace = &cable.server.namespace;
    let script = Script::install(namespace, scratch.path(), "pd-routes", "ROUTE_GRACE=0\n").unwrap();
    let now = (wait::unix_now() as u64).to_string();
    // As Kea itself calls it.
    let mut environment = vec![
        ("LEASES6_SIZE", "1"),
        ("LEASES6_AT0_ADDRESS", "2001:db8:8000::"),
        ("LEASES6_AT0_PREFIX_LEN", "56"),
        ("LEASES6_AT0_TYPE", "IA_PD"),
        ("LEASES6_AT0_STATE", "default"),
        ("LEASES6_AT0_CLTT", now.as_str()),
        ("LEASES6_AT0_VALID_LIFETIME", "600"),
        ("QUERY6_REMOTE_ADDR", "fe80::1"),
        ("QUERY6_IFACE_NAME", "s0"),
    ];
    script.succeed("leases6_committed", &environment).unwrap();
    assert_eq!(routes(namespace), ["2001:db8:8000::/56 via fe80::1 dev s0"]);
    let text = namespace.ip(&["-6", "route", "show", "proto", "219"]).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words.iter().position(|&word| word == "expires").unwrap();
    let seconds: u64 = words[at + 1].trim_end_matches("sec").parse().unwrap();
    assert!((500..=600).contains(&seconds), "{text}");
    // A call that comes long after its lease has ended sets no route, and removes an old one.
    environment[5].1 = "1000000000";
    script.succeed("leases6_committed", &environment).unwrap();
    assert!(routes(namespace).is_empty());
    // Without a way there is nothing that could be done.
    environment[5].1 = &now;
    environment[7].1 = "";
    let output = script.call("leases6_committed", &environment).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("2001:db8:8000::/56"));
}
