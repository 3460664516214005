//! The observer beside every server with every client, from the first lease to the last event.

use std::time::Duration;

use observer_tests::clients::any::Client;
use observer_tests::clients::{dhclient, dhcpcd};
use observer_tests::course::{Course, NAME};
use observer_tests::need::Need;
use observer_tests::parallel;
use observer_tests::relay::Network;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::servers::Lifetimes;
use observer_tests::servers::any::Server;
use observer_tests::story::{Fact, Story, balance};
use observer_tests::watch::Watch;

/// The longest wait for an event.
const PATIENCE: Duration = Duration::from_secs(60);

fn pair(server: Server, client: Client) {
    let (scratch, network) = (Scratch::new().unwrap(), Network::direct().unwrap());
    let v6 = !matches!(server, Server::Dhcpd4 | Server::Kea4 | Server::Udhcpd)
        && !matches!(
            client,
            Client::Udhcpc | Client::Dhclient(dhclient::Wants::V4) | Client::Dhcpcd(dhcpcd::Wants::V4)
        );
    let duid: &[Fact<'_>] = &[("DUID", "00:03:00:01:02:00:00:00:00:02")];
    let name: &[Fact<'_>] = match client {
        // It sends no name.
        Client::WideDhcp6c(_) => &[("HOSTNAME", "")],
        _ if v6 => &[("HOSTNAME", "far-host.")],
        _ => &[("HOSTNAME", "far-host")],
    };
    let leases = match client {
        Client::Dhclient(dhclient::Wants::AddressAndPrefix6)
        | Client::Dhcpcd(dhcpcd::Wants::AddressAndPrefix6)
        | Client::WideDhcp6c(true) => 2,
        _ => 1,
    };
    // dnsmasq has a T2 of 105 s in DHCPv6, and dhcp6c solicits anew when its renewals go unanswered.
    let rebinds = !(v6 && server == Server::Dnsmasq || matches!(client, Client::WideDhcp6c(_)));
    let facts = if v6 { [duid, name].concat() } else { name.to_vec() };
    let course = Course {
        server,
        client,
        renews: true,
        rebinds,
        overheard: false,
        leases,
        facts: &facts,
        options: &[],
    };
    course.run(&network.server, &network.client, scratch.path()).unwrap_or_else(|error| panic!("{error:?}"));
}

/// A temporary address is never renewed, and dhclient's release of one names none.
fn dhcpd6_and_dhclient_temporary() {
    require!(Need::Root, Need::Program("tcpdump"), Need::Program("dhcpd"), Need::Program("dhclient"));
    let (scratch, network) = (Scratch::new().unwrap(), Network::direct().unwrap());
    let directory = scratch.directory("server").unwrap();
    let _server = Server::Dhcpd6.start(&network.server.namespace, &directory, Lifetimes::SHORT).unwrap();
    let watch = Watch::start(&network.server, scratch.path(), &[]).unwrap();
    let directory = scratch.directory("client").unwrap();
    let client = Client::Dhclient(dhclient::Wants::Temporary6);
    let mut client = client.start(&network.client.namespace, &directory, NAME).unwrap();
    watch.wait_for("commit", 1, PATIENCE).unwrap();
    client.vanish().unwrap();
    watch.wait_for("expire", 1, PATIENCE).unwrap();
    let seen = watch.finish(Lifetimes::SHORT.valid + 1).unwrap();
    let facts =
        [("TYPE", "IA_TA"), ("HOSTNAME", "far-host."), ("PREFERRED_LIFETIME", "20"), ("PREFIX_LEN", "128")];
    let story = Story { leases: 1, lives: &[&["commit", "expire"]], overheard: false, facts: &facts };
    story.judge(&seen.calls).unwrap_or_else(|report| panic!("live:\n{report}"));
    story.judge(&seen.replayed).unwrap_or_else(|report| panic!("replay:\n{report}"));
    balance(&seen.calls, &seen.frames).unwrap();
}

macro_rules! pairs {
    ($($case:ident: $server:ident, $client:expr, $($program:literal)+;)+) => {
        $(fn $case() {
            require!(Need::Root, Need::Program("tcpdump"), $(Need::Program($program)),+);
            pair(Server::$server, $client);
        })+

        #[test]
        fn every_server_with_every_client() {
            parallel::all(vec![
                ("dhcpd6_and_dhclient_temporary", Box::new(dhcpd6_and_dhclient_temporary)),
                $((stringify!($case), Box::new($case))),+
            ]);
        }
    };
}

pairs! {
    dhcpd4_and_dhclient: Dhcpd4, Client::Dhclient(dhclient::Wants::V4), "dhcpd" "dhclient";
    dhcpd4_and_dhcpcd: Dhcpd4, Client::Dhcpcd(dhcpcd::Wants::V4), "dhcpd" "dhcpcd";
    dhcpd4_and_udhcpc: Dhcpd4, Client::Udhcpc, "dhcpd" "udhcpc";
    dnsmasq4_and_dhclient: Dnsmasq, Client::Dhclient(dhclient::Wants::V4), "dnsmasq" "dhclient";
    dnsmasq4_and_dhcpcd: Dnsmasq, Client::Dhcpcd(dhcpcd::Wants::V4), "dnsmasq" "dhcpcd";
    dnsmasq4_and_udhcpc: Dnsmasq, Client::Udhcpc, "dnsmasq" "udhcpc";
    udhcpd_and_dhclient: Udhcpd, Client::Dhclient(dhclient::Wants::V4), "udhcpd" "dhclient";
    udhcpd_and_dhcpcd: Udhcpd, Client::Dhcpcd(dhcpcd::Wants::V4), "udhcpd" "dhcpcd";
    udhcpd_and_udhcpc: Udhcpd, Client::Udhcpc, "udhcpd" "udhcpc";
    kea4_and_dhclient: Kea4, Client::Dhclient(dhclient::Wants::V4), "kea-dhcp4" "dhclient";
    kea4_and_dhcpcd: Kea4, Client::Dhcpcd(dhcpcd::Wants::V4), "kea-dhcp4" "dhcpcd";
    kea4_and_udhcpc: Kea4, Client::Udhcpc, "kea-dhcp4" "udhcpc";

    dhcpd6_and_dhclient: Dhcpd6, Client::Dhclient(dhclient::Wants::Address6), "dhcpd" "dhclient";
    dhcpd6_and_dhclient_prefix: Dhcpd6, Client::Dhclient(dhclient::Wants::Prefix6), "dhcpd" "dhclient";
    dhcpd6_and_dhclient_both: Dhcpd6, Client::Dhclient(dhclient::Wants::AddressAndPrefix6), "dhcpd" "dhclient";
    dhcpd6_and_dhcpcd: Dhcpd6, Client::Dhcpcd(dhcpcd::Wants::AddressAndPrefix6), "dhcpd" "dhcpcd";
    dhcpd6_and_dhcp6c: Dhcpd6, Client::WideDhcp6c(true), "dhcpd" "dhcp6c";
    dnsmasq6_and_dhclient: Dnsmasq, Client::Dhclient(dhclient::Wants::Address6), "dnsmasq" "dhclient";
    dnsmasq6_and_dhcpcd: Dnsmasq, Client::Dhcpcd(dhcpcd::Wants::Address6), "dnsmasq" "dhcpcd";
    dnsmasq6_and_dhcp6c: Dnsmasq, Client::WideDhcp6c(false), "dnsmasq" "dhcp6c";
    kea6_and_dhclient_both: Kea6, Client::Dhclient(dhclient::Wants::AddressAndPrefix6), "kea-dhcp6" "dhclient";
    kea6_and_dhcpcd: Kea6, Client::Dhcpcd(dhcpcd::Wants::AddressAndPrefix6), "kea-dhcp6" "dhcpcd";
    kea6_and_dhcp6c: Kea6, Client::WideDhcp6c(true), "kea-dhcp6" "dhcp6c";
}
