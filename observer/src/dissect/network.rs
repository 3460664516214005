//! The IP header and what may stand between it and UDP.

use std::net::IpAddr;

use etherparse::{
    IpAuthHeaderSlice, IpFragOffset, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, err, ip_number,
};

use crate::frame::Frame;

use super::link::Network;
use super::skip::Skip;

/// RFC 8200 has six kinds of extension header, and each stands at most twice.
const MOST_EXTENSIONS: usize = 12;

/// An IP packet.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) content: Content<'a>,
}

/// What an IP packet carries.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// All of a UDP datagram, or as much of it as was captured.
    Whole {
        /// The UDP header and what follows, to the end of the packet.
        bytes: &'a [u8],
        /// Whether the capture cut the packet short.
        truncated: bool,
    },
    /// A part of a datagram.
    Fragment(Fragment<'a>),
}

/// A fragment of an IP packet.
#[derive(Debug)]
pub(super) struct Fragment<'a> {
    /// The first protocol of the fragmented part: UDP or an extension header.
    pub(super) protocol: IpNumber,
    pub(super) identification: u32,
    pub(super) offset: IpFragOffset,
    pub(super) more: bool,
    pub(super) bytes: &'a [u8],
    /// Whether the capture cut it short.
    pub(super) truncated: bool,
}

/// Takes the IP header and its extensions off.
#[inline]
pub(super) fn dissect<'a>(network: Network<'a>, frame: &Frame<'_>) -> Result<Packet<'a>, Skip> {
    match network {
        Network::Ipv4(bytes) => ipv4(bytes, frame),
        Network::Ipv6(bytes) => ipv6(bytes, frame),
    }
}

/// The payload of an IP packet whose header says it is `said` octets long, and whether some of it is missing.
///
/// A length of 0 is what segmentation offload and jumbograms leave behind: then the frame is the measure.
#[inline]
fn payload<'a>(after_header: &'a [u8], said: Option<usize>, frame: &Frame<'_>) -> (&'a [u8], bool) {
    match said {
        Some(said) => match after_header.get(..said) {
            Some(exact) => (exact, false),
            None => (after_header, true),
        },
        None => (after_header, frame.bytes.len() < frame.wire_length),
    }
}

#[inline]
fn ipv4<'a>(bytes: &'a [u8], frame: &Frame<'_>) -> Result<Packet<'a>, Skip> {
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|error| match error {
        err::ipv4::HeaderSliceError::Len(_) => Skip::TruncatedHeaders,
        err::ipv4::HeaderSliceError::Content(_) => Skip::BadIpHeader,
    })?;
    let length = header.slice().len();
    let said = match usize::from(header.total_len()) {
        0 => None,
        total => Some(total.checked_sub(length).ok_or(Skip::BadIpHeader)?),
    };
    let (bytes, truncated) = payload(bytes.get(length..).unwrap_or_default(), said, frame);
    let content = if header.is_fragmenting_payload() {
        let protocol = header.protocol();
        if !matches!(protocol, ip_number::UDP | ip_number::AUTH) {
            return Err(Skip::NotUdp);
        }
        Content::Fragment(Fragment {
            protocol,
            identification: u32::from(header.identification()),
            offset: header.fragments_offset(),
            more: header.more_fragments(),
            bytes,
            truncated,
        })
    } else {
        Content::Whole { bytes: upper(header.protocol(), bytes)?, truncated }
    };
    Ok(Packet { source: header.source_addr().into(), destination: header.destination_addr().into(), content })
}

