//! Tests of the reader: files are made by hand, in both byte orders.

use super::*;
use crate::frame::Direction::{In, Out, Unknown};

const FRAME: &[u8] = b"fourteen octets of a header, and more";

/// Writes numbers in one byte order.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

impl Order {
    fn u16(self, number: u16) -> [u8; 2] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn words(self, numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|&number| self.u32(number)).collect()
    }

    fn pcap(self, magic: u32, snap_length: u32, link: u32) -> Vec<u8> {
        let version = [self.u16(2), self.u16(4)].concat();
        [self.words(&[magic]), version, self.words(&[0, 0, snap_length, link])].concat()
    }

    fn record(self, seconds: u32, fraction: u32, wire: u32, bytes: &[u8]) -> Vec<u8> {
        [self.words(&[seconds, fraction, bytes.len() as u32, wire]), bytes.to_vec()].concat()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let length = self.u32(padded as u32 + 12);
        [&self.u32(kind)[..], &length, body, &vec![0; padded - body.len()], &length].concat()
    }

    fn section(self) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        self.block(0x0a0d_0d0a, &[self.words(&[0x1a2b_3c4d]), version, vec![0xff; 8]].concat())
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [&self.u16(code)[..], &self.u16(value.len() as u16), value, &padding].concat()
    }

    fn describe(self, link: u16, snap_length: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        let options = options.iter().flat_map(|(code, value)| self.option(*code, value)).collect();
        self.block(1, &[self.u16(link).to_vec(), vec![0; 2], self.words(&[snap_length]), options].concat())
    }

    fn enhanced(self, interface: u32, ticks: u64, wire: u32, bytes: &[u8], flags: Option<u32>) -> Vec<u8> {
        let mut body = self.words(&[interface, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, wire]);
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        if let Some(flags) = flags {
            body.extend(
                [self.option(1, b"a comment"), self.option(2, &self.u32(flags)), vec![0; 4]].concat(),
            );
        }
        self.block(6, &body)
    }
}

const ORDERS: [Order; 2] = [Order { big: false }, Order { big: true }];

/// What a record says, without borrowing it.
#[derive(Debug, PartialEq)]
struct Seen {
    nanos: i64,
    direction: Direction,
    link_type: Result<LinkType, u32>,
    bytes: Vec<u8>,
    wire_length: usize,
    interface: (Option<u32>, String),
}

fn read(file: impl Read) -> (Vec<Seen>, Counts, Option<String>) {
    let mut reader = match Reader::new(file) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Counts::default(), Some(error.to_string())),
    };
    let mut seen = Vec::new();
    loop {
        match reader.next_record() {
            Ok(Some(record)) => seen.push(Seen {
                nanos: record.at.as_nanos(),
                direction: record.direction,
                link_type: record.link_type,
                bytes: record.bytes.to_vec(),
                wire_length: record.wire_length,
                interface: (record.file_interface.index, record.file_interface.name.clone()),
            }),
            Ok(None) => return (seen, reader.counts(), None),
            Err(error) => {
                // After an error there is only the end.
                assert!(matches!(reader.next_record(), Ok(None)));
                return (seen, reader.counts(), Some(error.to_string()));
            }
        }
    }
}

#[test]
fn pcap_in_both_byte_orders_and_resolutions() {
    for order in ORDERS {
        for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            // The upper bits tell about a frame check sequence, and are no part of the link type.
            let mut file = order.pcap(magic, 65_535, 0x4400_0001);
            file.extend(order.record(1_700_000_000, 123_456, 1514, FRAME));
            // Time may run back, and may lie beyond the year 2038.
            file.extend(order.record(5, 1, FRAME.len() as u32, FRAME));
            file.extend(order.record(u32::MAX, u32::MAX, 0, &[]));
            let (seen, counts, end) = read(&*file);
            assert_eq!((counts.records, counts.unsupported_link, end), (3, 0, None));
            assert_eq!(
                seen[0],
                Seen {
                    nanos: 1_700_000_000_000_000_000 + 123_456 * unit,
                    direction: Unknown,
                    link_type: Ok(LinkType::Ethernet),
                    bytes: FRAME.to_vec(),
                    wire_length: 1514,
                    interface: (None, String::new()),
                }
            );
            assert_eq!((seen[1].nanos, seen[1].wire_length), (5_000_000_000 + unit, FRAME.len()));
            assert_eq!(seen[2].nanos, i64::from(u32::MAX) * (1_000_000_000 + unit));
        }
    }
    let order = ORDERS[0];
    let modified =
        [order.pcap(0xa1b2_cd34, 0, 101), order.words(&[1, 2, 3, 3, 9, 9]), vec![1, 2, 3]].concat();
    let (seen, _, end) = read(&*modified);
    assert_eq!((seen[0].nanos, &*seen[0].bytes, end), (1_000_002_000, &[1, 2, 3][..], None));
}

