//! The link header: hardware addresses, VLAN tags and which protocol follows.

use crate::frame::{Frame, LinkType};

use super::datagram::{MacAddress, VlanTags};
use super::skip::Skip;

/// What follows the link header.
#[derive(Clone, Copy, Debug)]
pub(super) enum Network<'a> {
    /// The bytes of what the link header calls IPv4.
    Ipv4(&'a [u8]),
    /// The bytes of what the link header calls IPv6.
    Ipv6(&'a [u8]),
}

/// A frame without its link header.
#[derive(Debug)]
pub(super) struct Link<'a> {
    pub(super) source: Option<MacAddress>,
    pub(super) destination: Option<MacAddress>,
    pub(super) vlans: VlanTags,
    pub(super) network: Network<'a>,
}

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and the value that QinQ switches used before 802.1ad.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// Takes the link header off.
#[inline]
pub(super) fn dissect<'a>(frame: &Frame<'a>) -> Result<Link<'a>, Skip> {
    let (source, destination, ethertype, rest) = match frame.link_type {
        LinkType::Ethernet => {
            let (header, rest) = frame.bytes.split_first_chunk::<14>().ok_or(Skip::TruncatedHeaders)?;
            let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, type0, type1] = *header;
            let source = [s0, s1, s2, s3, s4, s5];
            (Some(source), Some([d0, d1, d2, d3, d4, d5]), u16::from_be_bytes([type0, type1]), rest)
        }
        LinkType::LinuxSll => {
            let (header, rest) = frame.bytes.split_first_chunk::<16>().ok_or(Skip::TruncatedHeaders)?;
            let [_, _, _, _, length0, length1, a0, a1, a2, a3, a4, a5, _, _, type0, type1] = *header;
            let source = ([length0, length1] == [0, 6]).then_some([a0, a1, a2, a3, a4, a5]);
            (source, None, u16::from_be_bytes([type0, type1]), rest)
        }
        LinkType::LinuxSll2 => {
            let (header, rest) = frame.bytes.split_first_chunk::<20>().ok_or(Skip::TruncatedHeaders)?;
            let [type0, type1, _, _, _, _, _, _, _, _, _, length, a0, a1, a2, a3, a4, a5, _, _] = *header;
            let source = (length == 6).then_some([a0, a1, a2, a3, a4, a5]);
            (source, None, u16::from_be_bytes([type0, type1]), rest)
        }
        LinkType::RawIp => {
            let ethertype = match frame.bytes.first().ok_or(Skip::TruncatedHeaders)? >> 4 {
                4 => IPV4,
                6 => IPV6,
                _ => return Err(Skip::NotIp),
            };
            (None, None, ethertype, frame.bytes)
        }
    };
    let mut vlans = VlanTags::default();
    if let Some(tag) = frame.metadata_tag {
        vlans.push(tag.into()).then_some(()).ok_or(Skip::TooManyTags)?;
    }
    let (ethertype, rest) = match ethertype {
        IPV4 | IPV6 => (ethertype, rest),
        _ => tags(ethertype, rest, &mut vlans)?,
    };
    let network = match ethertype {
        IPV4 => Network::Ipv4(rest),
        IPV6 => Network::Ipv6(rest),
        ARP => return Err(Skip::Arp),
        _ => return Err(Skip::NotIp),
    };
    Ok(Link { source, destination, vlans, network })
}

/// Takes the VLAN tags off.
fn tags<'a>(mut ethertype: u16, mut rest: &'a [u8], vlans: &mut VlanTags) -> Result<(u16, &'a [u8]), Skip> {
    while TAGS.contains(&ethertype) {
        let (tag, inner) = rest.split_first_chunk::<4>().ok_or(Skip::TruncatedHeaders)?;
        let [tci0, tci1, type0, type1] = *tag;
        if !vlans.push(super::VlanTag { ethertype, tci: u16::from_be_bytes([tci0, tci1]) }) {
            return Err(Skip::TooManyTags);
        }
        ethertype = u16::from_be_bytes([type0, type1]);
        rest = inner;
    }
    Ok((ethertype, rest))
}
