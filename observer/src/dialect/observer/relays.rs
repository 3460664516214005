//! Relays on the way: option 82 of DHCPv4 in all its sub-options, every hop of DHCPv6.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::dhcpv4::{agent_sub_options, code as code4};
use crate::dhcpv6::code as code6;
use crate::dialect::invocation::Strings;
use crate::dialect::text;
use crate::dialect::variable::write_one;
use crate::identity::HardwareAddress;
use crate::tracker::{Exchange4, Exchange6, Relay4};

/// Sub-options by their names (IANA's DHCP relay agent sub-option codes).
pub(super) const AGENT_NAMES: &[(u8, &str)] = &[
    (1, "CIRCUIT_ID"),
    (2, "REMOTE_ID"),
    (4, "DOCSIS_DEVICE_CLASS"),
    (5, "LINK_SELECTION"),
    (6, "SUBSCRIBER_ID"),
    (7, "RADIUS_ATTRIBUTES"),
    (8, "AUTHENTICATION"),
    (9, "VENDOR_SPECIFIC"),
    (10, "FLAGS"),
    (11, "SERVER_ID_OVERRIDE"),
    (12, "RELAY_ID"),
    (13, "ACCESS_TECHNOLOGY_TYPE"),
    (14, "ACCESS_NETWORK_NAME"),
    (15, "ACCESS_POINT_NAME"),
    (16, "ACCESS_POINT_BSSID"),
    (17, "OPERATOR_ID"),
    (18, "OPERATOR_REALM"),
    (19, "RELAY_PORT"),
    (151, "VRF"),
    (152, "VRF_CONTROL"),
];

/// Link selection (RFC 3527) and server identifier override (RFC 5107) hold an address.
const ADDRESSES: [u8; 2] = [5, 11];

/// The relay of the question, else the one that the lease remembers.
pub(super) fn write4(environment: &mut Strings, exchange: &Exchange4, remembered: Option<&Relay4>) {
    let Some(message) = exchange.either().map(|observed| &observed.message) else { return };
    match message.options.get(code4::RELAY_AGENT_INFORMATION) {
        Some(agent_information) => {
            if message.is_relayed() {
                write_giaddr(environment, message.giaddr);
            }
            write_agent(environment, &agent_information);
        }
        None if message.is_relayed() => write_giaddr(environment, message.giaddr),
        None => write_relay4(environment, remembered),
    }
}

/// The relay that a lease remembers.
pub(super) fn write_relay4(environment: &mut Strings, relay: Option<&Relay4>) {
    if let Some(relay) = relay {
        write_giaddr(environment, relay.address);
        write_agent(environment, &relay.agent_information);
    }
}

fn write_giaddr(environment: &mut Strings, address: Ipv4Addr) {
    write_one(environment, "OBSERVER_RELAY", |out| text::ipv4(out, address));
}

fn write_agent(environment: &mut Strings, agent_information: &[u8]) {
    let mut name = String::new();
    for (code, payload) in agent_sub_options(std::iter::once(agent_information)) {
        name.clear();
        // Writing to a string cannot fail.
        let _ = write!(name, "OBSERVER_AGENT_{code}");
        write_one(environment, &name, |out| text::upper_hex(out, &payload));
        let Some((_, word)) = AGENT_NAMES.iter().find(|(known, _)| *known == code) else { continue };
        name.clear();
        let _ = write!(name, "OBSERVER_AGENT_{word}");
        match <[u8; 4]>::try_from(payload.as_slice()) {
            Ok(address) if ADDRESSES.contains(&code) => {
                write_one(environment, &name, |out| text::ipv4(out, Ipv4Addr::from(address)));
            }
            _ => write_one(environment, &name, |out| text::upper_hex(out, &payload)),
        }
        if !payload.is_empty() && payload.iter().all(|octet| matches!(octet, 0x20..=0x7e)) {
            name.push_str("_TEXT");
            write_one(environment, &name, |out| out.extend_from_slice(&payload));
        }
    }
}

/// Every relay that carried the question, the one nearest to the client first.
pub(super) fn write6(environment: &mut Strings, exchange: &Exchange6) {
    let Some(message) = exchange.either().map(|observed| &observed.message) else { return };
    if message.relays.is_empty() {
        return;
    }
    write_one(environment, "OBSERVER_RELAYS", |out| text::number(out, message.relays.len()));
    let mut name = String::new();
    for (index, relay) in message.relays.iter().rev().enumerate() {
        let mut variable = |word: &str, write: &mut dyn FnMut(&mut Vec<u8>)| {
            name.clear();
            // Writing to a string cannot fail.
            let _ = write!(name, "OBSERVER_RELAY{index}_{word}");
            write_one(environment, &name, |out| write(out));
        };
        variable("LINK", &mut |out| text::ipv6(out, relay.link_address));
        variable("PEER", &mut |out| text::ipv6(out, relay.peer_address));
        variable("HOPS", &mut |out| text::number(out, relay.hop_count));
        for (code, payload) in message.relay_options(relay) {
            match code {
                code6::INTERFACE_ID => variable("INTERFACE_ID", &mut |out| text::upper_hex(out, payload)),
                code6::REMOTE_ID => variable("REMOTE_ID", &mut |out| text::upper_hex(out, payload)),
                code6::SUBSCRIBER_ID => variable("SUBSCRIBER_ID", &mut |out| text::upper_hex(out, payload)),
                code6::CLIENT_LINKLAYER_ADDR => {
                    if let Some((htype, octets)) = payload.split_first_chunk::<2>() {
                        let address = HardwareAddress::new(u16::from_be_bytes(*htype), octets, octets.len());
                        variable("CLIENT_HWADDR", &mut |out| text::hardware(out, Some(&address)));
                    }
                }
                _ => {}
            }
        }
    }
}
