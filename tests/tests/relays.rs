//! The observer beside a server whose clients are behind relays: binding through them, renewing past them, rebinding
//! through them again.

use observer_tests::call::Call;
use observer_tests::clients::any::Client;
use observer_tests::clients::{dhclient, dhcpcd};
use observer_tests::course::{Course, NAME};
use observer_tests::need::Need;
use observer_tests::parallel;
use observer_tests::relay::{GIADDR, Network};
use observer_tests::require;
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

fn run(server: Server, relay: Relay, client: Client, course: &Course<'_>) -> Seen {
    let scratch = Scratch::new().unwrap();
    let network = Network::relayed(relay == Relay::NestedDhcrelay).unwrap();
    let v6 =
        matches!(client, Client::Dhclient(dhclient::Wants::AddressAndPrefix6 | dhclient::Wants::Address6))
            || matches!(client, Client::Dhcpcd(dhcpcd::Wants::AddressAndPrefix6 | dhcpcd::Wants::Address6))
            || matches!(client, Client::WideDhcp6c(_));
    let _relays = match relay {
        Relay::Dnsmasq => network.dnsmasq(scratch.path()).unwrap(),
        Relay::Dhcrelay | Relay::NestedDhcrelay => network.dhcrelay(scratch.path(), v6).unwrap(),
    };
    let course = Course { server, client, ..*course };
    course.run(&network.server, &network.client, scratch.path()).unwrap_or_else(|error| panic!("{error:?}"))
}