fn ipv6<'a>(bytes: &'a [u8], frame: &Frame<'_>) -> Result<Packet<'a>, Skip> {
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|error| match error {
        err::ipv6::HeaderSliceError::Len(_) => Skip::TruncatedHeaders,
        err::ipv6::HeaderSliceError::Content(_) => Skip::BadIpHeader,
    })?;
    let said = Some(usize::from(header.payload_length())).filter(|&length| length > 0);
    let (bytes, truncated) = payload(bytes.get(header.slice().len()..).unwrap_or_default(), said, frame);
    let content = match walk(header.next_header(), bytes)? {
        (ip_number::UDP, bytes) => Content::Whole { bytes, truncated },
        (ip_number::IPV6_FRAG, bytes) => {
            let fragment = Ipv6FragmentHeaderSlice::from_slice(bytes).map_err(|_| Skip::TruncatedHeaders)?;
            let protocol = fragment.next_header();
            if protocol != ip_number::UDP && !is_extension(protocol) {
                return Err(Skip::NotUdp);
            }
            Content::Fragment(Fragment {
                protocol,
                identification: fragment.identification(),
                offset: fragment.fragment_offset(),
                more: fragment.more_fragments(),
                bytes: bytes.get(fragment.slice().len()..).unwrap_or_default(),
                truncated,
            })
        }
        _ => return Err(Skip::NotUdp),
    };
    Ok(Packet { source: header.source_addr().into(), destination: header.destination_addr().into(), content })
}

/// The UDP datagram behind any extension headers of a packet that is whole.
#[inline]
pub(super) fn upper(protocol: IpNumber, bytes: &[u8]) -> Result<&[u8], Skip> {
    if protocol == ip_number::UDP {
        return Ok(bytes);
    }
    match walk(protocol, bytes)? {
        (ip_number::UDP, bytes) => Ok(bytes),
        // Fragments of fragments are nothing that a sender makes.
        (ip_number::IPV6_FRAG, _) => Err(Skip::BadIpHeader),
        _ => Err(Skip::NotUdp),
    }
}

fn is_extension(protocol: IpNumber) -> bool {
    matches!(
        protocol,
        ip_number::IPV6_HOP_BY_HOP
            | ip_number::IPV6_DEST_OPTIONS
            | ip_number::IPV6_ROUTE
            | ip_number::MOBILITY
            | ip_number::HIP
            | ip_number::SHIM6
            | ip_number::AUTH
            | ip_number::IPV6_FRAG
    )
}

/// Walks over extension headers to the first that is none, or to the header of a real fragment.
///
/// etherparse's own walk goes on behind the header of a fragment that is not the first, where no headers are.
fn walk(mut protocol: IpNumber, mut bytes: &[u8]) -> Result<(IpNumber, &[u8]), Skip> {
    for _ in 0..MOST_EXTENSIONS {
        let (next, length) = match protocol {
            ip_number::UDP => return Ok((protocol, bytes)),
            ip_number::IPV6_FRAG => {
                let header =
                    Ipv6FragmentHeaderSlice::from_slice(bytes).map_err(|_| Skip::TruncatedHeaders)?;
                if header.is_fragmenting_payload() {
                    return Ok((protocol, bytes));
                }
                // An "atomic" fragment is a whole packet, and no other fragment concerns it (RFC 6946).
                (header.next_header(), header.slice().len())
            }
            ip_number::AUTH => {
                let header = IpAuthHeaderSlice::from_slice(bytes).map_err(|error| match error {
                    err::ip_auth::HeaderSliceError::Len(_) => Skip::TruncatedHeaders,
                    err::ip_auth::HeaderSliceError::Content(_) => Skip::BadIpHeader,
                })?;
                (header.next_header(), header.slice().len())
            }
            other if is_extension(other) => {
                let header = Ipv6RawExtHeaderSlice::from_slice(bytes).map_err(|_| Skip::TruncatedHeaders)?;
                (header.next_header(), header.slice().len())
            }
            _ => return Ok((protocol, bytes)),
        };
        protocol = next;
        bytes = bytes.get(length..).unwrap_or_default();
    }
    match protocol {
        ip_number::UDP => Ok((protocol, bytes)),
        _ => Err(Skip::TooManyExtensions),
    }
}
