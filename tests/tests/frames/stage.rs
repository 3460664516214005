//! An observer with a hook on one side of a cable, and somebody to send frames on both.

use std::collections::BTreeMap;
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::hook::DumpHook;
use observer_tests::inject::PacketSocket;
use observer_tests::link::{Cable, End, Link, veth};
use observer_tests::netns::Namespace;
use observer_tests::observer::{Ended, Observer};
use observer_tests::scratch::Scratch;

use crate::talk::Talk;

/// How long a hook may take to be started, or a frame to pass.
pub const SOON: Duration = Duration::from_secs(15);

/// An interface's two ends as something to send and to receive on.
pub struct Wire {
    /// Frames that are sent here arrive at the observed interface.
    pub peer: PacketSocket,
    /// Frames that are sent here leave the observed interface.
    pub own: PacketSocket,
}

impl Wire {
    pub fn new(peer: &Link, own: &Link) -> Self {
        Self { peer: PacketSocket::open(peer).unwrap(), own: PacketSocket::open(own).unwrap() }
    }

    /// A frame arrives. It has, when this returns.
    pub fn arrives(&self, frame: &[u8]) {
        self.peer.send(frame).unwrap();
        let passed = self.own.receive(SOON, |seen| (seen == frame).then_some(())).unwrap();
        assert!(passed.is_some(), "a frame of {} octets never arrived", frame.len());
    }

    /// A frame leaves.
    pub fn leaves(&self, frame: &[u8]) {
        self.own.send(frame).unwrap();
    }

    /// The four messages of a new lease.
    pub fn bind(&self, talk: &mut Talk) {
        let discover = talk.discover();
        self.arrives(&talk.by_client(&discover));
        self.leaves(&talk.by_server(&talk.offer()));
        self.arrives(&talk.by_client(&talk.request()));
        self.leaves(&talk.by_server(&talk.ack()));
    }

    /// The two messages of a renewal.
    pub fn renew(&self, talk: &mut Talk) {
        let renew = talk.renew();
        self.arrives(&talk.by_client(&renew));
        self.leaves(&talk.by_server(&talk.ack()));
    }

    /// The one message of a release.
    pub fn release(&self, talk: &mut Talk) {
        let release = talk.release();
        self.arrives(&talk.by_client(&release));
    }

    /// A whole life: [`LIFE`].
    pub fn live(&self, talk: &mut Talk) {
        self.bind(talk);
        self.renew(talk);
        self.release(talk);
    }
}

/// What hooks are told of [`Wire::live`].
pub const LIFE: [&str; 5] =
    ["leases4_committed", "lease4_renew", "leases4_committed", "lease4_release", "leases4_committed"];

/// The topology of the recordings and an observer on `s0`.
pub struct Stage {
    pub observer: Observer,
    pub hook: DumpHook,
    pub wire: Wire,
    pub cable: Cable,
    _scratch: Scratch,
}

impl Stage {
    /// With these options for the observer.
    pub fn new(options: &[&str]) -> Self {
        Self::with_mtu(1500, options)
    }

    /// The same on a cable of another MTU.
    pub fn with_mtu(mtu: u32, options: &[&str]) -> Self {
        let cable = cable(mtu);
        let scratch = Scratch::new().unwrap();
        let hook = DumpHook::install(scratch.path()).unwrap();
        let server = &cable.server;
        let observer =
            Observer::start(&server.namespace, scratch.path(), server.name, hook.script(), options).unwrap();
        Self { observer, hook, wire: Wire::new(&cable.client, &cable.server), cable, _scratch: scratch }
    }

    /// A client of the server behind the observed interface.
    pub fn talk(&self, number: u8) -> Talk {
        Talk::new(number, self.cable.server.mac)
    }

    /// Waits for so many calls, ends the observer, and gives back all calls that there were.
    pub fn finish(self, count: usize) -> (Vec<Call>, Ended) {
        // When too few come, the comparison says which.
        let _ = self.hook.wait_for(count, SOON);
        let ended = self.observer.stop().unwrap();
        (self.hook.calls().unwrap(), ended)
    }
}

/// The cable of the recordings with another MTU.
pub fn cable(mtu: u32) -> Cable {
    let (near, far) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let (mut server, client) = (End::recorded_server(), End::recorded_client());
    if mtu < 1_280 {
        // There is no IPv6 on such a link (RFC 8200 section 5).
        server.addresses.retain(|address| !address.contains(':'));
        server.link_local = false;
    }
    let (server, client) = veth(&near, &End { mtu, ..server }, &far, &End { mtu, ..client }).unwrap();
    Cable { server, client }
}

/// The hook points of each lease in the order in which they were called, by address; hooks of one lease never overtake
/// each other.
pub fn lives(calls: &[Call]) -> BTreeMap<String, Vec<&str>> {
    let mut lives: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for call in calls {
        let address = call.any(&[
            "LEASE4_ADDRESS",
            "LEASES4_AT0_ADDRESS",
            "DELETED_LEASES4_AT0_ADDRESS",
            "LEASE6_ADDRESS",
            "LEASES6_AT0_ADDRESS",
            "DELETED_LEASES6_AT0_ADDRESS",
        ]);
        lives.entry(address.unwrap_or("none").to_owned()).or_default().push(call.hook());
    }
    lives
}

/// These calls are the one life of this lease, and nothing else.
#[track_caller]
pub fn is_life(calls: &[Call], talk: &Talk, expected: &[&str]) {
    assert_eq!(lives(calls), BTreeMap::from([(talk.address.to_string(), expected.to_vec())]));
}