/// What DHCPv4 hooks hear of the relay: all of it when the question came through, nothing when it was routed past.
fn v4(server: Server, relay: Relay, client: Client) {
    let name: &[Fact<'_>] = &[("HOSTNAME", "far-host")];
    assert_eq!(NAME.to_lowercase(), name[0].1);
    let course = Course {
        server,
        client,
        // Of two dhcrelays in a row the outer one overhears renewals as well, in the name of a network without clients;
        // the refusal gets through to the client, sometimes before the answer.
        renews: relay != Relay::NestedDhcrelay,
        rebinds: true,
        // dhcrelay reads frames, not sockets.
        overheard: relay != Relay::Dnsmasq,
        leases: 1,
        facts: name,
        options: &[],
    };
    let seen = run(server, relay, client, &course);
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
fn v6(server: Server, relay: Relay, client: Client, leases: usize, rebinds: bool) {
    let facts: &[Fact<'_>] = &[("DUID", "00:03:00:01:02:00:00:00:00:02")];
    let course =
        Course { server, client, renews: true, rebinds, overheard: false, leases, facts, options: &[] };
    let seen = run(server, relay, client, &course);
    for call in seen.calls.iter().filter(|call| call.get("QUERY6_TYPE").is_some()) {
        assert_eq!(call.get("QUERY6_REMOTE_PORT"), Some("547"), "{call:?}");
        let remote = call.get("QUERY6_REMOTE_ADDR").unwrap();
        assert!(remote == "2001:db8:1::2" || remote.starts_with("fe80::"), "{call:?}");
    }
}

fn dhcpd4_behind_dhcrelay() {
    require!(
        Need::Root,
        Need::Program("tcpdump"),
        Need::Program("dhcpd"),
        Need::Program("dhcrelay"),
        Need::Program("dhclient")
    );
    v4(Server::Dhcpd4, Relay::Dhcrelay, Client::Dhclient(dhclient::Wants::V4));
}

fn dhcpd4_behind_nested_dhcrelays() {
    require!(
        Need::Root,
        Need::Program("tcpdump"),
        Need::Program("dhcpd"),
        Need::Program("dhcrelay"),
        Need::Program("dhcpcd")
    );
    v4(Server::Dhcpd4, Relay::NestedDhcrelay, Client::Dhcpcd(dhcpcd::Wants::V4));
}

fn dhcpd4_behind_dnsmasq() {
    require!(
        Need::Root,
        Need::Program("tcpdump"),
        Need::Program("dhcpd"),
        Need::Program("dnsmasq"),
        Need::Program("dhcpcd")
    );
    v4(Server::Dhcpd4, Relay::Dnsmasq, Client::Dhcpcd(dhcpcd::Wants::V4));
}

fn dnsmasq4_behind_dhcrelay() {
    require!(
        Need::Root,
        Need::Program("tcpdump"),
        Need::Program("dnsmasq"),
        Need::Program("dhcrelay"),
        Need::Program("udhcpc")
    );
    v4(Server::Dnsmasq, Relay::Dhcrelay, Client::Udhcpc);
}

fn kea4_behind_dhcrelay() {
    require!(
        Need::Root,
        Need::Program("tcpdump"),
        Need::Program("kea-dhcp4"),
        Need::Program("dhcrelay"),
        Need::Program("dhclient")
    );
    v4(Server::Kea4, Relay::Dhcrelay, Client::Dhclient(dhclient::Wants::V4));
}

fn dhcpd6_behind_dhcrelay() {
    require!(
        Need::Root,
        Need::Program("tcpdump"),
        Need::Program("dhcpd"),
        Need::Program("dhcrelay"),
        Need::Program("dhclient")
    );
    v6(Server::Dhcpd6, Relay::Dhcrelay, Client::Dhclient(dhclient::Wants::AddressAndPrefix6), 2, true);
}

fn dhcpd6_behind_nested_dhcrelays() {
    require!(
        Need::Root,
        Need::Program("tcpdump"),
        Need::Program("dhcpd"),
        Need::Program("dhcrelay"),
        Need::Program("dhcp6c")
    );
    v6(Server::Dhcpd6, Relay::NestedDhcrelay, Client::WideDhcp6c(true), 2, false);
}

fn dhcpd6_behind_dnsmasq() {
    require!(
        Need::Root,
        Need::Program("tcpdump"),
        Need::Program("dhcpd"),
        Need::Program("dnsmasq"),
        Need::Program("dhcpcd")
    );
    v6(Server::Dhcpd6, Relay::Dnsmasq, Client::Dhcpcd(dhcpcd::Wants::AddressAndPrefix6), 2, true);
}

fn dnsmasq6_behind_dhcrelay() {
    require!(
        Need::Root,
        Need::Program("tcpdump"),
        Need::Program("dnsmasq"),
        Need::Program("dhcrelay"),
        Need::Program("dhcpcd")
    );
    v6(Server::Dnsmasq, Relay::Dhcrelay, Client::Dhcpcd(dhcpcd::Wants::Address6), 1, false);
}

fn kea6_behind_nested_dhcrelays() {
    require!(
        Need::Root,
        Need::Program("tcpdump"),
        Need::Program("kea-dhcp6"),
        Need::Program("dhcrelay"),
        Need::Program("dhcpcd")
    );
    v6(Server::Kea6, Relay::NestedDhcrelay, Client::Dhcpcd(dhcpcd::Wants::AddressAndPrefix6), 2, true);
}

#[test]
fn every_server_behind_relays() {
    parallel::all(vec![
        ("dhcpd4_behind_dhcrelay", Box::new(dhcpd4_behind_dhcrelay)),
        ("dhcpd4_behind_nested_dhcrelays", Box::new(dhcpd4_behind_nested_dhcrelays)),
        ("dhcpd4_behind_dnsmasq", Box::new(dhcpd4_behind_dnsmasq)),
        ("dnsmasq4_behind_dhcrelay", Box::new(dnsmasq4_behind_dhcrelay)),
        ("kea4_behind_dhcrelay", Box::new(kea4_behind_dhcrelay)),
        ("dhcpd6_behind_dhcrelay", Box::new(dhcpd6_behind_dhcrelay)),
        ("dhcpd6_behind_nested_dhcrelays", Box::new(dhcpd6_behind_nested_dhcrelays)),
        ("dhcpd6_behind_dnsmasq", Box::new(dhcpd6_behind_dnsmasq)),
        ("dnsmasq6_behind_dhcrelay", Box::new(dnsmasq6_behind_dhcrelay)),
        ("kea6_behind_nested_dhcrelays", Box::new(kea6_behind_nested_dhcrelays)),
    ]);
}