#[test]
fn link_types_by_number() {
    let supported = [
        (1, LinkType::Ethernet),
        (113, LinkType::LinuxSll),
        (276, LinkType::LinuxSll2),
        (12, LinkType::RawIp),
        (14, LinkType::RawIp),
        (101, LinkType::RawIp),
        (228, LinkType::RawIp),
        (229, LinkType::RawIp),
    ];
    let cases = supported.map(|(number, link)| (number, Ok(link)));
    for (number, expected) in
        cases.into_iter().chain([0, 105, 127, 147, 0x03ff_ffff].map(|other| (other, Err(other))))
    {
        let file = [ORDERS[0].pcap(0xa1b2_c3d4, 0, number), ORDERS[0].record(0, 0, 0, &[])].concat();
        let (seen, counts, _) = read(&*file);
        assert_eq!(seen[0].link_type, expected);
        assert_eq!(counts.unsupported_link, u64::from(expected.is_err()));
    }
}

#[test]
fn pcapng_with_sections_interfaces_clocks_and_directions() {
    for order in ORDERS {
        let other = Order { big: !order.big };
        let offset = |seconds: i64| if order.big { seconds.to_be_bytes() } else { seconds.to_le_bytes() };
        let file = [
            order.section(),
            order.describe(1, 0, &[(2, b"eth0\0"), (9, &[9])]),
            order.describe(101, 0, &[(9, &[0x80 | 10]), (14, &offset(-3600)), (2, b"caf\xe9")]),
            order.block(0x0bad, b"a block from the future"),
            order.block(5, &[0; 8]),
            order.describe(105, 0, &[]),
            order.enhanced(0, 1_700_000_000_000_000_007, 1514, FRAME, Some(1)),
            order.enhanced(1, (3601 << 10) + 512, FRAME.len() as u32, FRAME, Some(0x1c02)),
            order.enhanced(2, 1_000_000, 3, &[1, 2, 3], None),
            // A new section, in the other byte order, begins its interfaces anew.
            other.section(),
            other.describe(1, 0, &[(2, b"eth9")]),
            other.enhanced(0, 42, 60, FRAME, Some(0)),
        ]
        .concat();
        let (seen, counts, end) = read(&*file);
        assert_eq!(end, None);
        assert_eq!(counts, Counts { records: 4, other_blocks: 2, unsupported_link: 1 });
        let said: Vec<_> =
            seen.iter().map(|s| (s.nanos, s.direction, s.link_type, &*s.interface.1)).collect();
        assert_eq!(
            said,
            [
                (1_700_000_000_000_000_007, In, Ok(LinkType::Ethernet), "eth0"),
                (1_500_000_000, Out, Ok(LinkType::RawIp), "caf\u{fffd}"),
                (1_000_000_000, Unknown, Err(105), ""),
                (42_000, Unknown, Ok(LinkType::Ethernet), "eth9"),
            ]
        );
        assert_eq!((&*seen[0].bytes, seen[0].wire_length, &*seen[2].bytes), (FRAME, 1514, &[1, 2, 3][..]));
    }
}

#[test]
fn simple_and_obsolete_packet_blocks() {
    for order in ORDERS {
        let obsolete =
            [&order.u16(1)[..], &order.u16(77), &order.words(&[0, 1_000_000, 5, 99]), b"abcde"].concat();
        let file = [
            order.section(),
            order.describe(1, 30, &[]),
            order.describe(101, 0, &[]),
            // The snap length says where the padding begins.
            order.block(3, &[&order.u32(1514), &FRAME[..30]].concat()),
            order.block(3, &[&order.u32(5), &FRAME[..5]].concat()),
            order.block(2, &obsolete),
        ]
        .concat();
        let (seen, _, end) = read(&*file);
        assert_eq!(end, None);
        let said: Vec<_> = seen.iter().map(|s| (s.nanos, &*s.bytes, s.wire_length, s.link_type)).collect();
        assert_eq!(
            said,
            [
                (0, &FRAME[..30], 1514, Ok(LinkType::Ethernet)),
                (0, &FRAME[..5], 5, Ok(LinkType::Ethernet)),
                (1_000_000_000, b"abcde", 99, Ok(LinkType::RawIp)),
            ]
        );
    }
}

