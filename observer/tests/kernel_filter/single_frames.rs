//! One frame at a time through the programs by `BPF_PROG_TEST_RUN`, which needs no interface.

use aya::maps::{MapData, PerCpuArray, RingBuf};
use aya::programs::{ProgramError, SchedClassifier, TestRun, TestRunOptions, TestRunResult, Xdp};
use aya::{Ebpf, EbpfLoader};
use dhcp_observer_ebpf::{
    COUNTER_COUNT, Counter, Direction, FRAME_LIMIT, Hook, Kind, OBJECT, Record, globals, maps, programs,
};

use crate::frames::{self, IPV4, IPV6, TCP, UDP, V4, ethernet, extension, fragment, udp, v6, v6_frame};
use crate::privilege;

const TC_ACT_UNSPEC: u32 = u32::MAX;
const XDP_PASS: u32 = 2;

/// The programs, loaded and attached to nothing.
struct Programs {
    ebpf: Ebpf,
    ring: RingBuf<MapData>,
    counters: PerCpuArray<MapData, [u64; COUNTER_COUNT]>,
}

/// What user space would see of a record.
#[derive(Debug, PartialEq)]
struct Taken {
    kind: Kind,
    direction: Direction,
    hook: Hook,
    raw_ip: bool,
    wire_length: usize,
    bytes: Vec<u8>,
}

impl Programs {
    fn load(ring_bytes: u32) -> Self {
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(maps::RING, ring_bytes)
            .override_global(globals::LOG_LEVEL, &0u8, true)
            .load(OBJECT)
            .expect("the committed object is an eBPF object");
        for name in [programs::IN, programs::OUT, programs::RAW_IN, programs::RAW_OUT, programs::EMPTY] {
            classifier(&mut ebpf, name).load().expect(name);
        }
        xdp(&mut ebpf).load().expect(programs::XDP);
        let ring = ebpf.take_map(maps::RING).and_then(|map| RingBuf::try_from(map).ok()).expect(maps::RING);
        let counters = ebpf
            .take_map(maps::COUNTERS)
            .and_then(|map| PerCpuArray::try_from(map).ok())
            .expect(maps::COUNTERS);
        Self { ebpf, ring, counters }
    }

    /// Runs a program over a frame, and makes sure of what holds for every frame: it carries on and comes out as it
    /// went in.
    fn run(&mut self, program: &str, frame: &[u8]) {
        let mut after = vec![0; frame.len() + 256];
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.data_out = Some(&mut after);
        let result = self.test_run(program, options).expect("the kernel runs the program");
        let carry_on = if program == programs::XDP { XDP_PASS } else { TC_ACT_UNSPEC };
        assert_eq!(result.return_value, carry_on, "{program} gave a verdict");
        assert_eq!(result.data_size_out as usize, frame.len(), "{program} changed the length");
        assert_eq!(&after[..frame.len()], frame, "{program} changed the frame");
    }

    fn test_run(
        &mut self,
        program: &str,
        options: TestRunOptions<'_>,
    ) -> Result<TestRunResult, ProgramError> {
        if program == programs::XDP {
            xdp(&mut self.ebpf).test_run(options)
        } else {
            classifier(&mut self.ebpf, program).test_run(options)
        }
    }

    fn taken(&mut self) -> Vec<Taken> {
        let mut taken = Vec::new();
        while let Some(item) = self.ring.next() {
            let record = Record::read(&item).expect("the programs write what user space reads");
            assert_eq!(record.vlan, None, "a test run cannot have a tag beside the bytes");
            assert!(record.boot_nanos > 0);
            taken.push(Taken {
                kind: record.kind,
                direction: record.direction,
                hook: record.hook,
                raw_ip: record.raw_ip,
                wire_length: record.wire_length as usize,
                bytes: record.bytes.to_vec(),
            });
        }
        taken
    }

    fn count(&self, counter: Counter) -> u64 {
        let values = self.counters.get(&0, 0).expect("the counters can be read");
        values.iter().map(|counters| counters[counter.index()]).sum()
    }
}

fn classifier<'a>(ebpf: &'a mut Ebpf, name: &str) -> &'a mut SchedClassifier {
    ebpf.program_mut(name).and_then(|program| program.try_into().ok()).expect(name)
}

fn xdp(ebpf: &mut Ebpf) -> &mut Xdp {
    ebpf.program_mut(programs::XDP).and_then(|program| program.try_into().ok()).expect(programs::XDP)
}

