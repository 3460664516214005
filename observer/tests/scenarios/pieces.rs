//! Fragments that are meant to harm: through everything, with the bounds and counters that hold.

use std::net::SocketAddr;
use std::sync::Arc;

use dhcp_observer::dissect::{FragmentLimits, FragmentsWaiting};
use dhcp_observer::frame::{Direction, Interface};

use crate::story::{Packet, Story};
use crate::wire4;
use crate::wire6;

/// The part of a datagram from `from` on, as a fragment in a frame.
fn fragment(packet: &impl Packet, id: u16, from: usize, length: usize, more: bool) -> Vec<u8> {
    let datagram = packet.datagram();
    let is_v4 = matches!(packet.addresses().0, SocketAddr::V4(_));
    let (header, content) = datagram.split_at(if is_v4 { 20 } else { 40 });
    let piece = &content[from..(from + length).min(content.len())];
    let mut header = header.to_vec();
    let offset = u16::try_from(from / 8).unwrap();
    let (ethertype, total) =
        if is_v4 { ([0x08, 0x00], 20 + piece.len()) } else { ([0x86, 0xdd], 8 + piece.len()) };
    let total = u16::try_from(total).unwrap().to_be_bytes();
    if is_v4 {
        header[2..4].copy_from_slice(&total);
        header[4..6].copy_from_slice(&id.to_be_bytes());
        header[6..8].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
    } else {
        header[4..6].copy_from_slice(&total);
        let next = std::mem::replace(&mut header[6], 44);
        header.extend([next, 0]);
        header.extend((offset << 3 | u16::from(more)).to_be_bytes());
        header.extend(u32::from(id).to_be_bytes());
    }
    let (source, destination) = packet.macs();
    [&destination[..], &source, &ethertype, &header, piece].concat()
}

struct Taps(Arc<Interface>);

impl Taps {
    fn new() -> Self {
        Self(Arc::new(Interface { index: Some(3), name: "vs".into() }))
    }

    /// Passes a datagram in two fragments, the second of which overlaps the first by so many octets.
    fn two(&self, story: &mut Story, packet: &impl Packet, way: (u16, Direction), overlap: usize) {
        let (id, direction) = way;
        let rest = packet.datagram().len();
        story.pass_bytes(&self.0, &fragment(packet, id, 0, 64, true), direction);
        story.pass_bytes(&self.0, &fragment(packet, id, 64 - overlap, rest, false), direction);
    }
}

#[test]
fn fragments_that_overlap_give_nothing_and_those_that_fit_do() {
    let taps = Taps::new();
    let mut story = Story::new();
    let request = wire4::client(1).select("192.0.2.100");
    let answer = request.ack("192.0.2.100");
    let question = wire6::client(1).request(vec![]);
    let reply = question.reply(vec![wire6::na(1, vec![wire6::address("2001:db8::1", 1, 2_000)])]);
    story.at(0).asks(&request).asks(&question);
    for (id, overlap) in [(1, 8), (2, 24), (3, 56)] {
        taps.two(&mut story, &answer, (id, Direction::Out), overlap);
        taps.two(&mut story, &reply, (id, Direction::Out), overlap);
    }
    story.expect_nothing();
    assert_eq!(story.skipped("fragment-overlap"), 6);
    assert_eq!(story.fragments().0.overlapped, 6);
    // What follows to such a datagram is refused too, also when it would fit.
    story.pass_bytes(&taps.0, &fragment(&answer, 1, 64, 1_000, false), Direction::Out).expect_nothing();
    assert_eq!(story.skipped("fragment-overlap"), 7);
    taps.two(&mut story, &answer, (9, Direction::Out), 0);
    taps.two(&mut story, &reply, (9, Direction::Out), 0);
    story.expect(["commit: leases4_committed(1,0)", "commit: leases6_committed(1,0)"]);
    assert_eq!(story.fragments().0.completed, 2);
}

#[test]
fn fragments_that_never_end_stay_within_bounds_and_go() {
    let taps = Taps::new();
    let mut story = Story::new();
    let limits = FragmentLimits::default();
    let request = wire4::client(1).select("192.0.2.100").with(43, &[7; 1_200]);
    let question = wire6::client(1).request(vec![(17, vec![7; 1_200])]);
    story.at(0);
    let check = |story: &Story| {
        let (_, FragmentsWaiting { datagrams, bytes }) = story.fragments();
        assert!(datagrams <= limits.datagrams && bytes <= limits.bytes, "{datagrams} of {bytes} octets");
    };
    for id in 0..5_000 {
        story.pass_bytes(&taps.0, &fragment(&request, id, 0, 1_000, true), Direction::In);
        story.pass_bytes(&taps.0, &fragment(&question, id, 0, 1_000, true), Direction::In);
        check(&story);
    }
    story.expect_nothing();
    assert_eq!(story.skipped("fragment-pending"), 10_000);
    assert_eq!(story.fragments().0.evicted, 10_000 - 1_024);
    // Few that claim much: the last octets of the largest datagrams there are.
    let large = wire4::client(2).select("192.0.2.101").with(43, &[7; 60_000]);
    for id in 0..500 {
        story.pass_bytes(&taps.0, &fragment(&large, id, 60_000, 8, true), Direction::Out);
        check(&story);
    }
    // In the middle of it somebody is served in fragments.
    taps.two(&mut story, &request, (7_777, Direction::In), 0);
    taps.two(&mut story, &request.ack("192.0.2.100"), (7_777, Direction::Out), 0);
    story.expect(["commit: leases4_committed(1,0)"]);
    // A minute later nothing is left.
    let (before, waiting) = story.fragments();
    story.at(61).asks(&wire4::client(3).discover()).expect_nothing();
    let (after, left) = story.fragments();
    assert_eq!((left.datagrams, left.bytes), (0, 0));
    assert_eq!(after.expired - before.expired, waiting.datagrams as u64);
}
