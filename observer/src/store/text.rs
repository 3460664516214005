//! How values are written into columns, so that people can read them and they come back as they were.

use std::fmt::Write as _;
use std::net::Ipv6Addr;
use std::str::FromStr;

use rusqlite::types::ValueRef;

use crate::dhcpv6::IaKind;
use crate::dissect::{VlanTag, VlanTags};
use crate::identity::{ColonHex, Identifier};
use crate::tracker::{LeaseState, Subject};

/// EtherType of an 802.1Q tag, which is not written because it is the usual one.
const DOT1Q: u16 = 0x8100;

/// Octets as text where they are UTF-8 without NUL, which sqlite3 would not show beyond; as a blob otherwise.
pub(super) fn readable(octets: &[u8]) -> ValueRef<'_> {
    match std::str::from_utf8(octets) {
        Ok(text) if !octets.contains(&0) => ValueRef::Text(text.as_bytes()),
        _ => ValueRef::Blob(octets),
    }
}

/// Octets out of text or a blob.
pub(super) fn octets(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Text(octets) | ValueRef::Blob(octets) => Some(octets),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    }
}

pub(super) fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(octets.len() * 3);
    for octet in octets {
        if !text.is_empty() {
            text.push(':');
        }
        for digit in [octet >> 4, octet & 15] {
            text.push(char::from(*DIGITS.get(usize::from(digit)).unwrap_or(&b'0')));
        }
    }
    text
}

/// The octets of [`hex`].
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let mut octets = Vec::with_capacity(text.len() / 3 + 1);
    for digits in text.split(':') {
        let is_octet = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        octets.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_octet)?);
    }
    Some(octets)
}

/// VLAN tags, outermost first: `100`, and where a tag is not plain 802.1Q without priority, its EtherType and the four
/// bits before the identifier: `100/88a8/6`.
pub(super) fn vlans(tags: &VlanTags) -> Option<String> {
    let mut text = String::new();
    for (position, tag) in tags.as_slice().iter().enumerate() {
        let separator = if position > 0 { "." } else { "" };
        let bits = tag.tci >> 12;
        // Writing to a string cannot fail.
        let _ = if tag.ethertype == DOT1Q && bits == 0 {
            write!(text, "{separator}{}", tag.id())
        } else {
            write!(text, "{separator}{}/{:04x}/{bits}", tag.id(), tag.ethertype)
        };
    }
    (!text.is_empty()).then_some(text)
}

pub(super) fn from_vlans(text: &str) -> Option<VlanTags> {
    let mut tags = VlanTags::default();
    for part in text.split('.') {
        let mut fields = part.split('/');
        let id: u16 = fields.next()?.parse().ok().filter(|id| *id < 4_096)?;
        let tag = match (fields.next(), fields.next()) {
            (None, _) => VlanTag { ethertype: DOT1Q, tci: id },
            (Some(ethertype), bits) => {
                let bits: u16 = bits?.parse().ok().filter(|bits| *bits < 16)?;
                VlanTag { ethertype: u16::from_str_radix(ethertype, 16).ok()?, tci: bits << 12 | id }
            }
        };
        tags.push(tag).then_some(())?;
    }
    Some(tags)
}

pub(super) fn state(name: &str) -> Option<LeaseState> {
    use LeaseState::{Declined, Default, ExpiredReclaimed, Registered, Released};
    [Default, Declined, ExpiredReclaimed, Released, Registered].into_iter().find(|state| state.name() == name)
}

pub(super) fn kind_name(kind: IaKind) -> &'static str {
    match kind {
        IaKind::NonTemporary => "IA_NA",
        IaKind::Temporary => "IA_TA",
        IaKind::PrefixDelegation => "IA_PD",
    }
}

pub(super) fn kind(name: &str) -> Option<IaKind> {
    use IaKind::{NonTemporary, PrefixDelegation, Temporary};
    [NonTemporary, Temporary, PrefixDelegation].into_iter().find(|kind| kind_name(*kind) == name)
}

/// What something is about: `lease4 192.0.2.1`, `address6 2001:db8::1`, `prefix6 2001:db8:1::`, `client4 02:…`,
/// `client6 00:03:…`, separated by commas.
pub(super) fn subjects(subjects: &[Subject]) -> String {
    let mut text = String::new();
    for subject in subjects {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = match subject {
            Subject::Lease4(address) => write!(text, "{separator}lease4 {address}"),
            Subject::Address6(address) => write!(text, "{separator}address6 {address}"),
            Subject::Prefix6(address) => write!(text, "{separator}prefix6 {address}"),
            Subject::Client4(client) => write!(text, "{separator}client4 {}", ColonHex(client.octets())),
            Subject::Client6(client) => write!(text, "{separator}client6 {}", ColonHex(client.octets())),
        };
    }
    text
}

pub(super) fn from_subjects(text: &str) -> Option<Vec<Subject>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let parse = |part: &str| {
        let (kind, value) = part.split_once(' ')?;
        Some(match kind {
            "lease4" => Subject::Lease4(value.parse().ok()?),
            "address6" => Subject::Address6(Ipv6Addr::from_str(value).ok()?),
            "prefix6" => Subject::Prefix6(value.parse().ok()?),
            "client4" => Subject::Client4(Identifier::new(&from_hex(value)?)),
            "client6" => Subject::Client6(Identifier::new(&from_hex(value)?)),
            _ => return None,
        })
    };
    text.split(", ").map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_come_back() {
        for octets in [&[][..], &[0], &[0xff, 0x0a, 7], &[9; 40]] {
            assert_eq!(from_hex(&hex(octets)).as_deref(), Some(octets));
            assert_eq!(hex(octets), ColonHex(octets).to_string());
        }
        for wrong in [":", "0", "+1", "0g", "00:", "000"] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn vlan_tags_come_back_with_all_their_bits() {
        let tags = |list: &[(u16, u16)]| {
            let mut tags = VlanTags::default();
            assert!(list.iter().all(|&(ethertype, tci)| tags.push(VlanTag { ethertype, tci })));
            tags
        };
        for (list, text) in [
            (&[(0x8100, 100)][..], Some("100")),
            (&[(0x88a8, 0x6007), (0x8100, 7)], Some("7/88a8/6.7")),
            (&[(0x9100, 4095), (0x8100, 0xf000)], Some("4095/9100/0.0/8100/15")),
            (&[], None),
        ] {
            assert_eq!(vlans(&tags(list)).as_deref(), text);
            if let Some(text) = text {
                assert_eq!(from_vlans(text), Some(tags(list)));
            }
        }
        for wrong in ["", "x", "4096", "1/8100", "1/8100/16", "1.2.3.4.5"] {
            assert_eq!(from_vlans(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn subjects_come_back() {
        let all = [
            Subject::Lease4([192, 0, 2, 1].into()),
            Subject::Address6("2001:db8::1".parse().unwrap()),
            Subject::Prefix6("2001:db8::".parse().unwrap()),
            Subject::Client4(Identifier::new(&[2, 0, 0xfe])),
            Subject::Client6(Identifier::new(&[])),
        ];
        for some in [&all[..], &all[..1], &[]] {
            assert_eq!(from_subjects(&subjects(some)).as_deref(), Some(some));
        }
        assert_eq!(from_subjects("lease4 nowhere"), None);
    }
}