/// The programs that see frames with an Ethernet header, with what they say of where they are.
const ETHERNET_PROGRAMS: [(&str, Direction, Hook); 3] = [
    (programs::IN, Direction::In, Hook::Tc),
    (programs::OUT, Direction::Out, Hook::Tc),
    (programs::XDP, Direction::In, Hook::Xdp),
];

/// Runs each frame through each program that sees Ethernet, with fresh maps for each program, and compares what is
/// taken. `None` is passed by.
fn check(cases: &[(&str, Vec<u8>, Option<Kind>)]) {
    if !privilege::granted() {
        return;
    }
    for (program, direction, hook) in ETHERNET_PROGRAMS {
        let mut programs = Programs::load(1 << 20);
        for (what, frame, expected) in cases {
            programs.run(program, frame);
            let expected: Vec<Taken> = expected
                .map(|kind| Taken {
                    kind,
                    direction,
                    hook,
                    raw_ip: false,
                    wire_length: frame.len(),
                    bytes: frame.clone(),
                })
                .into_iter()
                .collect();
            assert_eq!(programs.taken(), expected, "{program}: {what}");
        }
        assert_eq!(programs.count(Counter::Seen), cases.len() as u64);
        for (counter, kind) in [
            (Counter::TakenV4, Kind::V4),
            (Counter::TakenV6, Kind::V6),
            (Counter::TakenV4Fragment, Kind::V4Fragment),
            (Counter::TakenV6Fragment, Kind::V6Fragment),
        ] {
            let expected = cases.iter().filter(|(_, _, taken)| *taken == Some(kind)).count() as u64;
            assert_eq!(programs.count(counter), expected, "{program}: {}", counter.name());
        }
        assert_eq!(programs.count(Counter::Lost), 0, "{program}");
    }
}

#[test]
fn the_ports_decide_by_source_or_destination() {
    let mut cases = Vec::new();
    for port in [66, 67, 68, 69, 53, 0, 0xffff, 0x4300, 0x4400, 545, 546, 547, 548] {
        let v4 = matches!(port, 67 | 68).then_some(Kind::V4);
        let v6 = matches!(port, 546 | 547).then_some(Kind::V6);
        cases.push(("IPv4, source", V4::default().frame(&udp(port, 4000, &[0; 40])), v4));
        cases.push(("IPv4, destination", V4::default().frame(&udp(4000, port, &[0; 40])), v4));
        cases.push(("IPv6, source", v6_frame(UDP, &udp(port, 4000, &[0; 40])), v6));
        cases.push(("IPv6, destination", v6_frame(UDP, &udp(4000, port, &[0; 40])), v6));
    }
    check(&cases);
}

#[test]
fn up_to_three_tags_in_the_bytes_are_looked_behind() {
    let tags = [(0x88a8, 100), (0x8100, 0x6000 | 7), (0x9100, 0)];
    let mut cases = Vec::new();
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1]] {
        let tags = order.map(|place| tags[place]);
        for count in 0..=3 {
            let tags = &tags[..count];
            let v4 = V4::default().packet(&udp(67, 68, &[0; 300]));
            let v6 = v6(UDP, &udp(547, 546, &[0; 30]));
            let other = V4::default().packet(&udp(53, 4000, &[0; 300]));
            cases.push(("IPv4", ethernet(tags, IPV4, &v4), Some(Kind::V4)));
            cases.push(("IPv6", ethernet(tags, IPV6, &v6), Some(Kind::V6)));
            cases.push(("DNS", ethernet(tags, IPV4, &other), None));
        }
    }
    let four = [(0x8100, 1); 4];
    cases.push(("a fourth tag", ethernet(&four, IPV4, &V4::default().packet(&udp(67, 68, &[0; 300]))), None));
    check(&cases);
}

#[test]
fn ipv4_options_are_looked_behind() {
    // Router alert, and options that look like ports where a filter that ignores the header length would look.
    let alert: &[u8] = &[148, 4, 0, 0];
    let ports: &[u8] = &[0, 67, 0, 68];
    let full = [1; 40];
    let mut cases = Vec::new();
    for options in [alert, ports, &full] {
        let header = V4 { options, ..V4::default() };
        cases.push(("DHCP behind options", header.frame(&udp(68, 67, &[0; 40])), Some(Kind::V4)));
        cases.push(("not DHCP behind options", header.frame(&udp(53, 4000, &[0; 40])), None));
    }
    check(&cases);
}

