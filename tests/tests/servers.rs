//! The observer beside servers other than Kea: every server with every client, from the first lease to the last event.

use std::time::Duration;

use nix::sys::signal::Signal;
use observer_tests::capture::Frame;
use observer_tests::client::datagram::Datagram;
use observer_tests::client::message4::{self, Message4};
use observer_tests::client::message6::{self, Message6};
use observer_tests::clients::dhclient::{self, Dhclient};
use observer_tests::clients::dhcpcd::{self, Dhcpcd};
use observer_tests::clients::udhcpc::Udhcpc;
use observer_tests::clients::RunningClient;
use observer_tests::link::{End, Link, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::servers::Lifetimes;
use observer_tests::servers::dnsmasq::{self, Dnsmasq};
use observer_tests::servers::isc_dhcpd4::IscDhcpd4;
use observer_tests::servers::udhcpd::Udhcpd;
use observer_tests::service::Service;
use observer_tests::story::{Fact, Story, balance};
use observer_tests::wait;
use observer_tests::watch::Watch;

/// The longest wait for an event: the longest lease that is waited for, and a slow machine.
const PATIENCE: Duration = Duration::from_secs(45);

/// A DHCPv4 server.
#[derive(Clone, Copy, Debug)]
enum Server4 {
    Dhcpd,
    Dnsmasq,
    Udhcpd,
}

impl Server4 {
    fn start(self, link: &Link, scratch: &Scratch) -> Service {
        let (namespace, directory) = (&link.namespace, scratch.directory("server").unwrap());
        match self {
            Self::Dhcpd => IscDhcpd4::new(Lifetimes::SHORT).start(namespace, &directory),
            Self::Dnsmasq => Dnsmasq::new(Lifetimes::SHORT).start(namespace, &directory),
            Self::Udhcpd => Udhcpd::new(Lifetimes::SHORT).start(namespace, &directory),
        }
        .unwrap()
    }

    fn valid(self) -> u32 {
        match self {
            Self::Dnsmasq => dnsmasq::SHORTEST,
            Self::Dhcpd | Self::Udhcpd => Lifetimes::SHORT.valid,
        }
    }
}

/// A DHCPv4 client.
#[derive(Clone, Copy, Debug)]
enum Client4 {
    Dhclient,
    Dhcpcd,
    Udhcpc,
}

impl Client4 {
    fn start(self, link: &Link, scratch: &Scratch, name: &str) -> Box<dyn RunningClient> {
        let (namespace, directory) = (&link.namespace, scratch.directory(name).unwrap());
        match self {
            Self::Dhclient => Box::new(Dhclient::start(namespace, &directory, dhclient::Wants::V4, "Far-Host").unwrap()),
            Self::Dhcpcd => Box::new(Dhcpcd::start(namespace, &directory, dhcpcd::Wants::V4, "Far-Host").unwrap()),
            Self::Udhcpc => Box::new(Udhcpc::start(namespace, &directory, "Far-Host").unwrap()),
        }
    }
}

/// A cable with a real client's kernel at the far end. The near end sends no ICMP: to udhcpc an unreachable port is the
/// loss of its lease.
fn cable() -> (Link, Link) {
    let (near, far) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    near.ip(&["rule", "add", "ipproto", "icmp", "priority", "1", "blackhole"]).unwrap();
    veth(&near, &End::recorded_server(), &far, &End { link_local: true, ..End::recorded_client() }).unwrap()
}

/// Bind, renew, rebind, release, bind, and gone without a word until the lease is over.
fn v4(server: Server4, client: Client4) {
    let (scratch, (near, far)) = (Scratch::new().unwrap(), cable());
    let mut service = server.start(&near, &scratch);
    let watch = Watch::start(&near, scratch.path(), &[]).unwrap();
    let mut first = client.start(&far, &scratch, "first");
    watch.wait_for("commit", 1, PATIENCE).unwrap();
    first.renew().unwrap();
    watch.wait_for("renew", 1, PATIENCE).unwrap();
    if !first.rebind().unwrap() {
        // The server is away while the client renews, and back once it asks anybody.
        service.end(Signal::SIGTERM).unwrap();
        first.renew().unwrap();
        wait::until("rebinding client", PATIENCE, || Ok(asks_anybody(&watch.frames()?).then_some(()))).unwrap();
        service.start_again().unwrap();
    }
    watch.wait_for("rebind", 1, PATIENCE).unwrap();
    first.release().unwrap();
    watch.wait_for("release", 1, PATIENCE).unwrap();
    let mut second = client.start(&far, &scratch, "second");
    watch.wait_for("commit", 2, PATIENCE).unwrap();
    second.vanish().unwrap();
    let live_expiry = server.valid() <= Lifetimes::SHORT.valid;
    if live_expiry {
        watch.wait_for("expire", 1, PATIENCE).unwrap();
    }

    let seen = watch.finish(server.valid() + 1).unwrap();
    let valid = server.valid().to_string();
    let facts: Vec<Fact<'_>> =
        vec![("HWADDR", "02:00:00:00:00:02"), ("HWADDR_TYPE", "1"), ("VALID_LIFETIME", &valid), ("HOSTNAME", "far-host")];
    let events = ["commit", "renew+", "rebind+", "release", "commit", "renew?", "expire"];
    let story = Story { leases: 1, events: &events, facts: &facts };
    judge(&story, &seen, live_expiry);
}

/// Whether a client has begun to rebind.
fn asks_anybody(frames: &[Frame]) -> bool {
    frames.iter().filter_map(|frame| Datagram::decode(&frame.bytes)).any(|datagram| {
        let rebind4 = Message4::decode(&datagram.payload).is_some_and(|message| {
            message.is(message4::Kind::Request) && !message.ciaddr.is_unspecified() && datagram.to.to_string() == "255.255.255.255:67"
        });
        rebind4 || datagram.to.port() == 547 && Message6::decode(&datagram.payload).is_some_and(|message| message.is(message6::Kind::Rebind))
    })
}

/// Judges what the hook heard and what a replay of the witness' capture tells. Where the lease is too long to wait for its
/// end, only the replay tells that.
fn judge(story: &Story<'_>, seen: &observer_tests::watch::Seen, live_expiry: bool) {
    let without: Vec<&str> = story.events.iter().copied().filter(|event| *event != "expire").collect();
    let live = if live_expiry { *story } else { Story { events: &without, ..*story } };
    let verdicts = [
        ("live", live.judge(&seen.calls)),
        ("replay", story.judge(&seen.replayed)),
        ("wire", balance(&seen.calls, &seen.frames)),
    ];
    let wrong: Vec<String> =
        verdicts.into_iter().filter_map(|(what, verdict)| verdict.err().map(|error| format!("{what}:\n{error}"))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

macro_rules! pairs4 {
    ($($test:ident: $server:ident $client:ident $($program:literal)+;)+) => {
        $(#[test]
        fn $test() {
            require!(Need::Root, Need::Program("tcpdump"), $(Need::Program($program)),+);
            v4(Server4::$server, Client4::$client);
        })+
    };
}

pairs4! {
    dhcpd4_and_dhclient: Dhcpd Dhclient "dhcpd" "dhclient";
    dhcpd4_and_dhcpcd: Dhcpd Dhcpcd "dhcpd" "dhcpcd";
    dhcpd4_and_udhcpc: Dhcpd Udhcpc "dhcpd" "udhcpc";
    dnsmasq4_and_dhclient: Dnsmasq Dhclient "dnsmasq" "dhclient";
    dnsmasq4_and_dhcpcd: Dnsmasq Dhcpcd "dnsmasq" "dhcpcd";
    dnsmasq4_and_udhcpc: Dnsmasq Udhcpc "dnsmasq" "udhcpc";
    udhcpd_and_dhclient: Udhcpd Dhclient "udhcpd" "dhclient";
    udhcpd_and_dhcpcd: Udhcpd Dhcpcd "udhcpd" "dhcpcd";
    udhcpd_and_udhcpc: Udhcpd Udhcpc "udhcpd" "udhcpc";
}
