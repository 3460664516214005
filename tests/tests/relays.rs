//! The observer beside a server whose clients are behind relays: binding through them, renewing past them, rebinding
//! through them again.

use observer_tests::call::Call;
use observer_tests::clients::any::Client;
use observer_tests::clients::{dhclient, dhcpcd};
use observer_tests::course::{Course, NAME};
use observer_tests::need::{self, Need};
use observer_tests::parallel;
use observer_tests::relay::{GIADDR, Network};
use observer_tests::scratch::Scratch;
use observer_tests::servers::any::Server;
use observer_tests::story::Fact;
use observer_tests::watch::Seen;

/// What stands between server and client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relay {
    Dhcrelay,
    NestedDhcrelay,
    Dnsmasq,
}

impl Relay {
    fn program(self) -> &'static str {
        match self {
            Self::Dhcrelay | Self::NestedDhcrelay => "dhcrelay",
            Self::Dnsmasq => "dnsmasq",
        }
    }
}

fn run(relay: Relay, course: &Course<'_>) -> Seen {
    let scratch = Scratch::new().unwrap();
    let network = Network::relayed(relay == Relay::NestedDhcrelay).unwrap();
    let _relays = match relay {
        Relay::Dnsmasq => network.dnsmasq(scratch.path()).unwrap(),
        Relay::Dhcrelay | Relay::NestedDhcrelay => {
            network.dhcrelay(scratch.path(), course.client.is_v6()).unwrap()
        }
    };
    course.run(&network.server, &network.client, scratch.path()).unwrap_or_else(|error| panic!("{error:?}"))
}

