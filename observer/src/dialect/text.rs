//! Values as text, appended to a block of environment strings.

use std::io::Write;
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
    for (index, &octet) in octets.iter().enumerate() {
        if index > 0 {
            out.push(b':');
        }
        out.extend_from_slice(&digits(LOWER, octet));
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

/// Dotted quad.
pub(super) fn ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        number(out, octet);
    }
}

/// As glibc's `inet_ntop` has it: RFC 5952, but an address whose first 96 bits are zero ends in a dotted quad.
pub(super) fn ipv6(out: &mut Vec<u8>, address: Ipv6Addr) {
    let [zeros @ .., high, low] = address.segments();
    if zeros == [0; 6] && high != 0 {
        out.extend_from_slice(b"::");
        return ipv4(out, Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    }
    // Writing to a vector cannot fail.
    let _ = write!(out, "{address}");
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
        for address in ["::", "::1", "::1.2.3.4", "::ffff:1.2.3.4", "2001:db8::1", "2001:db8:0:1:1:1:1:1", "fe80::1:0:0:1"] {
            let expected = address;
            assert_eq!(text(|out| ipv6(out, address.parse().unwrap())), expected);
        }
        assert_eq!(text(|out| ipv4(out, Ipv4Addr::new(192, 0, 2, 101))), "192.0.2.101");
    }
}
