//! Frames of any kind: each is handed out or skipped, and what waits for its rest stays within bounds.

use std::sync::Arc;
use std::time::Duration;

use dhcp_observer::dissect::{Dissector, DuplicateLimits, Duplicates, FragmentLimits, FragmentsWaiting};
use dhcp_observer::frame::{Direction, Frame, Interface, LinkType, MetadataTag};
use dhcp_observer::time::Timestamp;

use crate::bytes::{Bytes, push_counted};

const LINKS: [LinkType; 4] = [LinkType::Ethernet, LinkType::LinuxSll, LinkType::LinuxSll2, LinkType::RawIp];
const DIRECTIONS: [Direction; 4] = [Direction::In, Direction::Out, Direction::Unknown, Direction::In];
const LIMITS: FragmentLimits = FragmentLimits {
    datagrams: 8,
    bytes: 20_000,
    ipv4_age: Duration::from_secs(30),
    ipv6_age: Duration::from_secs(60),
};

/// Frames, one behind the other. An octet says how each of them came (see [`encode`]), two how long it is.
pub fn run(input: &[u8]) {
    let taps = ["a", "b"].map(|name| Arc::new(Interface { index: Some(1), name: name.into() }));
    let mut dissector = Dissector::new(LIMITS);
    let mut duplicates =
        Duplicates::new(2, DuplicateLimits { frames: 8, bytes: 4_096, ..Default::default() });
    let mut input = Bytes::new(input);
    let mut at = Timestamp::from_seconds(1_700_000_000);
    let mut frames = 0;
    while !input.is_empty() {
        let how = input.octet();
        at = at + [0, 20, 40_000][usize::from(how >> 4) % 3] * Duration::from_millis(1);
        let metadata_tag = (how & 64 != 0).then(|| MetadataTag { ethertype: 0x8100, tci: input.short() });
        let interface = &taps[usize::from(how >> 7)];
        let bytes = input.counted();
        let frame = Frame {
            at,
            interface,
            direction: DIRECTIONS[usize::from(how >> 2) % 4],
            link_type: LINKS[usize::from(how) % 4],
            metadata_tag,
            bytes,
            wire_length: bytes.len() + usize::from(how >> 5 & 1),
        };
        if let Ok(datagram) = dissector.dissect(&frame) {
            assert!(datagram.payload.len() <= 65_535);
            assert!(datagram.reassembled || datagram.payload.len() <= bytes.len());
            assert_eq!(datagram.source.is_ipv4(), datagram.destination.is_ipv4());
            duplicates.is_duplicate(&datagram);
        }
        frames += 1;
        assert_eq!(dissector.frames(), frames, "handed out or skipped");
        let FragmentsWaiting { datagrams, bytes } = dissector.fragments_waiting();
        assert!(datagrams <= LIMITS.datagrams && bytes <= LIMITS.bytes, "{datagrams} of {bytes} octets wait");
    }
    // Nothing that ever waits waits for ever.
    let late = Frame {
        at: at + Duration::from_secs(61),
        interface: &taps[0],
        direction: Direction::In,
        link_type: LinkType::Ethernet,
        metadata_tag: None,
        bytes: &[],
        wire_length: 0,
    };
    assert!(dissector.dissect(&late).is_err());
    assert_eq!(dissector.fragments_waiting(), FragmentsWaiting::default());
}

/// The input of one frame.
pub fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let link = LINKS.iter().position(|link| *link == frame.link_type).unwrap_or(0);
    let direction = DIRECTIONS.iter().position(|direction| *direction == frame.direction).unwrap_or(0);
    let mut input = vec![u8::try_from(link | direction << 2 | 1 << 4).unwrap_or(0)];
    push_counted(&mut input, frame.bytes);
    input
}