/// What DHCPv4 hooks hear of the relay: all of it when the question came through, nothing when it was routed past.
fn v4(relay: Relay, course: Course<'_>) {
    let name: &[Fact<'_>] = &[("HOSTNAME", "far-host")];
    assert_eq!(NAME.to_lowercase(), name[0].1);
    let course = Course {
        // Of two dhcrelays in a row the outer one overhears renewals as well, in the name of a network without clients;
        // the refusal gets through to the client, sometimes before the answer.
        renews: relay != Relay::NestedDhcrelay,
        // dhcrelay reads frames, not sockets.
        overheard: relay != Relay::Dnsmasq,
        facts: name,
        ..course
    };
    let seen = run(relay, &course);
    let mut through = 0;
    let is_about_a_lease = |call: &&Call| {
        call.get("QUERY4_TYPE") == Some("DHCPREQUEST")
            && call.any(&["LEASE4_ADDRESS", "LEASES4_AT0_ADDRESS"]).is_some()
    };
    for call in seen.calls.iter().filter(is_about_a_lease) {
        let event = call.get("OBSERVER_EVENT").unwrap();
        let get = |name: &str| call.get(name).unwrap_or("not set");
        let hops = if relay == Relay::NestedDhcrelay { "2" } else { "1" };
        if event == "renew" {
            let address = call.any(&["LEASE4_ADDRESS", "LEASES4_AT0_ADDRESS"]);
            let past = [
                ("QUERY4_RELAYED", "false"),
                ("QUERY4_GIADDR", "0.0.0.0"),
                ("QUERY4_HOPS", "0"),
                ("QUERY4_OPTION_82", "not set"),
            ];
            assert_eq!(past.map(|(name, _)| get(name)), past.map(|(_, value)| value), "{event}: {call:?}");
            assert_eq!(Some(get("QUERY4_REMOTE_ADDR")), address, "{call:?}");
            continue;
        }
        through += 1;
        let told = [
            ("QUERY4_RELAYED", "true"),
            ("QUERY4_GIADDR", GIADDR),
            ("QUERY4_HOPS", hops),
            ("QUERY4_REMOTE_PORT", "67"),
        ];
        assert_eq!(told.map(|(name, _)| get(name)), told.map(|(_, value)| value), "{event}: {call:?}");
        // The frame is the relay's, the lease the client's.
        assert_eq!(get("QUERY4_REMOTE_HWADDR"), "02:00:00:00:01:02", "{call:?}");
        assert_eq!(get("QUERY4_HWADDR"), "02:00:00:00:00:02", "{call:?}");
        match relay {
            // dhcrelay writes the name of the interface into the circuit-id: "lower".
            Relay::Dhcrelay | Relay::NestedDhcrelay => {
                assert_eq!(get("QUERY4_OPTION_82_SUB_OPTION_1"), "0x6C6F776572", "{call:?}");
            }
            Relay::Dnsmasq => assert_eq!(get("QUERY4_OPTION_82"), "not set", "{call:?}"),
        }
    }
    // The lease was bound twice and rebound at least once, with two hook points.
    assert!(through >= 4, "{through}");
}

/// DHCPv6 clients speak through the relay whatever they ask.
fn v6(relay: Relay, course: Course<'_>) {
    let facts: &[Fact<'_>] = &[("DUID", "00:03:00:01:02:00:00:00:00:02")];
    let seen = run(relay, &Course { facts, ..course });
    for call in seen.calls.iter().filter(|call| call.get("QUERY6_TYPE").is_some()) {
        assert_eq!(call.get("QUERY6_REMOTE_PORT"), Some("547"), "{call:?}");
        let remote = call.get("QUERY6_REMOTE_ADDR").unwrap();
        assert!(remote == "2001:db8:1::2" || remote.starts_with("fe80::"), "{call:?}");
    }
}

const CASES: [(&str, Server, Relay, Client); 10] = [
    ("dhcpd4_behind_dhcrelay", Server::Dhcpd4, Relay::Dhcrelay, Client::Dhclient(dhclient::Wants::V4)),
    (
        "dhcpd4_behind_nested_dhcrelays",
        Server::Dhcpd4,
        Relay::NestedDhcrelay,
        Client::Dhcpcd(dhcpcd::Wants::V4),
    ),
    ("dhcpd4_behind_dnsmasq", Server::Dhcpd4, Relay::Dnsmasq, Client::Dhcpcd(dhcpcd::Wants::V4)),
    ("dnsmasq4_behind_dhcrelay", Server::Dnsmasq, Relay::Dhcrelay, Client::Udhcpc),
    ("kea4_behind_dhcrelay", Server::Kea4, Relay::Dhcrelay, Client::Dhclient(dhclient::Wants::V4)),
    (
        "dhcpd6_behind_dhcrelay",
        Server::Dhcpd6,
        Relay::Dhcrelay,
        Client::Dhclient(dhclient::Wants::AddressAndPrefix6),
    ),
    ("dhcpd6_behind_nested_dhcrelays", Server::Dhcpd6, Relay::NestedDhcrelay, Client::WideDhcp6c(true)),
    (
        "dhcpd6_behind_dnsmasq",
        Server::Dhcpd6,
        Relay::Dnsmasq,
        Client::Dhcpcd(dhcpcd::Wants::AddressAndPrefix6),
    ),
    ("dnsmasq6_behind_dhcrelay", Server::Dnsmasq, Relay::Dhcrelay, Client::Dhcpcd(dhcpcd::Wants::Address6)),
    (
        "kea6_behind_nested_dhcrelays",
        Server::Kea6,
        Relay::NestedDhcrelay,
        Client::Dhcpcd(dhcpcd::Wants::AddressAndPrefix6),
    ),
];

#[test]
fn every_server_behind_relays() {
    let case = |(name, server, relay, client): (&'static str, Server, Relay, Client)| -> parallel::Case {
        let course = Course::of(server, client);
        let work = move || {
            let needs = [course.needs(), vec![Need::Program(relay.program())]].concat();
            match need::missing(&needs) {
                Some(_) => {}
                None if client.is_v6() => v6(relay, course),
                None => v4(relay, course),
            }
        };
        (name, Box::new(work))
    };
    parallel::all(CASES.map(case).into());
}