#[test]
fn ipv6_extension_headers_are_looked_behind() {
    let dhcp = udp(546, 547, &[0; 60]);
    let mut cases = Vec::new();
    for kind in [0, 43, 60, 51] {
        cases.push(("one", v6_frame(kind, &extension(kind, UDP, &dhcp)), Some(Kind::V6)));
        cases.push(("not DHCP", v6_frame(kind, &extension(kind, UDP, &udp(53, 4000, &[0; 60]))), None));
        cases.push(("TCP behind it", v6_frame(kind, &extension(kind, TCP, &dhcp)), None));
    }
    let all = extension(
        0,
        60,
        &extension(60, 43, &extension(43, 51, &extension(51, 60, &extension(60, UDP, &dhcp)))),
    );
    cases.push(("all of them", v6_frame(0, &all), Some(Kind::V6)));
    let atomic = v6_frame(44, &fragment(UDP, 0, false, 7, &dhcp));
    cases.push(("a fragment header on a whole datagram", atomic, Some(Kind::V6)));
    let mut endless = dhcp.clone();
    let mut next = UDP;
    for _ in 0..40 {
        endless = extension(60, next, &endless);
        next = 60;
    }
    cases.push(("more than any sender may use", v6_frame(60, &endless), None));
    check(&cases);
}

#[test]
fn the_fragments_of_a_dhcpv4_datagram_are_taken() {
    let message = udp(67, 68, &[7; 3000]);
    let piece = |header: V4<'_>, from: usize, to: usize| header.frame(&message[from..to]);
    let first = V4 { identification: 77, more_fragments: true, ..V4::default() };
    let middle = V4 { offset: 185, ..first };
    let last = V4 { offset: 370, more_fragments: false, ..first };
    let other_last = V4 { identification: 78, ..last };
    let other_protocol = V4 { protocol: TCP, ..last };
    check(&[
        ("first", piece(first, 0, 1480), Some(Kind::V4Fragment)),
        ("middle", piece(middle, 1480, 2960), Some(Kind::V4Fragment)),
        ("last", piece(last, 2960, 3008), Some(Kind::V4Fragment)),
        ("last of another datagram", piece(other_last, 2960, 3008), None),
        ("last of another protocol", piece(other_protocol, 2960, 3008), None),
        ("first of DNS", V4 { identification: 79, ..first }.frame(&udp(53, 4000, &[0; 1000])), None),
        ("last of DNS", V4 { identification: 79, ..last }.frame(&[0; 48]), None),
        // A payload that looks like DHCP ports must not be taken for them.
        ("ports in the middle", V4 { identification: 80, ..middle }.frame(&udp(67, 68, &[0; 40])), None),
    ]);
}

#[test]
fn the_fragments_of_a_dhcpv6_datagram_are_taken() {
    let message = udp(547, 546, &[7; 2000]);
    let piece = |identification, from: usize, to: usize, more| {
        fragment(UDP, u16::try_from(from / 8).unwrap_or(0), more, identification, &message[from..to])
    };
    let behind_options = |fragment: &[u8]| v6_frame(0, &extension(0, 44, fragment));
    check(&[
        ("first", v6_frame(44, &piece(9, 0, 1448, true)), Some(Kind::V6Fragment)),
        ("last", v6_frame(44, &piece(9, 1448, 2008, false)), Some(Kind::V6Fragment)),
        ("last of another datagram", v6_frame(44, &piece(10, 1448, 2008, false)), None),
        ("first behind options", behind_options(&piece(11, 0, 1448, true)), Some(Kind::V6Fragment)),
        ("last behind options", behind_options(&piece(11, 1448, 2008, false)), Some(Kind::V6Fragment)),
        ("later of TCP", v6_frame(44, &fragment(TCP, 90, false, 9, &[0; 40])), None),
    ]);
}

#[test]
fn a_later_fragment_that_overtakes_its_first_is_counted_once() {
    if !privilege::granted() {
        return;
    }
    for (program, ..) in ETHERNET_PROGRAMS {
        let mut programs = Programs::load(1 << 20);
        let first = V4 { identification: 1, more_fragments: true, ..V4::default() };
        let last = V4 { offset: 60, more_fragments: false, ..first };
        let message = udp(67, 68, &[0; 600]);
        programs.run(program, &last.frame(&message[480..]));
        assert_eq!(programs.count(Counter::Overtaken), 0, "nobody knows yet that it was DHCP");
        programs.run(program, &first.frame(&message[..480]));
        assert_eq!(programs.count(Counter::Overtaken), 1, "{program}");
        programs.run(program, &first.frame(&message[..480]));
        assert_eq!(programs.count(Counter::Overtaken), 1, "{program}: the same loss was counted again");

        programs.run(program, &v6_frame(44, &fragment(UDP, 60, false, 5, &message[480..])));
        programs.run(program, &v6_frame(44, &fragment(UDP, 0, true, 5, &udp(547, 546, &[0; 472]))));
        assert_eq!(programs.count(Counter::Overtaken), 2, "{program}");

        // A datagram of something else that came in the wrong order is no loss.
        let other = V4 { identification: 2, ..last };
        programs.run(program, &other.frame(&message[480..]));
        let other = V4 { identification: 2, ..first };
        programs.run(program, &other.frame(&udp(53, 4000, &[0; 472])));
        assert_eq!(programs.count(Counter::Overtaken), 2, "{program}");
    }
}

