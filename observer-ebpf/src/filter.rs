//! Which packets are DHCP.
//!
//! A packet that is not DHCP is the common case on a server's interface and must cost next to nothing, so it is first
//! glanced at by direct packet access at constant offsets. Only what the glance cannot decide (DHCP itself, options,
//! extension headers, fragments, a header outside the linear part) is walked by the slower copying helpers.

use dhcp_observer_ebpf::{Direction, Kind};

use crate::fragments::{self, Datagram};
use crate::packet::Packet;

/// What a packet begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// An Ethernet header.
    Ethernet,
    /// An IPv4 or IPv6 header.
    Ip,
}

/// What the filter says of a packet.
pub enum Finding {
    /// It is not DHCP.
    PassBy,
    /// It says it carries IP but ends before that can be known.
    Unreadable,
    /// It is DHCP.
    Take(Kind),
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// The octets of an Ethernet header and of a VLAN tag.
const ETHERNET_HEADER: u32 = 14;
const VLAN_TAG: u32 = 4;

/// How many tags in the bytes are looked behind. A further one may be in the metadata.
const VLAN_TAGS: usize = 3;

/// How many IPv6 extension headers are looked behind. RFC 8200 section 4.1 has each at most once and destination
/// options twice, which makes six.
const EXTENSION_HEADERS: usize = 8;

const IP_MORE_FRAGMENTS: u16 = 0x2000;
const IP_FRAGMENT_OFFSET: u16 = 0x1fff;

const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const ESP: u8 = 50;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;

/// Says whether a packet is DHCP, and remembers what recognises its later fragments.
#[inline(always)]
pub fn examine<P: Packet>(packet: &P, start: Start, direction: Direction) -> Finding {
    if is_surely_not_dhcp(packet, start) {
        return Finding::PassBy;
    }
    match network_header(packet, start) {
        Ok((ETHERTYPE_IPV4, offset)) => examine_v4(packet, offset, direction),
        Ok((ETHERTYPE_IPV6, offset)) => examine_v6(packet, offset, direction),
        Ok(_) => Finding::PassBy,
        Err(finding) => finding,
    }
}

/// The glance: true only when the packet is certainly not DHCP.
#[inline(always)]
fn is_surely_not_dhcp<P: Packet>(packet: &P, start: Start) -> bool {
    let linear = Linear { start: packet.data(), end: packet.data_end() };
    match start {
        // Two octets are read for the first one's sake: the compiler turns the bounds check of a single octet at
        // offset zero into a comparison from which the verifier learns nothing.
        Start::Ip => match linear.be16(0) {
            Some(first) if first >> 12 == 4 => glance_v4(&linear, 0),
            Some(first) if first >> 12 == 6 => glance_v6(&linear, 0),
            Some(_) => true,
            None => false,
        },
        Start::Ethernet => {
            // The tags are unrolled by hand because the verifier wants constant offsets to make one bounds check
            // count for the reads behind it.
            let Some(ethertype) = linear.be16(12) else { return false };
            if !is_vlan(ethertype) {
                return glance_at(&linear, ethertype, 14);
            }
            let Some(ethertype) = linear.be16(16) else { return false };
            if !is_vlan(ethertype) {
                return glance_at(&linear, ethertype, 18);
            }
            let Some(ethertype) = linear.be16(20) else { return false };
            !is_vlan(ethertype) && glance_at(&linear, ethertype, 22)
        }
    }
}

#[inline(always)]
fn glance_at(linear: &Linear, ethertype: u16, offset: usize) -> bool {
    match ethertype {
        ETHERTYPE_IPV4 => glance_v4(linear, offset),
        ETHERTYPE_IPV6 => glance_v6(linear, offset),
        _ => true,
    }
}

#[inline(always)]
fn glance_v4(linear: &Linear, offset: usize) -> bool {
    // The last read goes first: its bounds check covers the others.
    let Some(destination) = linear.be16(offset + 22) else { return false };
    let (Some(first), Some(protocol)) = (linear.at::<u8>(offset), linear.at::<u8>(offset + 9)) else {
        return false;
    };
    if protocol != UDP {
        return true;
    }
    let (Some(fragment), Some(source)) = (linear.be16(offset + 6), linear.be16(offset + 20)) else {
        return false;
    };
    first == 0x45
        && fragment & (IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET) == 0
        && !is_dhcpv4_port(source)
        && !is_dhcpv4_port(destination)
}

#[inline(always)]
fn glance_v6(linear: &Linear, offset: usize) -> bool {
    let Some(destination) = linear.be16(offset + 42) else { return false };
    let Some(next_header) = linear.at::<u8>(offset + 6) else { return false };
    match next_header {
        UDP => {
            let Some(source) = linear.be16(offset + 40) else { return false };
            !is_dhcpv6_port(source) && !is_dhcpv6_port(destination)
        }
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS => false,
        _ => true,
    }
}

/// The part of a packet that can be read directly.
struct Linear {
    start: usize,
    end: usize,
}

impl Linear {
    /// The value at `offset` in the packet's byte order. `T` is an integer, and 16-bit ones lie at even offsets, so
    /// that machines which insist on aligned reads accept them too.
    #[inline(always)]
    fn at<T: Copy>(&self, offset: usize) -> Option<T> {
        if self.start + offset + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: the verifier checks every direct access against the comparison above.
        Some(unsafe { *((self.start + offset) as *const T) })
    }

