//! Copies on further taps, told as a script: who sees which content when, and what is kept.

use std::time::Duration;

use super::*;

/// (milliseconds, tap, content, whether it is dropped)
type Sighting = (i64, &'static str, u8, bool);

fn run(duplicates: &mut Duplicates, name: &str, script: &[Sighting]) {
    let taps = ["eth0", "br0", "eth0.7"].map(|name| (name, interface(name)));
    for (step, (milliseconds, tap, content, dropped)) in script.iter().enumerate() {
        let (_, on) = taps.iter().find(|(name, _)| name == tap).unwrap();
        let bytes = ethernet4(&udp4(68, 67, &[*content; 300]));
        let datagram =
            Dissector::default().dissect(&frame(on, *milliseconds, LinkType::Ethernet, &bytes)).unwrap();
        assert_eq!(duplicates.is_duplicate(&datagram), *dropped, "{name}, step {step}");
    }
}

#[test]
fn each_further_tap_absorbs_one_copy_of_each_frame() {
    let cases: [(&str, &[Sighting]); 9] = [
        ("bridge and port", &[(0, "eth0", 1, false), (0, "br0", 1, true)]),
        ("three taps", &[(0, "eth0", 1, false), (1, "br0", 1, true), (2, "eth0.7", 1, true)]),
        ("a retransmission", &[(0, "eth0", 1, false), (50, "eth0", 1, false)]),
        ("other content", &[(0, "eth0", 1, false), (0, "br0", 2, false)]),
        ("at the window's end", &[(0, "eth0", 1, false), (100, "br0", 1, true)]),
        ("past the window", &[(0, "eth0", 1, false), (101, "br0", 1, false)]),
        (
            "two retransmissions on two taps, in pairs",
            &[(0, "eth0", 1, false), (1, "br0", 1, true), (50, "eth0", 1, false), (51, "br0", 1, true)],
        ),
        (
            "two retransmissions on two taps, tap by tap",
            &[(0, "eth0", 1, false), (10, "eth0", 1, false), (11, "br0", 1, true), (12, "br0", 1, true)],
        ),
        (
            "the second tap is first the second time, and the first frame ends before the second",
            &[
                (0, "eth0", 1, false),
                (1, "br0", 1, true),
                (90, "br0", 1, false),
                (91, "eth0", 1, true),
                (150, "eth0.7", 1, true),
                (151, "eth0.7", 1, false),
                (152, "br0", 1, true),
            ],
        ),
    ];
    for (name, script) in cases {
        let mut duplicates = Duplicates::new(3, DuplicateLimits::default());
        run(&mut duplicates, name, script);
        let dropped = script.iter().filter(|sighting| sighting.3).count() as u64;
        assert_eq!(duplicates.counts(), DuplicateCounts { dropped, evicted: 0 });
        // With one tap nothing is dropped and nothing is remembered.
        let mut alone = Duplicates::new(1, DuplicateLimits::default());
        let kept: Vec<_> =
            script.iter().map(|sighting| (sighting.0, sighting.1, sighting.2, false)).collect();
        run(&mut alone, name, &kept);
        assert_eq!(alone.footprint(), (0, 0, 0));
    }
}

#[test]
fn direction_addresses_and_ports_tell_frames_apart() {
    let (here, there) = (interface("eth0"), interface("br0"));
    let bytes = ethernet4(&udp4(68, 67, PAYLOAD));
    let tagged = ethernet(&[(0x8100, 7)], 0x0800, &udp4(68, 67, PAYLOAD));
    let port = ethernet4(&udp4(68, 67, PAYLOAD).with(20, 1));
    let address = ethernet4(&udp4(68, 67, PAYLOAD).with(15, 77));
    for (other, direction, dropped) in [
        (&bytes, Direction::In, true),
        (&tagged, Direction::In, true),
        (&bytes, Direction::Out, false),
        (&port, Direction::In, false),
        (&address, Direction::In, false),
    ] {
        let mut duplicates = Duplicates::new(2, DuplicateLimits::default());
        let mut see = |on: &Arc<Interface>, direction, bytes: &[u8]| {
            let frame = Frame { direction, ..frame(on, 0, LinkType::Ethernet, bytes) };
            duplicates.is_duplicate(&Dissector::default().dissect(&frame).unwrap())
        };
        assert!(!see(&here, Direction::In, &bytes));
        assert_eq!(see(&there, direction, other), dropped);
    }
}

trait With {
    fn with(self, at: usize, value: u8) -> Self;
}

impl With for Vec<u8> {
    fn with(mut self, at: usize, value: u8) -> Self {
        self[at] = value;
        self
    }
}

#[test]
fn memory_is_bounded_and_empties_itself() {
    let limits = DuplicateLimits { window: Duration::from_millis(100), frames: 100, bytes: 20_000 };
    let mut duplicates = Duplicates::new(2, limits);
    let on = interface("eth0");
    for round in 0..5000_i64 {
        let bytes = ethernet4(&udp4(68, 67, &round.to_be_bytes().repeat(1 + round as usize % 40)));
        let datagram =
            Dissector::default().dissect(&frame(&on, round / 100, LinkType::Ethernet, &bytes)).unwrap();
        assert!(!duplicates.is_duplicate(&datagram));
        let (contents, frames, bytes) = duplicates.footprint();
        assert!(contents <= frames && frames <= 100 && bytes <= 20_000);
    }
    assert!(duplicates.counts().evicted > 4000);
    // One content a hundred thousand times must cost no more than many contents, in memory and in time.
    let bytes = ethernet4(&udp4(68, 67, PAYLOAD));
    for _ in 0..100_000 {
        let datagram = Dissector::default().dissect(&frame(&on, 60, LinkType::Ethernet, &bytes)).unwrap();
        assert!(!duplicates.is_duplicate(&datagram));
    }
    assert_eq!(duplicates.footprint(), (1, 100, PAYLOAD.len()));
    let bytes = ethernet4(&udp4(68, 67, &[9; 8]));
    duplicates
        .is_duplicate(&Dissector::default().dissect(&frame(&on, 1000, LinkType::Ethernet, &bytes)).unwrap());
    assert_eq!(duplicates.footprint(), (1, 1, 8));
}
