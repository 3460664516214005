//! A mirror port that shows both sides of a real relay in front of a real server: Kea's script and ours are called alike.
//!
//! ```text
//!  client c0 ── r0 relay r1 ── s0 Kea          everything that passes r0 and r1
//!                  └──────────────────────────▶ n0 ── m0 observer
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::client::message6::Ia;
use observer_tests::client::v4::Client4;
use observer_tests::client::v6::Client6;
use observer_tests::compare::{Rules, compare};
use observer_tests::hook::DumpHook;
use observer_tests::inject::PacketSocket;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::{Cable, End, Link, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::Observer;
use observer_tests::process::Process;
use observer_tests::require;
use observer_tests::scratch::Scratch;

use crate::stage::{SOON, lives};

struct Network {
    /// The clients' link; its server's side is the relay.
    clients: Cable,
    server: Link,
    /// Everything that passes the relay.
    relay: PacketSocket,
    /// Frames that are sent here arrive at the monitor.
    copies: PacketSocket,
    monitor: Link,
}

impl Network {
    fn new() -> Self {
        let [server, relay, client, monitor] = [(); 4].map(|()| Namespace::new().unwrap());
        let end = |name, last, addresses: &[&'static str]| End {
            name,
            mac: [2, 0xee, 0, 0, 0, last],
            addresses: addresses.to_vec(),
            mtu: 1500,
            link_local: true,
        };
        let near = end("r0", 1, &["198.51.100.1/24", "2001:db8:2::1/64"]);
        let (r0, c0) = veth(&relay, &near, &client, &End::recorded_client()).unwrap();
        let far = end("r1", 2, &["192.0.2.2/24", "2001:db8:1::2/64"]);
        let (s0, r1) = veth(&server, &End::recorded_server(), &relay, &far).unwrap();
        let quiet = |name, last| End { link_local: false, ..end(name, last, &[]) };
        let (m0, n0) = veth(&monitor, &quiet("m0", 4), &monitor, &quiet("n0", 5)).unwrap();
        server.ip(&["route", "add", "198.51.100.0/24", "via", "192.0.2.2"]).unwrap();
        server.ip(&["route", "add", "2001:db8:2::/64", "via", "2001:db8:1::2"]).unwrap();
        // Interface 0 is all of them.
        let all = Link { index: 0, name: "any", ..r1 };
        Self {
            clients: Cable { server: r0, client: c0 },
            server: s0,
            relay: PacketSocket::open(&all).unwrap(),
            copies: PacketSocket::open(&n0).unwrap(),
            monitor: m0,
        }
    }

    /// Does something while the mirror runs.
    fn mirrored(&self, work: impl FnOnce()) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // What passed before the end is still in the socket.
                let mut last = false;
                while !last {
                    last = done.load(Ordering::Acquire);
                    let copy = |frame: &[u8]| -> Option<()> {
                        self.copies.send(frame).unwrap();
                        None
                    };
                    self.relay.receive(Duration::from_millis(20), copy).unwrap();
                }
            });
            // Also when the work panics.
            struct Done<'a>(&'a AtomicBool);
            impl Drop for Done<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::Release);
                }
            }
            let _done = Done(&done);
            work();
        });
    }
}

/// Runs `work` against Kea behind the relay; `life` is what the one lease goes through, and `copies` how many messages were
/// seen again beyond the relay.
fn is_told_once(family: Family, relay: &[&str], life: &[&str], copies: u64, work: impl FnOnce(&Network)) {
    let (scratch, network) = (Scratch::new().unwrap(), Network::new());
    let directories = ["kea", "relay", "observer"].map(|name| scratch.directory(name).unwrap());
    let [real, _, observed] = directories.each_ref();
    let [real, observed] = [real, observed].map(|directory| DumpHook::install(directory).unwrap());
    let config = Config::plain(family).unwrap();
    let mut kea = Kea::start(&network.server.namespace, &directories[0], config, real.script()).unwrap();
    let mut command = network.clients.server.namespace.command("dhcrelay");
    command.args(relay);
    let mut relay = Process::start("dhcrelay", command, &directories[1]).unwrap();
    relay.wait_for_log("Sending on", SOON).unwrap();
    let options = ["--answers", "both", "--promisc", "--kea-config", kea.config().to_str().unwrap()];
    let (namespace, monitor) = (&network.monitor.namespace, network.monitor.name);
    let observer = Observer::start(namespace, &directories[2], monitor, observed.script(), &options).unwrap();

    network.mirrored(|| {
        work(&network);
        real.wait_for(life.len(), SOON).unwrap();
    });
    kea.stop().unwrap();
    relay.stop(SOON).unwrap();
    let _ = observed.wait_for(life.len(), SOON);
    let ended = observer.stop().unwrap();

    let (mut real, mut calls) = (real.calls().unwrap(), observed.calls().unwrap());
    let lives: Vec<_> = lives(&calls).into_values().collect();
    assert_eq!(lives, [life.to_vec()], "{}", ended.stderr);
    real.iter_mut().chain(&mut calls).for_each(forget_where);
    compare(&real, &calls, &Rules { variable_order: true, ..Rules::default() })
        .unwrap_or_else(|report| panic!("Kea's calls are expected:\n{report}"));
    assert_eq!(ended.count("tracker", "relayed_copies"), copies, "{}", ended.stderr);
}

/// Which interface it was depends on who looks.
fn forget_where(call: &mut Call) {
    call.env.retain(|(name, _)| !(name.starts_with("QUERY") && name.contains("_IFACE_")));
}

#[test]
fn v4_relayed() {
    require!(Need::Root, Need::Program("kea-dhcp4"), Need::Program("dhcrelay"));
    let relay = ["-4", "-d", "--no-pid", "-a", "-i", "r0", "-i", "r1", "192.0.2.1"];
    // A client that asks anew while it is bound is offered its lease, which Kea calls a renewal.
    let life = [
        "leases4_committed",
        "lease4_renew",
        "leases4_committed",
        "lease4_renew",
        "lease4_renew",
        "leases4_committed",
    ];
    // Two OFFERs and three ACKs. Nothing is sent by unicast: this relay would catch and relay it beside the router.
    is_told_once(Family::V4, &relay, &life, 5, |network| {
        let mut client = Client4::new(&network.clients, 1).unwrap();
        client.bind().unwrap();
        client.rebind().unwrap();
        client.bind().unwrap();
    });
}

#[test]
fn v6_relayed() {
    require!(Need::Root, Need::Program("kea-dhcp6"), Need::Program("dhcrelay"));
    let relay = ["-6", "-d", "--no-pid", "-I", "-l", "r0", "-u", "2001:db8:1::1%r1"];
    let life = [
        "leases6_committed",
        "lease6_renew",
        "leases6_committed",
        "lease6_rebind",
        "leases6_committed",
        "lease6_release",
        "leases6_committed",
    ];
    // The Replies to REQUEST, RENEW, REBIND and RELEASE.
    is_told_once(Family::V6, &relay, &life, 4, |network| {
        let mut client = Client6::new(&network.clients, 1, vec![Ia::addresses(1)]).unwrap();
        client.bind().unwrap();
        client.renew().unwrap();
        client.rebind().unwrap();
        client.release().unwrap();
    });
}
