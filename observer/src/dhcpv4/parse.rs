//! The framing walk: header, magic cookie, options field, overloaded `file` and `sname`.

use std::net::Ipv4Addr;
use std::ops::Range;

use crate::identity::HardwareAddress;
use crate::octets::Octets;

use super::{Fault, Malformed, Message, MessageType, Op, Options, code};

/// The fixed header without the options (RFC 2131 figure 1).
const HEADER: usize = 236;
const CHADDR: Range<usize> = 28..44;
const SNAME: Range<usize> = 44..108;
const FILE: Range<usize> = 108..236;
/// 99.130.83.99 (RFC 2131 section 3).
const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Bits of option 52 (RFC 2132 section 9.3).
const OVERLOAD_FILE: u8 = 1;
const OVERLOAD_SNAME: u8 = 2;

/// Reads a UDP payload. Total: whatever the bytes are, there is a message, and [`Message::malformed`] says what was wrong.
pub fn parse(payload: &[u8]) -> Message {
    let mut malformed = Vec::new();
    if payload.len() < HEADER {
        malformed.push(Malformed { offset: payload.len(), fault: Fault::ShortHeader });
    }
    let octet = |at: usize| payload.get(at).copied().unwrap_or(0);
    let short = |at: usize| u16::from_be_bytes([octet(at), octet(at + 1)]);
    let long = |at: usize| u32::from_be_bytes([octet(at), octet(at + 1), octet(at + 2), octet(at + 3)]);
    let address = |at: usize| Ipv4Addr::from(long(at));

    let hlen = usize::from(octet(2));
    if hlen > HardwareAddress::MAX {
        malformed.push(Malformed { offset: 2, fault: Fault::LongHardwareAddress });
    }
    let mut options = Options::default();
    let mut overload = 0;
    if payload.get(HEADER..HEADER + 4) == Some(&MAGIC_COOKIE) {
        walk(payload, HEADER + 4..payload.len(), &mut options, &mut malformed);
        overload = options.get(code::OVERLOAD).and_then(|octets| octets.first().copied()).unwrap_or(0);
        if overload & OVERLOAD_FILE != 0 {
            walk(payload, FILE, &mut options, &mut malformed);
        }
        if overload & OVERLOAD_SNAME != 0 {
            walk(payload, SNAME, &mut options, &mut malformed);
        }
    } else if payload.len() >= HEADER {
        malformed.push(Malformed { offset: HEADER, fault: Fault::NoMagicCookie });
    }
    let message_type = options.get(code::MESSAGE_TYPE).and_then(|octets| match octets.as_ref() {
        &[number] => Some(MessageType(number)),
        _ => {
            malformed.push(Malformed { offset: HEADER, fault: Fault::BadOptionValue(code::MESSAGE_TYPE) });
            None
        }
    });
    for (code, length) in [
        (code::SUBNET_MASK, 4),
        (code::REQUESTED_ADDRESS, 4),
        (code::LEASE_TIME, 4),
        (code::OVERLOAD, 1),
        (code::SERVER_IDENTIFIER, 4),
    ] {
        if options.get(code).is_some_and(|octets| octets.len() != length) {
            malformed.push(Malformed { offset: HEADER, fault: Fault::BadOptionValue(code) });
        }
    }

    Message {
        op: match octet(0) {
            1 => Op::Request,
            2 => Op::Reply,
            other => Op::Other(other),
        },
        hops: octet(3),
        xid: long(4),
        secs: short(8),
        flags: short(10),
        ciaddr: address(12),
        yiaddr: address(16),
        siaddr: address(20),
        giaddr: address(24),
        chaddr: HardwareAddress::new(
            u16::from(octet(1)),
            payload.get(CHADDR.start..payload.len().min(CHADDR.end)).unwrap_or_default(),
            hlen,
        ),
        server_name: text_field(payload, SNAME, overload & OVERLOAD_SNAME != 0),
        filename: text_field(payload, FILE, overload & OVERLOAD_FILE != 0),
        message_type,
        options,
        malformed,
    }
}

/// A field of the header that holds text up to a NUL octet, unless it holds options.
fn text_field(payload: &[u8], field: Range<usize>, holds_options: bool) -> Octets {
    let octets = payload.get(field.start..field.end.min(payload.len())).unwrap_or_default();
    let text = octets.split(|octet| *octet == 0).next().unwrap_or_default();
    if holds_options { Octets::default() } else { text.into() }
}

