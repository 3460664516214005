//! Filters against real messages through the tracker: what each key asks for, and what is remembered for an expiry.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::ServerConfig;
use crate::dhcpv4;
use crate::dialect::Memory;
use crate::dissect::{VlanTag, VlanTags};
use crate::frame::{Direction, Interface};
use crate::time::Timestamp;
use crate::tracker::{Answers, Limits, Observed, Observed4, Tracker};

const CLIENT: [u8; 6] = [2, 0, 0x5e, 0, 0, 7];
const SERVER: [u8; 4] = [192, 0, 2, 1];
const LEASE: u32 = 600;

/// A DHCPv4 message as octets: `op`, addresses, options.
fn message(
    op: u8,
    kind: u8,
    ciaddr: Ipv4Addr,
    yiaddr: Ipv4Addr,
    giaddr: Ipv4Addr,
    options: &[(u8, &[u8])],
) -> Vec<u8> {
    let mut octets = vec![op, 1, 6, 0, 0, 0, 0, 9, 0, 0, 0, 0];
    for address in [ciaddr, yiaddr, Ipv4Addr::UNSPECIFIED, giaddr] {
        octets.extend_from_slice(&address.octets());
    }
    octets.extend_from_slice(&CLIENT);
    octets.resize(236, 0);
    octets.extend_from_slice(&[99, 130, 83, 99, 53, 1, kind]);
    for (code, payload) in options {
        octets.extend_from_slice(&[*code, u8::try_from(payload.len()).unwrap()]);
        octets.extend_from_slice(payload);
    }
    octets.push(255);
    octets
}

/// One client of a server on a virtual clock, and what a filter makes of its events.
struct Story {
    tracker: Tracker,
    now: Timestamp,
    filter: Filter,
    remembered: Remembered,
    memories: VecDeque<Memory>,
    vlans: VlanTags,
    giaddr: Ipv4Addr,
}

impl Story {
    fn new(filter: Filter) -> Self {
        Self {
            tracker: Tracker::new(Arc::new(ServerConfig::default()), Answers::Out, Limits::default()),
            now: Timestamp::from_seconds(1_000_000),
            filter,
            remembered: Remembered::new(10),
            memories: VecDeque::new(),
            vlans: VlanTags::default(),
            giaddr: Ipv4Addr::UNSPECIFIED,
        }
    }

    fn pass(&mut self, direction: Direction, octets: &[u8]) {
        let (client, server): (SocketAddr, SocketAddr) =
            ("0.0.0.0:68".parse().unwrap(), "255.255.255.255:67".parse().unwrap());
        let (source, destination) =
            if direction == Direction::In { (client, server) } else { (server, client) };
        let observed = Observed4 {
            interface: Arc::new(Interface { index: Some(2), name: "eth0".to_owned() }),
            direction,
            vlans: self.vlans,
            source_mac: Some(CLIENT),
            destination_mac: None,
            source,
            destination,
            message: dhcpv4::parse(octets),
        };
        self.now = self.now + Duration::from_millis(1);
        self.tracker.handle_message(self.now, Observed::V4(Arc::new(observed)));
    }

    /// The words of the events since the last time, and whether each is wanted.
    fn told(&mut self) -> Vec<(&'static str, bool)> {
        let mut told = Vec::new();
        while let Some(event) = self.tracker.poll_event() {
            let memories = &mut self.memories;
            let wanted = self.remembered.wants(&self.filter, &event, |memory| memories.push_back(memory));
            told.push((event.event.name(), wanted));
        }
        told
    }

    /// REQUEST and ACK: selecting when there is no `ciaddr`.
    fn granted(
        &mut self,
        address: [u8; 4],
        renews: bool,
        options: &[(u8, &[u8])],
    ) -> Vec<(&'static str, bool)> {
        let address = Ipv4Addr::from(address);
        let none = Ipv4Addr::UNSPECIFIED;
        let octets = address.octets();
        let selecting: &[(u8, &[u8])] = &[(54, &SERVER), (50, &octets)];
        let mine: Vec<_> = if renews { &[][..] } else { selecting }.iter().chain(options).copied().collect();
        let ciaddr = if renews { address } else { none };
        self.pass(Direction::In, &message(1, 3, ciaddr, none, self.giaddr, &mine));
        let answer: &[(u8, &[u8])] = &[(54, &SERVER), (51, &LEASE.to_be_bytes()), (1, &[255, 255, 255, 0])];
        self.pass(Direction::Out, &message(2, 5, ciaddr, address, self.giaddr, answer));
        self.told()
    }

    fn expired(&mut self) -> Vec<(&'static str, bool)> {
        self.now = self.now + Duration::from_secs(u64::from(LEASE) + 1);
        self.tracker.handle_timeout(self.now);
        self.told()
    }
}