#[test]
fn cooked_captures_tell_direction_and_interface() {
    let order = ORDERS[0];
    for (packet_type, direction) in [(0, In), (1, In), (2, In), (3, In), (4, Out)] {
        let mut sll = vec![0; 20];
        sll[1] = packet_type;
        let mut sll2 = vec![0; 24];
        sll2[4..8].copy_from_slice(&7_u32.to_be_bytes());
        sll2[10] = packet_type;
        for (link, bytes, index) in
            [(113, &sll, None), (276, &sll2, Some(7)), (276, &sll2[..9].to_vec(), None)]
        {
            let direction = if bytes.len() < 11 { Unknown } else { direction };
            let file = [order.pcap(0xa1b2_c3d4, 0, link), order.record(0, 0, 0, bytes)].concat();
            let (seen, _, _) = read(&*file);
            assert_eq!((seen[0].direction, seen[0].interface.0), (direction, index));
            let described = [order.section(), order.describe(link as u16, 0, &[(2, b"any")])].concat();
            // The flags of the block, where they say anything, are more exact than the packet type.
            let file =
                [described, order.enhanced(0, 0, 0, bytes, None), order.enhanced(0, 0, 0, bytes, Some(2))]
                    .concat();
            let (seen, _, _) = read(&*file);
            assert_eq!((seen[0].direction, seen[1].direction), (direction, Out));
            assert_eq!(seen[0].interface, (index, "any".to_owned()));
        }
    }
}

#[test]
fn other_kinds_of_file_are_named() {
    let gone = Reader::open(Path::new("/nonexistent/x.pcap")).unwrap_err().to_string();
    assert_eq!(gone, "cannot open /nonexistent/x.pcap: No such file or directory (os error 2)");
    let folder = Reader::open(Path::new("/")).unwrap_err().to_string();
    assert_eq!(folder, "cannot open /: is a directory");
    for (bytes, what) in [
        (&b""[..], "an empty file"),
        (b"\x1f\x8b\x08\0", "gzip; decompress it first (zcat FILE | dhcp-observer replay -)"),
        (b"{\"packets\": []}", "JSON"),
        (b"17:25:01 IP 192.0.2.1.67 > ", "text"),
        (&[0; 64], "nothing but zeros"),
        (b"\xd4\xc3\xb2\xa1\x02\0", "pcap, but shorter than its header"),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0????", "pcapng with an unreadable section header"),
        (b"\x7fELF\x02", "a program"),
        (&[7; 64], "something else (its first octets are no known magic number)"),
    ] {
        let (_, _, end) = read(bytes);
        let expected = format!("not a capture file (pcap or pcapng): it looks like {what}");
        assert_eq!(end.or_else(|| read(bytes).2), Some(expected));
    }
}

#[test]
fn what_is_whole_comes_before_the_error() {
    let order = ORDERS[0];
    let head = order.pcap(0xa1b2_c3d4, 65_535, 1);
    let record = order.record(1, 2, 3, FRAME);
    let whole = [&*head, &record, &record].concat();
    for length in head.len()..=whole.len() {
        let (seen, _, end) = read(&whole[..length]);
        let complete = (length - head.len()) / record.len();
        let cut = (length - head.len()) % record.len();
        assert_eq!(seen.len(), complete);
        let needed = if cut < 16 { 16 } else { record.len() };
        let begins = head.len() + complete * record.len();
        let expected = format!(
            "cut short after {complete} records: what begins at octet {begins} needs {needed} octets and has {cut}"
        );
        assert_eq!(end, (cut > 0).then_some(expected));
    }
    let corrupt = [&*head, &record, &order.words(&[0, 0, 300_000, 300_000])].concat();
    let (seen, _, end) = read(&*corrupt);
    assert_eq!(seen.len(), 1);
    let expected =
        "corrupt after 1 records, at octet 77: a frame of 300000 octets, where 262144 are the most";
    assert_eq!(end.as_deref(), Some(expected));
}

