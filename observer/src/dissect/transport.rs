//! The UDP header.

use etherparse::UdpHeaderSlice;

use super::skip::Skip;

/// The length of a UDP header.
pub(super) const HEADER: usize = 8;

/// A UDP datagram without its header.
#[derive(Debug)]
pub(super) struct Udp<'a> {
    pub(super) source: u16,
    pub(super) destination: u16,
    pub(super) payload: &'a [u8],
    /// Whether the payload is shorter than the header says.
    pub(super) truncated: bool,
}

/// Whether DHCP of this version of IP uses the port (RFC 2131 section 4.1, RFC 8415 section 7.2).
#[inline]
pub(super) fn is_dhcp(port: u16, ipv4: bool) -> bool {
    if ipv4 { matches!(port, 67 | 68) } else { matches!(port, 546 | 547) }
}

/// Takes the UDP header off; `bytes` end where the IP packet ends, or before that when it is `cut`.
#[inline]
pub(super) fn dissect(bytes: &[u8], ipv4: bool, cut: bool) -> Result<Udp<'_>, Skip> {
    let header = UdpHeaderSlice::from_slice(bytes).map_err(|_| Skip::TruncatedHeaders)?;
    let (source, destination) = (header.source_port(), header.destination_port());
    if !is_dhcp(source, ipv4) && !is_dhcp(destination, ipv4) {
        return Err(Skip::OtherPort);
    }
    let there = bytes.get(HEADER..).unwrap_or_default();
    let (payload, truncated) = match usize::from(header.length()) {
        // Nothing is said: the IP packet is the measure.
        0 => (there, cut),
        said => {
            let said = said.checked_sub(HEADER).ok_or(Skip::BadUdpLength)?;
            match there.get(..said) {
                Some(exact) => (exact, false),
                None => (there, true),
            }
        }
    };
    Ok(Udp { source, destination, payload, truncated })
}