    #[inline(always)]
    fn be16(&self, offset: usize) -> Option<u16> {
        self.at::<u16>(offset).map(u16::from_be)
    }
}

/// The walk, step one: the EtherType behind all tags and the offset of what it announces.
#[inline(always)]
fn network_header<P: Packet>(packet: &P, start: Start) -> Result<(u16, u32), Finding> {
    if start == Start::Ip {
        let [first] = packet.read(0).ok_or(Finding::Unreadable)?;
        return match first >> 4 {
            4 => Ok((ETHERTYPE_IPV4, 0)),
            6 => Ok((ETHERTYPE_IPV6, 0)),
            _ => Err(Finding::PassBy),
        };
    }
    let mut offset = ETHERNET_HEADER;
    let mut ethertype = u16::from_be_bytes(packet.read(12).ok_or(Finding::Unreadable)?);
    for _ in 0..VLAN_TAGS {
        if !is_vlan(ethertype) {
            break;
        }
        ethertype = u16::from_be_bytes(packet.read(offset + 2).ok_or(Finding::Unreadable)?);
        offset += VLAN_TAG;
    }
    Ok((ethertype, offset))
}

/// The walk, step two, for IPv4.
#[inline(always)]
fn examine_v4<P: Packet>(packet: &P, offset: u32, direction: Direction) -> Finding {
    let Some(header) = packet.read::<20>(offset) else { return Finding::Unreadable };
    let header_length = u32::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_length < 20 {
        return Finding::Unreadable;
    }
    if header[9] != UDP {
        return Finding::PassBy;
    }
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    let fragment_offset = fragment & IP_FRAGMENT_OFFSET;
    let more_fragments = fragment & IP_MORE_FRAGMENTS != 0;
    let datagram = || {
        let identification = u16::from_be_bytes([header[4], header[5]]);
        let source = [header[12], header[13], header[14], header[15]];
        let destination = [header[16], header[17], header[18], header[19]];
        Datagram::v4(source, destination, identification, packet.interface_index(), direction)
    };
    if fragment_offset != 0 {
        return later_fragment(&datagram(), Kind::V4Fragment);
    }
    let Some((source, dest)) = ports(packet, offset + header_length) else { return Finding::Unreadable };
    if !is_dhcpv4_port(source) && !is_dhcpv4_port(dest) {
        return Finding::PassBy;
    }
    if !more_fragments {
        return Finding::Take(Kind::V4);
    }
    fragments::remember(&datagram());
    Finding::Take(Kind::V4Fragment)
}

/// The walk, step two, for IPv6.
#[inline(always)]
fn examine_v6<P: Packet>(packet: &P, offset: u32, direction: Direction) -> Finding {
    let Some(header) = packet.read::<40>(offset) else { return Finding::Unreadable };
    if header[0] >> 4 != 6 {
        return Finding::Unreadable;
    }
    let mut next_header = header[6];
    let mut offset = offset + 40;
    // Of the fragment header that starts a datagram in several pieces. Not an `Option`, whose absent value is left
    // uninitialised on the stack: kernels before 6.3 refuse to carry that around.
    let mut is_first_fragment = false;
    let mut first_identification = 0;
    let datagram =
        |identification| Datagram::v6(&header, identification, packet.interface_index(), direction);
    for _ in 0..EXTENSION_HEADERS {
        match next_header {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let Some([next, length]) = packet.read(offset) else { return Finding::Unreadable };
                next_header = next;
                offset += (u32::from(length) + 1) * 8;
            }
            // The length of an authentication header counts 4-octet units and leaves out two (RFC 4302).
            AUTHENTICATION => {
                let Some([next, length]) = packet.read(offset) else { return Finding::Unreadable };
                next_header = next;
                offset += (u32::from(length) + 2) * 4;
            }
            FRAGMENT => {
                let Some(fragment) = packet.read::<8>(offset) else { return Finding::Unreadable };
                next_header = fragment[0];
                offset += 8;
                let position = u16::from_be_bytes([fragment[2], fragment[3]]);
                let identification = u32::from_be_bytes([fragment[4], fragment[5], fragment[6], fragment[7]]);
                if position & 0xfff8 != 0 {
                    // What follows is the middle of a datagram; of its next header only the kind is known.
                    return match next_header {
                        TCP | ICMPV6 | ESP | NO_NEXT_HEADER => Finding::PassBy,
                        _ => later_fragment(&datagram(identification), Kind::V6Fragment),
                    };
                }
                // Offset zero and nothing to follow is a whole datagram that merely passed a translator
                // (RFC 6946).
                if position & 1 != 0 {
                    is_first_fragment = true;
                    first_identification = identification;
                }
            }
            UDP => {
                let Some((source, dest)) = ports(packet, offset) else { return Finding::Unreadable };
                if !is_dhcpv6_port(source) && !is_dhcpv6_port(dest) {
                    return Finding::PassBy;
                }
                if !is_first_fragment {
                    return Finding::Take(Kind::V6);
                }
                fragments::remember(&datagram(first_identification));
                return Finding::Take(Kind::V6Fragment);
            }
            _ => return Finding::PassBy,
        }
    }
    Finding::PassBy
}

#[inline(always)]
fn later_fragment(datagram: &Datagram, kind: Kind) -> Finding {
    if fragments::is_remembered(datagram) { Finding::Take(kind) } else { Finding::PassBy }
}

#[inline(always)]
fn ports<P: Packet>(packet: &P, offset: u32) -> Option<(u16, u16)> {
    let [a, b, c, d] = packet.read(offset)?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// 802.1Q, 802.1ad, and the EtherType that stacked tags had before 802.1ad.
#[inline(always)]
const fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100)
}

/// RFC 2131 section 4.1: server 67, client 68.
#[inline(always)]
const fn is_dhcpv4_port(port: u16) -> bool {
    matches!(port, 67 | 68)
}

/// RFC 8415 section 7.2: client 546, server 547.
#[inline(always)]
const fn is_dhcpv6_port(port: u16) -> bool {
    matches!(port, 546 | 547)
}