#[test]
fn what_is_not_udp_or_not_ip_is_passed_by() {
    let ports = udp(68, 67, &[0; 40]);
    check(&[
        ("TCP over IPv4", V4 { protocol: TCP, ..V4::default() }.frame(&ports), None),
        ("TCP over IPv6", v6_frame(TCP, &ports), None),
        ("ICMPv6", v6_frame(58, &ports), None),
        ("UDP-Lite", V4 { protocol: 136, ..V4::default() }.frame(&ports), None),
        ("ARP", ethernet(&[], 0x0806, &[0; 28]), None),
        ("LLDP", ethernet(&[], 0x88cc, &[0; 80]), None),
        ("an 802.3 length", ethernet(&[], 60, &[0; 60]), None),
        ("DNS", V4::default().frame(&udp(53, 4000, &[0; 40])), None),
        ("mDNS over IPv6", v6_frame(UDP, &udp(5353, 5353, &[0; 40])), None),
    ]);
}

#[test]
fn a_frame_cut_short_is_passed_by_at_every_length() {
    if !privilege::granted() {
        return;
    }
    let behind_options = v6_frame(0, &extension(0, UDP, &udp(546, 547, &[0; 60])));
    let tagged = ethernet(&[(0x8100, 5)], IPV4, &V4::default().packet(&udp(67, 68, &[0; 20])));
    // The length from which a frame's ports are there, and the frame.
    let cases: [(usize, Vec<u8>); 4] =
        [(38, frames::dhcpv4()), (58, frames::dhcpv6()), (74, behind_options), (42, tagged)];
    for (program, ..) in ETHERNET_PROGRAMS {
        for (readable, frame) in &cases {
            let mut programs = Programs::load(1 << 20);
            // The kernel refuses to run a program over less than an Ethernet header. And since an IPv4 or IPv6
            // EtherType promises a header, it refuses a socket buffer with less of it.
            let mut unreadable = 0;
            for length in 14..frame.len().min(readable + 8) {
                let cut = &frame[..length];
                let mut options = TestRunOptions::new();
                options.data_in = Some(cut);
                if programs.test_run(program, options).is_err() {
                    continue;
                }
                let taken = programs.taken();
                assert_eq!(
                    !taken.is_empty(),
                    length >= *readable,
                    "{program}: {length} octets of {frame:02x?}"
                );
                unreadable += u64::from(length < *readable);
            }
            assert!(
                unreadable >= 4,
                "{program}: the kernel ran too few of the cut frames for this test to mean much"
            );
            assert_eq!(programs.count(Counter::Unreadable), unreadable, "{program}: readable at {readable}");
        }
    }
}

#[test]
fn a_malformed_ip_header_is_counted_and_passed_by() {
    if !privilege::granted() {
        return;
    }
    for (program, ..) in ETHERNET_PROGRAMS {
        let mut programs = Programs::load(1 << 20);
        for (place, value) in [(14, 0x65), (14, 0x44), (14, 0x40)] {
            let mut frame = frames::dhcpv4();
            frame[place] = value;
            programs.run(program, &frame);
        }
        let mut frame = frames::dhcpv6();
        frame[14] = 0x40;
        programs.run(program, &frame);
        assert_eq!(programs.taken(), []);
        assert_eq!(programs.count(Counter::Unreadable), 4, "{program}");
    }
}

#[test]
fn packets_without_a_link_layer_are_read_from_their_ip_header() {
    if !privilege::granted() {
        return;
    }
    for (program, direction) in [(programs::RAW_IN, Direction::In), (programs::RAW_OUT, Direction::Out)] {
        let mut programs = Programs::load(1 << 20);
        let v4 = V4::default().packet(&udp(68, 67, &[0; 240]));
        let v6 = v6(UDP, &udp(546, 547, &[0; 60]));
        let dns = V4::default().packet(&udp(53, 4000, &[0; 60]));
        let neither = [0x20; 60];
        for packet in [&v4[..], &v6, &dns, &neither] {
            programs.run(program, packet);
        }
        let taken = |kind, bytes: Vec<u8>| Taken {
            kind,
            direction,
            hook: Hook::Tc,
            raw_ip: true,
            wire_length: bytes.len(),
            bytes,
        };
        assert_eq!(programs.taken(), [taken(Kind::V4, v4), taken(Kind::V6, v6)], "{program}");
    }
}

