//! The observer beside every server with every client, from the first lease to the last event.

use std::time::Duration;

use observer_tests::clients::any::Client;
use observer_tests::clients::{dhclient, dhcpcd};
use observer_tests::course::{Course, NAME};
use observer_tests::need;
use observer_tests::parallel;
use observer_tests::relay::Network;
use observer_tests::scratch::Scratch;
use observer_tests::servers::Lifetimes;
use observer_tests::servers::any::Server;
use observer_tests::story::{Fact, Story, balance};
use observer_tests::watch::Watch;

/// The longest wait for an event.
const PATIENCE: Duration = Duration::from_secs(60);

fn pair(course: Course<'_>) {
    let (scratch, network) = (Scratch::new().unwrap(), Network::direct().unwrap());
    let v6 = course.client.is_v6();
    let duid: &[Fact<'_>] = &[("DUID", "00:03:00:01:02:00:00:00:00:02")];
    let name: &[Fact<'_>] = match course.client {
        // It sends no name.
        Client::WideDhcp6c(_) => &[("HOSTNAME", "")],
        _ if v6 => &[("HOSTNAME", "far-host.")],
        _ => &[("HOSTNAME", "far-host")],
    };
    let facts = if v6 { [duid, name].concat() } else { name.to_vec() };
    let course = Course { facts: &facts, ..course };
    course.run(&network.server, &network.client, scratch.path()).unwrap_or_else(|error| panic!("{error:?}"));
}

/// A temporary address is never renewed, and dhclient's release of one names none.
fn dhcpd6_and_dhclient_temporary() {
    let client = Client::Dhclient(dhclient::Wants::Temporary6);
    if need::missing(&Course::of(Server::Dhcpd6, client).needs()).is_some() {
        return;
    }
    let (scratch, network) = (Scratch::new().unwrap(), Network::direct().unwrap());
    let directory = scratch.directory("server").unwrap();
    let _server = Server::Dhcpd6.start(&network.server.namespace, &directory, Lifetimes::SHORT).unwrap();
    let watch = Watch::start(&network.server, scratch.path(), &[]).unwrap();
    let directory = scratch.directory("client").unwrap();
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

const PAIRS: [(&str, Server, Client); 23] = [
    ("dhcpd4_and_dhclient", Server::Dhcpd4, Client::Dhclient(dhclient::Wants::V4)),
    ("dhcpd4_and_dhcpcd", Server::Dhcpd4, Client::Dhcpcd(dhcpcd::Wants::V4)),
    ("dhcpd4_and_udhcpc", Server::Dhcpd4, Client::Udhcpc),
    ("dnsmasq4_and_dhclient", Server::Dnsmasq, Client::Dhclient(dhclient::Wants::V4)),
    ("dnsmasq4_and_dhcpcd", Server::Dnsmasq, Client::Dhcpcd(dhcpcd::Wants::V4)),
    ("dnsmasq4_and_udhcpc", Server::Dnsmasq, Client::Udhcpc),
    ("udhcpd_and_dhclient", Server::Udhcpd, Client::Dhclient(dhclient::Wants::V4)),
    ("udhcpd_and_dhcpcd", Server::Udhcpd, Client::Dhcpcd(dhcpcd::Wants::V4)),
    ("udhcpd_and_udhcpc", Server::Udhcpd, Client::Udhcpc),
    ("kea4_and_dhclient", Server::Kea4, Client::Dhclient(dhclient::Wants::V4)),
    ("kea4_and_dhcpcd", Server::Kea4, Client::Dhcpcd(dhcpcd::Wants::V4)),
    ("kea4_and_udhcpc", Server::Kea4, Client::Udhcpc),
    ("dhcpd6_and_dhclient", Server::Dhcpd6, Client::Dhclient(dhclient::Wants::Address6)),
    ("dhcpd6_and_dhclient_prefix", Server::Dhcpd6, Client::Dhclient(dhclient::Wants::Prefix6)),
    ("dhcpd6_and_dhclient_both", Server::Dhcpd6, Client::Dhclient(dhclient::Wants::AddressAndPrefix6)),
    ("dhcpd6_and_dhcpcd", Server::Dhcpd6, Client::Dhcpcd(dhcpcd::Wants::AddressAndPrefix6)),
    ("dhcpd6_and_dhcp6c", Server::Dhcpd6, Client::WideDhcp6c(true)),
    ("dnsmasq6_and_dhclient", Server::Dnsmasq, Client::Dhclient(dhclient::Wants::Address6)),
    ("dnsmasq6_and_dhcpcd", Server::Dnsmasq, Client::Dhcpcd(dhcpcd::Wants::Address6)),
    ("dnsmasq6_and_dhcp6c", Server::Dnsmasq, Client::WideDhcp6c(false)),
    ("kea6_and_dhclient_both", Server::Kea6, Client::Dhclient(dhclient::Wants::AddressAndPrefix6)),
    ("kea6_and_dhcpcd", Server::Kea6, Client::Dhcpcd(dhcpcd::Wants::AddressAndPrefix6)),
    ("kea6_and_dhcp6c", Server::Kea6, Client::WideDhcp6c(true)),
];

#[test]
fn every_server_with_every_client() {
    let case = |(name, server, client): (&'static str, Server, Client)| -> parallel::Case {
        let course = Course::of(server, client);
        let work = move || {
            if need::missing(&course.needs()).is_none() {
                pair(course);
            }
        };
        (name, Box::new(work))
    };
    let mut cases: Vec<_> = PAIRS.map(case).into();
    cases.push(("dhcpd6_and_dhclient_temporary", Box::new(dhcpd6_and_dhclient_temporary)));
    parallel::all(cases);
}