#[test]
fn broken_pcapng_is_named() {
    let order = ORDERS[0];
    let good = [order.section(), order.describe(1, 0, &[]), order.enhanced(0, 0, 3, b"abc", None)].concat();
    let mut version = order.section();
    version[12] = 2;
    let mut lying = order.enhanced(0, 0, 3, b"abc", None);
    lying[20] = 200;
    let mut foot = order.enhanced(0, 0, 3, b"abc", None);
    *foot.last_mut().unwrap() = 9;
    let mut huge = order.block(6, &[]);
    huge[4..8].copy_from_slice(&order.u32(0x7fff_fffc));
    let mut skipped = order.block(0x0bad, &[]);
    skipped[4..8].copy_from_slice(&order.u32(0x7fff_fffc));
    for (tail, what) in [
        (
            order.enhanced(1, 0, 3, b"abc", None),
            "a packet on interface 1, which the section does not describe",
        ),
        (order.block(6, &[0; 4]), "a block whose inner lengths do not fit"),
        (order.block(2, &[0; 4]), "a packet block shorter than its header"),
        (lying, "a block whose inner lengths do not fit"),
        (foot, "a block whose inner lengths do not fit"),
        (order.words(&[6, 7]), "a block that says it is 7 octets long"),
        (order.words(&[6, 13, 0, 0]), "a block that says it is 13 octets long"),
        (huge, "a block of 2147483644 octets, where 16777216 are the most"),
        (version, "a section of pcapng version 2.0; only 1 is known"),
        (order.words(&[0x0a0d_0d0a, 28, 0]), "a section header without its byte-order magic"),
        (skipped, ""),
    ] {
        let offset = good.len();
        let (seen, _, end) = read(&*[&*good, &tail].concat());
        assert_eq!(seen.len(), 1, "{what}");
        let expected = match what {
            "" => "cut short after 1 records: what begins at octet 84 needs 2147483644 octets and has 12"
                .to_owned(),
            what => format!("corrupt after 1 records, at octet {offset}: {what}"),
        };
        assert_eq!(end, Some(expected));
    }
}

/// A stream that gives one octet at a time and is interrupted before each.
struct Drip<'a>(&'a [u8], bool);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = self.0.len().min(buffer.len()).min(1);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn a_pipe_that_drips_is_read_like_a_file() {
    let order = ORDERS[1];
    let mut file = [order.section(), order.describe(1, 0, &[])].concat();
    for step in 0..20 {
        file.extend(order.enhanced(0, step, 3, FRAME, Some(1)));
        file.extend(order.block(0x0bad, FRAME));
    }
    assert_eq!(read(Drip(&file, false)), read(&*file));
    assert_eq!(read(&*file).1, Counts { records: 20, other_blocks: 20, unsupported_link: 0 });
}

#[test]
fn a_block_larger_than_the_window_is_read_or_skipped() {
    let order = ORDERS[0];
    let large = vec![0x5a; 3_000_000];
    let file = [
        order.section(),
        order.describe(1, 0, &[]),
        order.block(0x0bad, &vec![0; 20_000_000]),
        order.enhanced(0, 0, 3_000_000, &large, None),
        order.enhanced(0, 0, 3, FRAME, None),
    ]
    .concat();
    let (seen, counts, end) = read(&*file);
    assert_eq!((counts.records, counts.other_blocks, end), (2, 1, None));
    assert!(seen[0].bytes == large && seen[1].bytes == FRAME);
}

#[test]
fn arbitrary_bytes_never_panic() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..30_000 {
        let order = ORDERS[round % 2];
        let mut file = match round % 3 {
            0 => [
                order.pcap(0xa1b2_c3d4, 100, 276),
                order.record(1, 2, 40, FRAME),
                order.record(1, 2, 40, FRAME),
            ]
            .concat(),
            _ => [
                order.section(),
                order.describe(276, 9, &[(2, b"eth0"), (9, &[9]), (14, &[1; 8])]),
                order.enhanced(0, 1 << 40, 99, FRAME, Some(1)),
                order.block(3, &[&order.u32(37), FRAME].concat()),
                order.block(2, &[&[0; 12][..], &order.u32(9), FRAME].concat()),
                order.section(),
                order.enhanced(0, 0, 0, &[], None),
            ]
            .concat(),
        };
        for _ in 0..next() % 8 {
            let position = next() as usize % file.len();
            file[position] = if next() % 2 == 0 { next() as u8 } else { file[position] ^ 1 << (next() % 8) };
        }
        file.truncate(next() as usize % (file.len() * 2));
        let (seen, counts, _) = read(&*file);
        assert_eq!(seen.len() as u64, counts.records);
        assert!(seen.len() <= file.len() / 12);
    }
}
