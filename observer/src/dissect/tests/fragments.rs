//! Fragments: in order, reversed, overlapping, repeated, never finished, and in floods.

use std::time::Duration;

use super::*;

/// A fragment of an IPv4 packet's content.
fn fragment4(id: u16, offset: usize, more: bool, content: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + content.len()).unwrap().to_be_bytes();
    let place = (u16::from(more) << 13 | u16::try_from(offset / 8).unwrap()).to_be_bytes();
    let [id0, id1] = id.to_be_bytes();
    let header = [0x45, 0, total[0], total[1], id0, id1, place[0], place[1], 64, 17, 0, 0];
    let packet = [&header[..], &[192, 0, 2, 9, 192, 0, 2, 1], content].concat();
    ethernet4(&packet)
}

/// A fragment of an IPv6 packet's content, whose first header is `protocol`.
fn fragment6(id: u32, protocol: u8, offset: usize, more: bool, content: &[u8]) -> Vec<u8> {
    let mut packet = udp6(546, 547, &[]);
    packet.truncate(40);
    packet[4..6].copy_from_slice(&u16::try_from(8 + content.len()).unwrap().to_be_bytes());
    packet[6] = 44;
    packet.extend([protocol, 0]);
    packet.extend((u16::try_from(offset).unwrap() | u16::from(more)).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(content);
    ethernet(&[], 0x86dd, &packet)
}

/// A payload of so many octets, all of them different from their neighbours.
fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position * 7 + position / 256) as u8).collect()
}

fn content4(length: usize) -> Vec<u8> {
    udp4(68, 67, &payload(length))[20..].to_vec()
}

struct Tap {
    dissector: Dissector,
    on: Arc<Interface>,
}

impl Tap {
    fn new(limits: FragmentLimits) -> Self {
        Self { dissector: Dissector::new(limits), on: interface("eth0") }
    }

    fn see(&mut self, milliseconds: i64, bytes: &[u8]) -> Result<Vec<u8>, Skip> {
        let frame = frame(&self.on, milliseconds, LinkType::Ethernet, bytes);
        let outcome = self.dissector.dissect(&frame).map(|datagram| {
            assert!(datagram.reassembled && !datagram.truncated);
            assert_eq!((datagram.at, datagram.source_mac), (frame.at, Some(CLIENT)));
            datagram.payload.into_owned()
        });
        self.dissector.fragments.footprint();
        outcome
    }
}

impl Default for Tap {
    fn default() -> Self {
        Self::new(FragmentLimits::default())
    }
}

#[test]
fn any_order_makes_the_datagram_whole() {
    let content = content4(1000);
    let cuts = [0..400, 400..800, 800..1008];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut tap = Tap::default();
        for (step, part) in order.into_iter().enumerate() {
            let range = cuts[part].clone();
            let bytes = fragment4(5, range.start, part != 2, &content[range]);
            let expected = if step == 2 { Ok(payload(1000)) } else { Err(Skip::FragmentPending) };
            assert_eq!(tap.see(step as i64, &bytes), expected, "{order:?}");
        }
        assert_eq!(tap.dissector.fragments.footprint(), (0, 0));
        assert_eq!((tap.dissector.frames(), tap.dissector.datagrams()), (3, 1));
        assert_eq!(tap.dissector.fragments().completed, 1);
    }
}

#[test]
fn ipv6_fragments_with_headers_inside_the_fragmented_part() {
    let udp = udp6(546, 547, &payload(900))[40..].to_vec();
    let mut options = vec![17, 0, 1, 4, 0, 0, 0, 0];
    options.extend(&udp);
    for (protocol, content) in [(17, &udp), (60, &options)] {
        let mut tap = Tap::default();
        let (head, tail) = content.split_at(504);
        // What is not the first fragment has no headers, though its octets may look like some.
        assert_eq!(tap.see(0, &fragment6(9, protocol, 504, false, tail)), Err(Skip::FragmentPending));
        assert_eq!(tap.see(1, &fragment6(9, protocol, 0, true, head)), Ok(payload(900)));
    }
    // An atomic fragment is a whole packet even while others with its identification wait.
    let mut tap = Tap::default();
    assert_eq!(tap.see(0, &fragment6(9, 17, 0, true, &udp[..8])), Err(Skip::FragmentPending));
    let on = interface("eth0");
    let atomic = fragment6(9, 17, 0, false, &udp);
    let whole = tap.dissector.dissect(&frame(&on, 1, LinkType::Ethernet, &atomic)).unwrap();
    assert!(!whole.reassembled);
}

