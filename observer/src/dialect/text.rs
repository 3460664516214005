//! Values as text, appended to a block of environment strings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::identity::HardwareAddress;

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

fn digits(table: &[u8; 16], octet: u8) -> [u8; 2] {
    let digit = |nibble: u8| table.get(usize::from(nibble)).copied().unwrap_or(b'?');
    [digit(octet >> 4), digit(octet & 0x0f)]
}

/// Unsigned decimal without leading zeros.
pub(super) fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// `true` or `false`.
pub(super) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Lower-case hexadecimal, two digits an octet, colons between.
pub(super) fn colon_hex(out: &mut Vec<u8>, octets: &[u8]) {
    for &octet in octets {
        let [high, low] = digits(LOWER, octet);
        out.extend_from_slice(&[high, low, b':']);
    }
    if !octets.is_empty() {
        out.pop();
    }
}

/// `0x` and upper-case hexadecimal; nothing at all for no octets, as Kea has it.
pub(super) fn upper_hex(out: &mut Vec<u8>, octets: &[u8]) {
    if octets.is_empty() {
        return;
    }
    out.extend_from_slice(b"0x");
    for &octet in octets {
        out.extend_from_slice(&digits(UPPER, octet));
    }
}

/// Dotted quad. Each octet goes out with its dot in one piece of known length, which costs a store and not a call.
pub(super) fn ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    for octet in address.octets() {
        let [hundreds, tens, ones] = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' + digit);
        match octet {
            100.. => out.extend_from_slice(&[hundreds, tens, ones, b'.']),
            10.. => out.extend_from_slice(&[tens, ones, b'.']),
            _ => out.extend_from_slice(&[ones, b'.']),
        }
    }
    out.pop();
}

/// As glibc's `inet_ntop` has it: RFC 5952, but an address whose first 96 bits are zero ends in a dotted quad.
///
/// Not by `Display`, whose formatting machinery took longer than all the rest of an environment's addresses.
pub(super) fn ipv6(out: &mut Vec<u8>, address: Ipv6Addr) {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => out.extend_from_slice(b"::"),
        [0, 0, 0, 0, 0, 0xffff, _, _] => out.extend_from_slice(b"::ffff:"),
        _ => return ipv6_groups(out, segments),
    }
    let [.., a, b, c, d] = address.octets();
    ipv4(out, Ipv4Addr::new(a, b, c, d));
}

/// Groups with their colons; the first of the longest runs of two zeros or more is left out.
fn ipv6_groups(out: &mut Vec<u8>, segments: [u16; 8]) {
    let (mut start, mut length, mut run) = (0, 1, 0);
    for (index, segment) in segments.iter().enumerate() {
        run = if *segment == 0 { run + 1 } else { 0 };
        if run > length {
            (start, length) = (index + 1 - run, run);
        }
    }
    let skipped = if length > 1 { start..start + length } else { 0..0 };
    for (index, segment) in segments.into_iter().enumerate() {
        if skipped.contains(&index) {
            if index == start {
                // The colon of the group before is there already.
                out.extend_from_slice(if index == 0 { b"::" } else { b":" });
            }
            continue;
        }
        let [[a, b], [c, d]] = segment.to_be_bytes().map(|octet| digits(LOWER, octet));
        match segment {
            0x1000.. => out.extend_from_slice(&[a, b, c, d, b':']),
            0x100.. => out.extend_from_slice(&[b, c, d, b':']),
            0x10.. => out.extend_from_slice(&[c, d, b':']),
            _ => out.extend_from_slice(&[d, b':']),
        }
    }
    if skipped.end < 8 {
        out.pop();
    }
}

/// An address of either family.
pub(super) fn ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => ipv4(out, address),
        IpAddr::V6(address) => ipv6(out, address),
    }
}

/// A hardware address without its type; nothing where there is none.
pub(super) fn hardware(out: &mut Vec<u8>, address: Option<&HardwareAddress>) {
    colon_hex(out, address.map_or(&[], HardwareAddress::octets));
}

/// The decimal type of a hardware address; nothing where there is no address.
pub(super) fn hardware_type(out: &mut Vec<u8>, address: Option<&HardwareAddress>) {
    if let Some(address) = address {
        number(out, address.htype());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hexadecimal_is_keas() {
        assert_eq!(text(|out| colon_hex(out, &[2, 0xaa, 0])), "02:aa:00");
        assert_eq!(text(|out| colon_hex(out, &[])), "");
        assert_eq!(text(|out| upper_hex(out, &[1, 0xfe])), "0x01FE");
        assert_eq!(text(|out| upper_hex(out, &[])), "");
    }

    #[test]
    fn addresses_are_those_of_inet_ntop() {
        for address in [
            "::",
            "::1",
            "::1.2.3.4",
            "::ffff:1.2.3.4",
            "2001:db8::1",
            "2001:db8:0:1:1:1:1:1",
            "fe80::1:0:0:1",
        ] {
            let expected = address;
            assert_eq!(text(|out| ipv6(out, address.parse().unwrap())), expected);
        }
        for address in [Ipv4Addr::new(192, 0, 2, 101), Ipv4Addr::new(9, 10, 99, 100), Ipv4Addr::BROADCAST] {
            assert_eq!(text(|out| ipv4(out, address)), address.to_string());
        }
        // Every pattern of zero groups, with groups of every length.
        for pattern in 0..=255_u32 {
            for shift in [0, 4, 8, 12] {
                let group = |at: u16| if pattern >> at & 1 == 1 { (0x1a2b >> shift) + at % 2 } else { 0 };
                let address = Ipv6Addr::from([0, 1, 2, 3, 4, 5, 6, 7].map(group));
                let plain = text(|out| ipv6(out, address));
                let is_quad = plain.contains('.');
                assert_eq!(
                    is_quad,
                    address.segments()[..6] == [0_u16; 6] && address.segments()[6] != 0,
                    "{address}"
                );
                if !is_quad {
                    assert_eq!(plain, address.to_string());
                }
            }
        }
    }
}