#[test]
fn what_does_not_fit_in_the_ring_is_counted_as_lost() {
    if !privilege::granted() {
        return;
    }
    const FRAMES: u64 = 100;
    for (program, ..) in ETHERNET_PROGRAMS {
        let mut programs = Programs::load(4096);
        for _ in 0..FRAMES {
            programs.run(program, &frames::dhcpv4());
        }
        let (taken, lost) = (programs.count(Counter::TakenV4), programs.count(Counter::Lost));
        assert!(lost > 0, "{program}: a ring of one page held {FRAMES} frames");
        assert_eq!(taken + lost, FRAMES, "{program}");
        assert_eq!(programs.taken().len() as u64, taken, "{program}");
        // Room again: the next one is taken.
        programs.run(program, &frames::dhcpv4());
        assert_eq!(programs.taken().len(), 1, "{program}");
        assert_eq!(programs.count(Counter::Seen), FRAMES + 1, "{program}");
    }
}

#[test]
fn a_frame_longer_than_the_limit_is_cut_and_counted() {
    if !privilege::granted() {
        return;
    }
    // Only XDP with several buffers takes a frame of this length in a test run; TC's turn is on a real interface.
    let mut programs = Programs::load(1 << 20);
    for (payload, cut) in [(FRAME_LIMIT - 42, false), (FRAME_LIMIT - 41, true), (20_000, true)] {
        let before = programs.count(Counter::Truncated);
        let frame = V4::default().frame(&udp(67, 68, &vec![9; payload]));
        programs.run(programs::XDP, &frame);
        let taken = programs.taken();
        assert_eq!(taken.len(), 1, "{payload}");
        assert_eq!(taken[0].wire_length, frame.len(), "{payload}");
        assert_eq!(taken[0].bytes, frame[..frame.len().min(FRAME_LIMIT)], "{payload}");
        assert_eq!(programs.count(Counter::Truncated) - before, u64::from(cut), "{payload}");
    }
}

/// Not a test: prints what a program costs per frame.
/// `cargo test --test kernel_filter -- --ignored --nocapture cost`
#[test]
#[ignore = "a measurement, not a test"]
fn cost() {
    if !privilege::granted() {
        return;
    }
    let tcp = V4 { protocol: TCP, ..V4::default() };
    let frames = [
        ("TCP over IPv4", tcp.frame(&[0; 1000])),
        ("TCP over IPv6", v6_frame(TCP, &[0; 1000])),
        ("TCP in a VLAN", ethernet(&[(0x8100, 5)], IPV4, &tcp.packet(&[0; 1000]))),
        ("UDP over IPv4", V4::default().frame(&udp(53, 4000, &[0; 100]))),
        ("UDP over IPv6", v6_frame(UDP, &udp(53, 4000, &[0; 100]))),
    ];
    let mut programs = Programs::load(1 << 20);
    // The least of many short runs is what the program costs; the rest is what else the machine did meanwhile. The
    // programs take turns so that a slow moment does not fall on one of them.
    let least = |programs: &mut Programs, program: &str, frame: &[u8], repeat: u32| {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.repeat = repeat;
        programs.test_run(program, options).expect("the kernel runs the program").duration.as_nanos()
    };
    for (what, frame) in &frames {
        let names = [programs::EMPTY, programs::IN, programs::OUT, programs::XDP];
        let mut costs = [u128::MAX; 4];
        for _ in 0..100 {
            for (cost, program) in costs.iter_mut().zip(names) {
                *cost = (*cost).min(least(&mut programs, program, frame, 100_000));
            }
        }
        println!(
            "{what:18} empty {} ns, in {} ns, out {} ns, XDP {} ns",
            costs[0], costs[1], costs[2], costs[3]
        );
    }
    let dhcp = frames::dhcpv4();
    for program in [programs::IN, programs::XDP] {
        let mut cost = u128::MAX;
        for _ in 0..200 {
            // Few enough that all fit in the ring.
            cost = cost.min(least(&mut programs, program, &dhcp, 2_000));
            programs.taken();
        }
        println!("{:18} {program} {cost} ns", "DHCPv4, taken");
    }
}
