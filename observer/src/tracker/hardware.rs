//! The hardware address of a DHCPv6 client, found the way Kea finds it (`mac-sources`).

use std::net::{IpAddr, Ipv6Addr};

use crate::config::MacSource;
use crate::dhcpv6::{Message, OptionsIter, code};
use crate::identity::{HardwareAddress, hardware_address_in_duid};

use super::Observed6;

/// The enterprise number of CableLabs, whose vendor options tell a cable modem's address.
const CABLELABS: [u8; 4] = 4491_u32.to_be_bytes();
const VENDOR_OPTIONS: u16 = 17;
const DOCSIS_MODEM: u16 = 36;
const DOCSIS_CMTS_MODEM: u16 = 1026;

/// What "any" stands for, in the order in which Kea tries. The frame's own source address is never used.
const ANY: [MacSource; 6] = [
    MacSource::ClientLinkAddrOption,
    MacSource::Duid,
    MacSource::Ipv6LinkLocal,
    MacSource::RemoteId,
    MacSource::DocsisModem,
    MacSource::DocsisCmts,
];

/// The first address that one of the sources gives.
pub(super) fn hardware_address(observed: &Observed6, sources: &[MacSource]) -> Option<HardwareAddress> {
    sources.iter().find_map(|source| match source {
        MacSource::Any => ANY.iter().find_map(|source| from_source(observed, *source)),
        source => from_source(observed, *source),
    })
}

fn from_source(observed: &Observed6, source: MacSource) -> Option<HardwareAddress> {
    let message = &observed.message;
    match source {
        // A frame never reaches Kea's DHCPv6 server, and from subscriber-id it takes nothing yet.
        MacSource::Any | MacSource::Raw | MacSource::SubscriberId => None,
        MacSource::ClientLinkAddrOption => {
            let (htype, octets) = message.nearest_relay_option(code::CLIENT_LINKLAYER_ADDR)?.split_first_chunk::<2>()?;
            filled(u16::from_be_bytes(*htype), octets)
        }
        MacSource::Duid => hardware_address_in_duid(message.client_duid()?),
        MacSource::Ipv6LinkLocal => from_link_local(client_address(observed)?),
        MacSource::RemoteId => filled(HardwareAddress::ETHERNET, message.nearest_relay_option(code::REMOTE_ID)?.get(4..)?),
        MacSource::DocsisModem => cablelabs(message.option(VENDOR_OPTIONS)?, DOCSIS_MODEM),
        MacSource::DocsisCmts => cablelabs(nearest_relay_vendor_options(message)?, DOCSIS_CMTS_MODEM),
    }
}

fn filled(htype: u16, octets: &[u8]) -> Option<HardwareAddress> {
    (!octets.is_empty()).then(|| HardwareAddress::new(htype, octets, octets.len()))
}

/// The address from which the client spoke: the peer of the relay nearest to it, else the source of the datagram.
fn client_address(observed: &Observed6) -> Option<Ipv6Addr> {
    match (observed.message.relays.last(), observed.source.ip()) {
        (Some(relay), _) => Some(relay.peer_address),
        (None, IpAddr::V6(address)) => Some(address),
        (None, IpAddr::V4(_)) => None,
    }
}

/// A link-local address made of a universal EUI-48 (RFC 4291 appendix A): ff:fe in the middle, universal bit set, not a group.
fn from_link_local(address: Ipv6Addr) -> Option<HardwareAddress> {
    match address.octets() {
        [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a, b, c, 0xff, 0xfe, d, e, f] if a & 3 == 2 => {
            Some(HardwareAddress::ethernet([a ^ 2, b, c, d, e, f]))
        }
        _ => None,
    }
}

fn nearest_relay_vendor_options(message: &Message) -> Option<&[u8]> {
    message.relay_option(VENDOR_OPTIONS)
}

fn cablelabs(vendor_options: &[u8], wanted: u16) -> Option<HardwareAddress> {
    let options = vendor_options.strip_prefix(&CABLELABS)?;
    let (_, octets) = OptionsIter::new(options).find(|(code, _)| *code == wanted)?;
    filled(HardwareAddress::ETHERNET, octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_universal_addresses_are_recovered_from_link_local_ones() {
        for (address, found) in [
            ("fe80::200:ff:fe00:9", Some([0, 0, 0, 0, 0, 9])),
            ("fe80::216:3eff:fe01:203", Some([0, 0x16, 0x3e, 1, 2, 3])),
            // Locally administered, a group, no ff:fe, another prefix.
            ("fe80::ff:fe00:9", None),
            ("fe80::316:3eff:fe01:203", None),
            ("fe80::216:3e00:fe01:203", None),
            ("2001:db8::216:3eff:fe01:203", None),
        ] {
            let address: Ipv6Addr = address.parse().unwrap();
            assert_eq!(from_link_local(address), found.map(HardwareAddress::ethernet), "{address}");
        }
    }
}