/// Walks one options field and notes every option in it.
fn walk(payload: &[u8], field: Range<usize>, options: &mut Options, malformed: &mut Vec<Malformed>) {
    let end = field.end.min(payload.len());
    let mut at = field.start;
    while at < end {
        let code = payload.get(at).copied().unwrap_or(code::END);
        match code {
            code::PAD => {
                at += 1;
                continue;
            }
            code::END => return,
            _ => {}
        }
        let Some(&length) = payload.get(at + 1).filter(|_| at + 1 < end) else {
            malformed.push(Malformed { offset: at, fault: Fault::OptionWithoutLength });
            return;
        };
        let start = at + 2;
        let next = start + usize::from(length);
        let Some(value) = payload.get(start..next).filter(|_| next <= end) else {
            malformed.push(Malformed { offset: at, fault: Fault::OptionOverrun });
            return;
        };
        if !options.push(code, value) {
            malformed.push(Malformed { offset: at, fault: Fault::TooManyOptions });
            return;
        }
        at = next;
    }
    malformed.push(Malformed { offset: end, fault: Fault::NoEndOption });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(options: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; HEADER];
        payload[0] = 1;
        payload[1] = 1;
        payload[2] = 6;
        payload[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
        payload[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        payload.extend_from_slice(&MAGIC_COOKIE);
        payload.extend_from_slice(options);
        payload
    }

    fn faults(message: &Message) -> Vec<Fault> {
        message.malformed.iter().map(|malformed| malformed.fault).collect()
    }

    #[test]
    fn a_plain_request_is_read() {
        let message = parse(&datagram(&[53, 1, 3, 0, 0, 50, 4, 192, 0, 2, 9, 61, 2, 7, 8, 255, 1, 1]));
        assert_eq!(message.message_type, Some(MessageType::REQUEST));
        assert_eq!(message.xid, 0xdead_beef);
        assert_eq!(message.requested_address(), Some(Ipv4Addr::new(192, 0, 2, 9)));
        assert_eq!(message.client_id().unwrap().as_ref(), [7, 8]);
        assert_eq!(message.chaddr, HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]));
        assert_eq!(message.options.codes().collect::<Vec<_>>(), [53, 50, 61]);
        assert!(message.malformed.is_empty());
    }

    #[test]
    fn pieces_of_an_option_are_one_option_wherever_they_stand() {
        let mut payload = datagram(&[82, 2, 1, 1, 52, 1, 3, 53, 1, 1, 82, 1, 65, 255]);
        payload[FILE.start..FILE.start + 4].copy_from_slice(&[82, 1, 66, 255]);
        payload[SNAME.start..SNAME.start + 4].copy_from_slice(&[82, 1, 67, 255]);
        let message = parse(&payload);
        assert_eq!(message.options.get(82).unwrap().as_ref(), [1, 1, 65, 66, 67]);
        assert!(message.malformed.is_empty());
    }

    #[test]
    fn text_in_the_header_is_read_where_it_holds_no_options() {
        for (overload, names) in [(0, ("boot", "/a/b")), (1, ("boot", "")), (2, ("", "/a/b")), (3, ("", ""))]
        {
            let mut payload = datagram(&[53, 1, 5, 52, 1, overload, 255]);
            payload[SNAME.start..SNAME.start + 6].copy_from_slice(b"boot\0x");
            payload[FILE.start..FILE.start + 4].copy_from_slice(b"/a/b");
            let message = parse(&payload);
            let (server_name, filename) = (names.0.as_bytes(), names.1.as_bytes());
            assert_eq!((&*message.server_name, &*message.filename), (server_name, filename), "{overload}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_the_rest_is_kept() {
        for (options, fault) in [
            (&[53, 1, 1, 12, 9, 65][..], Fault::OptionOverrun),
            (&[53, 1, 1, 12], Fault::OptionWithoutLength),
            (&[53, 1, 1], Fault::NoEndOption),
            (&[53, 1, 1, 51, 1, 0, 255], Fault::BadOptionValue(51)),
        ] {
            let message = parse(&datagram(options));
            assert_eq!(message.message_type, Some(MessageType::DISCOVER), "{options:?}");
            assert_eq!(faults(&message), [fault], "{options:?}");
            assert_eq!(message.lease_time(), None);
        }
        assert_eq!(faults(&parse(&[])), [Fault::ShortHeader]);
        let bootp = parse(&[1; HEADER]);
        assert_eq!((bootp.message_type, faults(&bootp)), (None, vec![Fault::NoMagicCookie]));
    }

    #[test]
    fn any_hlen_is_survived() {
        for hlen in 0..=255 {
            let mut payload = datagram(&[53, 1, 1, 255]);
            payload[2] = hlen;
            let message = parse(&payload);
            assert_eq!(message.chaddr.octets().len(), usize::from(hlen).min(20));
            assert_eq!(message.malformed.is_empty(), hlen <= 20, "{hlen}");
        }
    }

    #[test]
    fn a_message_cut_anywhere_is_a_message() {
        let whole = datagram(&[53, 1, 3, 61, 7, 1, 2, 3, 4, 5, 6, 7, 52, 1, 3, 255]);
        for length in 0..whole.len() {
            let _ = parse(&whole[..length]);
        }
    }
}