#[test]
fn overlaps_spoil_the_datagram_and_all_that_follows() {
    let content = content4(120);
    let evil = [0xee; 64];
    type Step<'a> = (usize, bool, &'a [u8], Skip);
    let cases: [(&str, &[Step<'_>]); 8] = [
        (
            "partial",
            &[(0, true, &content[..64], Skip::FragmentPending), (56, true, &evil, Skip::FragmentOverlap)],
        ),
        (
            "partial from before",
            &[(64, true, &content[64..80], Skip::FragmentPending), (32, true, &evil, Skip::FragmentOverlap)],
        ),
        (
            "rewritten",
            &[(0, true, &content[..64], Skip::FragmentPending), (0, true, &evil, Skip::FragmentOverlap)],
        ),
        (
            "covering",
            &[
                (8, true, &content[8..16], Skip::FragmentPending),
                (0, true, &content[..64], Skip::FragmentOverlap),
            ],
        ),
        (
            "a second end",
            &[
                (64, false, &content[64..128], Skip::FragmentPending),
                (64, false, &evil[..8], Skip::FragmentOverlap),
            ],
        ),
        (
            "beyond the end",
            &[
                (64, false, &content[64..128], Skip::FragmentPending),
                (128, true, &evil, Skip::FragmentOverlap),
            ],
        ),
        (
            "an end before what was seen",
            &[
                (64, true, &content[64..128], Skip::FragmentPending),
                (8, false, &evil[..8], Skip::FragmentOverlap),
            ],
        ),
        (
            "an end where none was",
            &[
                (0, true, &content[..64], Skip::FragmentPending),
                (8, false, &content[8..64], Skip::FragmentOverlap),
            ],
        ),
    ];
    for (name, steps) in cases {
        let mut tap = Tap::default();
        for (offset, more, bytes, expected) in steps {
            assert_eq!(tap.see(0, &fragment4(1, *offset, *more, bytes)), Err(*expected), "{name}");
        }
        // The honest fragments cannot revive it; the same identification works again when its time is over.
        let (head, tail) = (fragment4(1, 0, true, &content[..64]), fragment4(1, 64, false, &content[64..]));
        assert_eq!(tap.see(1, &head), Err(Skip::FragmentOverlap), "{name}");
        assert_eq!(tap.see(2, &tail), Err(Skip::FragmentOverlap), "{name}");
        assert_eq!(tap.see(30_001, &head), Err(Skip::FragmentPending), "{name}");
        assert_eq!(tap.see(30_002, &tail), Ok(payload(120)), "{name}");
        assert_eq!(
            tap.dissector.fragments(),
            FragmentCounts { completed: 1, overlapped: 1, ..Default::default() }
        );
    }
}

#[test]
fn a_repeated_fragment_does_no_harm() {
    let content = content4(120);
    let mut tap = Tap::default();
    let head = fragment4(1, 0, true, &content[..64]);
    let tail = fragment4(1, 64, false, &content[64..]);
    assert_eq!(tap.see(0, &tail), Err(Skip::FragmentPending));
    assert_eq!(tap.see(1, &tail), Err(Skip::FragmentRepeated));
    assert_eq!(tap.see(2, &head), Ok(payload(120)));
}

#[test]
fn what_can_be_no_fragment_is_refused_alone() {
    let content = content4(120);
    let mut tap = Tap::default();
    for bytes in [
        fragment4(1, 0, true, &[]),
        fragment4(1, 0, true, &content[..63]),
        fragment4(1, 65_528, false, &content[..16]),
    ] {
        assert_eq!(tap.see(0, &bytes), Err(Skip::FragmentInvalid));
    }
    let cut = fragment4(1, 0, true, &content[..64]);
    assert_eq!(tap.see(0, &cut[..90]), Err(Skip::FragmentTruncated));
    assert_eq!(tap.see(0, &cut), Err(Skip::FragmentPending));
    assert_eq!(tap.see(1, &fragment4(1, 64, false, &content[64..])), Ok(payload(120)));
    // The one that is one too many.
    for part in 0..=256 {
        let expected = if part < 256 { Skip::FragmentPending } else { Skip::FragmentInvalid };
        assert_eq!(tap.see(2, &fragment4(2, 8 * (part + 1), true, &[0; 8])), Err(expected));
    }
}

#[test]
fn fragments_of_other_ports_are_named_and_cost_nothing() {
    let content = udp4(5353, 5353, &payload(100))[20..].to_vec();
    let mut tap = Tap::default();
    assert_eq!(tap.see(0, &fragment4(1, 64, false, &content[64..])), Err(Skip::FragmentPending));
    assert_eq!(tap.see(0, &fragment4(1, 0, true, &content[..64])), Err(Skip::OtherPort));
    assert_eq!(tap.see(0, &fragment4(1, 64, false, &content[64..])), Err(Skip::OtherPort));
    assert_eq!(tap.dissector.fragments.footprint(), (1, 512));
    let mut tcp = fragment4(2, 0, true, &content[..64]);
    tcp[14 + 9] = 6;
    assert_eq!(tap.see(0, &tcp), Err(Skip::NotUdp));
}

#[test]
fn taps_directions_and_vlans_do_not_mix() {
    let content = content4(120);
    let head = fragment4(1, 0, true, &content[..64]);
    let tail = fragment4(1, 64, false, &content[64..]);
    let mut tagged = head.clone();
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    let (here, there) = (interface("eth0"), interface("br0"));
    let mut dissector = Dissector::default();
    let mut see = |on: &Arc<Interface>, direction, bytes: &[u8]| {
        let frame = Frame { direction, ..frame(on, 0, LinkType::Ethernet, bytes) };
        dissector.dissect(&frame).map(|datagram| datagram.payload.into_owned())
    };
    assert_eq!(see(&here, Direction::In, &head), Err(Skip::FragmentPending));
    assert_eq!(see(&there, Direction::In, &tail), Err(Skip::FragmentPending));
    assert_eq!(see(&here, Direction::Out, &tail), Err(Skip::FragmentPending));
    assert_eq!(see(&there, Direction::In, &tagged), Err(Skip::FragmentPending));
    assert_eq!(see(&there, Direction::In, &head), Ok(payload(120)));
    assert_eq!(see(&here, Direction::In, &tail), Ok(payload(120)));
}

#[test]
fn what_is_never_finished_times_out() {
    let content = content4(120);
    let mut tap = Tap::default();
    assert_eq!(tap.see(0, &fragment4(1, 0, true, &content[..64])), Err(Skip::FragmentPending));
    assert_eq!(
        tap.see(0, &fragment6(1, 17, 0, true, &udp6(546, 547, PAYLOAD)[40..56])),
        Err(Skip::FragmentPending)
    );
    // Time passes with any frame, not with fragments only.
    for (milliseconds, left) in [(29_999, 2), (30_000, 1), (59_999, 1), (60_000, 0)] {
        assert_eq!(tap.see(milliseconds, &ethernet(&[], 0x0806, &[0; 28])), Err(Skip::Arp));
        assert_eq!(tap.dissector.fragments.footprint().0, left, "{milliseconds}");
    }
    assert_eq!(tap.dissector.fragments().expired, 2);
}

#[test]
fn a_flood_stays_within_its_bounds_and_evicts_the_oldest() {
    let limits = FragmentLimits {
        datagrams: 50,
        bytes: 200_000,
        ipv4_age: Duration::from_secs(30),
        ipv6_age: Duration::from_secs(60),
    };
    let mut tap = Tap::new(limits);
    for id in 0..2000_u16 {
        // Each claims the end of a 64 KiB datagram, the most that one frame can cost.
        let offset = if id % 2 == 0 { 65_000 } else { 800 };
        assert_eq!(tap.see(i64::from(id), &fragment4(id, offset, true, &[0; 8])), Err(Skip::FragmentPending));
        let (entries, bytes) = tap.dissector.fragments.footprint();
        assert!(entries <= limits.datagrams && bytes <= limits.bytes, "{entries} {bytes}");
    }
    let counts = tap.dissector.fragments();
    assert_eq!(counts.evicted + tap.dissector.fragments.footprint().0 as u64, 2000);
    // A datagram of ordinary size still gets through.
    let content = content4(1000);
    assert_eq!(tap.see(2000, &fragment4(3000, 0, true, &content[..800])), Err(Skip::FragmentPending));
    assert_eq!(tap.see(2001, &fragment4(3000, 800, false, &content[800..])), Ok(payload(1000)));

    for limits in [FragmentLimits { datagrams: 0, ..limits }, FragmentLimits { bytes: 600, ..limits }] {
        let mut tap = Tap::new(limits);
        assert_eq!(tap.see(0, &fragment4(1, 800, true, &[0; 8])), Err(Skip::FragmentNoRoom));
        assert_eq!(tap.dissector.fragments.footprint(), (0, 0));
    }
}