fn wanted(filter: Filter, options: &[(u8, &[u8])]) -> bool {
    let told = Story::new(filter).granted([192, 0, 2, 7], false, options);
    assert_eq!(told.len(), 1, "{told:?}");
    told[0].1
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn each_key_asks_for_its_own() {
    let any = Filter::default;
    let prefix = |text: &str| vec![text.parse().unwrap()];
    for (filter, expected) in [
        (any(), true),
        (Filter { subnet: prefix("192.0.2.0/24"), ..any() }, true),
        (Filter { subnet: prefix("192.0.3.0/24"), ..any() }, false),
        (Filter { subnet: prefix("2001:db8::/32"), ..any() }, false),
        (Filter { interface: vec!["eth1".into(), "eth0".into()], ..any() }, true),
        (Filter { interface: vec!["eth1".into()], ..any() }, false),
        (Filter { vlan: vec![vec![]], ..any() }, true),
        (Filter { vlan: vec![vec![100]], ..any() }, false),
        (Filter { hwaddr: vec![vec![2, 0, 0x5e]], ..any() }, true),
        (Filter { hwaddr: vec![vec![2, 0, 0x5f]], ..any() }, false),
        (Filter { vendor_class: patterns(&["MSFT*"]), ..any() }, true),
        (Filter { vendor_class: patterns(&["docsis*"]), ..any() }, false),
        (Filter { user_class: patterns(&["iPXE"]), ..any() }, true),
        (Filter { user_class: patterns(&["gpxe"]), ..any() }, false),
        // Both must fit.
        (Filter { vendor_class: patterns(&["MSFT*"]), interface: vec!["eth1".into()], ..any() }, false),
        (Filter { vendor_class: patterns(&["MSFT*"]), interface: vec!["eth0".into()], ..any() }, true),
        (Filter { circuit_id: patterns(&["*"]), ..any() }, false),
    ] {
        let found = wanted(filter.clone(), &[(60, b"MSFT 5.0"), (77, b"iPXE")]);
        assert_eq!(found, expected, "{filter:?}");
    }
}

#[test]
fn a_user_class_may_be_a_list() {
    let filter = |text| Filter { user_class: patterns(&[text]), ..Filter::default() };
    let list: &[(u8, &[u8])] = &[(77, b"\x03abc\x02de")];
    for (text, expected) in [("abc", true), ("de", true), ("ab", false), ("0x03616263026465", true)] {
        assert_eq!(wanted(filter(text), list), expected, "{text}");
    }
}

#[test]
fn vlans_are_named_from_the_outermost() {
    let told = |vlan: Vec<u16>| {
        let mut story = Story::new(Filter { vlan: vec![vlan], ..Filter::default() });
        for tci in [100, 7] {
            assert!(story.vlans.push(VlanTag { ethertype: 0x8100, tci }));
        }
        story.granted([192, 0, 2, 7], false, &[])[0].1
    };
    assert!(told(vec![100, 7]));
    assert!(!told(vec![7, 100]) && !told(vec![100]) && !told(vec![]));
}

#[test]
fn a_circuit_is_remembered_by_the_lease_itself() {
    let circuit =
        Filter { circuit_id: patterns(&["eth*"]), remote_id: patterns(&["0x0102"]), ..Filter::default() };
    let mut story = Story::new(circuit);
    story.giaddr = Ipv4Addr::new(192, 0, 2, 254);
    let agent: &[(u8, &[u8])] = &[(82, b"\x01\x04eth7\x02\x02\x01\x02")];
    assert_eq!(story.granted([192, 0, 2, 7], false, agent), [("commit", true)]);
    // Renewals go past the relay.
    story.giaddr = Ipv4Addr::UNSPECIFIED;
    assert!(story.granted([192, 0, 2, 7], true, &[]).iter().all(|(_, wanted)| *wanted));
    assert_eq!(story.expired(), [("expire", true)]);
}

#[test]
fn an_expiry_follows_what_was_known_of_the_lease() {
    let filter = Filter { vendor_class: patterns(&["MSFT*"]), ..Filter::default() };
    let class: &[(u8, &[u8])] = &[(60, b"MSFT 5.0")];
    let mut story = Story::new(filter.clone());
    assert_eq!(story.granted([192, 0, 2, 7], false, class), [("commit", true)]);
    // A renewal need not repeat it.
    assert!(story.granted([192, 0, 2, 7], true, &[]).iter().all(|(_, wanted)| *wanted));
    assert_eq!(story.expired(), [("expire", true)]);
    // What was remembered is forgotten then, and both are told to whoever keeps it.
    let memories: Vec<_> = story.memories.drain(..).map(|memory| memory.value.is_some()).collect();
    assert_eq!(memories, [true, false]);

    // The next client of the address is another matter.
    assert!(story.granted([192, 0, 2, 7], false, &[(60, b"udhcp")]).iter().all(|(_, wanted)| !*wanted));
    assert_eq!(story.expired(), [("expire", false)]);
    assert!(story.memories.is_empty());
}

#[test]
fn what_is_remembered_survives_a_restart() {
    let filter = Filter { vendor_class: patterns(&["MSFT*"]), ..Filter::default() };
    let mut story = Story::new(filter);
    story.granted([192, 0, 2, 7], false, &[(60, b"MSFT 5.0")]);
    let kept = story.memories.pop_front().unwrap();
    story.remembered = Remembered::new(10);
    story.remembered.recall(&kept.key);
    assert_eq!(story.expired(), [("expire", true)]);
}

#[test]
fn beyond_the_limit_nothing_is_remembered_and_that_is_counted() {
    let filter = Filter { hwaddr: vec![vec![2]], vendor_class: patterns(&["MSFT*"]), ..Filter::default() };
    let mut story = Story::new(filter);
    story.remembered = Remembered::new(0);
    assert_eq!(story.granted([192, 0, 2, 7], false, &[(60, b"MSFT 5.0")]), [("commit", true)]);
    assert_eq!(story.expired(), [("expire", false)]);
    assert_eq!(story.remembered.over_limit(), 1);
}
