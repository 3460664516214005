//! What dnsmasq reads of a message, and what it keeps of earlier ones.

use crate::dhcpv4::{RequestKind, code as code4};
use crate::dhcpv6::{MessageType as Type6, code as code6};
use crate::dialect::lease::Lease;
use crate::identity::HardwareAddress;
use crate::octets::Octets;
use crate::tracker::{Exchange4, Exchange6, Lease4, Lease6, Relay4};

/// What a message has changed.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// dnsmasq has read what the client says of itself.
    pub(super) has_data: bool,
    /// The lease counts as changed whatever it was before.
    pub(super) is_change: bool,
}

/// What dnsmasq reads of a DHCPv4 question: everything when the client names an address, be it new to it or its own from
/// before a restart; nothing when it goes on with the one it has.
pub(super) fn manner4(exchange: &Exchange4) -> Manner {
    let says = exchange.query.as_deref().is_some_and(|query| {
        query.message.options.contains(code4::REQUESTED_ADDRESS)
            || query.message.request_kind(false) == RequestKind::Selecting
    });
    let is_start = exchange.either().is_none();
    Manner { has_data: says, is_change: says || is_start }
}

/// The same of DHCPv6: everything but in Renew and Rebind.
pub(super) fn manner6(exchange: &Exchange6) -> Manner {
    let question = exchange.query.as_deref().map(|query| query.message.message_type);
    let says = matches!(question, Some(Type6::SOLICIT | Type6::REQUEST));
    Manner { has_data: says, is_change: says || exchange.either().is_none() }
}

/// The client's hardware address as dnsmasq finds it: from its neighbours or, behind a relay, from what the relay says.
pub(super) fn hwaddr6(exchange: &Exchange6) -> Option<HardwareAddress> {
    let query = exchange.query.as_deref()?;
    if query.message.relays.is_empty() {
        return query.source_mac.map(HardwareAddress::ethernet);
    }
    let (htype, octets) =
        query.message.relay_option(code6::CLIENT_LINKLAYER_ADDR)?.split_first_chunk::<2>()?;
    Some(HardwareAddress::new(u16::from_be_bytes(*htype), octets, octets.len()))
}

pub(super) fn with_name(lease: Lease, name: Octets) -> Lease {
    match lease {
        Lease::V4(lease) => Lease::V4(Box::new(Lease4 { hostname: name, ..*lease })),
        Lease::V6(lease) => Lease::V6(Box::new(Lease6 { hostname: name, ..*lease })),
    }
}

/// dnsmasq keeps the relay of the last question that it read.
pub(super) fn with_relay(lease: Lease, exchange: &Exchange4) -> Lease {
    match (lease, exchange.either()) {
        (Lease::V4(lease), Some(observed)) => {
            let message = &observed.message;
            let relay = message.is_relayed().then(|| {
                let agent_information = Box::default();
                Relay4 { address: message.giaddr, agent_information }.into()
            });
            Lease::V4(Box::new(Lease4 { relay, ..*lease }))
        }
        (lease, _) => lease,
    }
}

/// A lease with what dnsmasq remembers of earlier messages where this one says nothing.
pub(super) fn kept(lease: Lease, before: &Lease) -> Lease {
    match (lease, before) {
        (Lease::V4(lease), Lease::V4(before)) => {
            let relay = lease.relay.clone().or_else(|| before.relay.clone());
            let client_id = lease.client_id.clone().or_else(|| before.client_id.clone());
            Lease::V4(Box::new(Lease4 { relay, client_id, ..*lease }))
        }
        (Lease::V6(lease), Lease::V6(before)) => {
            let hwaddr = lease.hwaddr.or(before.hwaddr);
            Lease::V6(Box::new(Lease6 { hwaddr, ..*lease }))
        }
        (lease, _) => lease,
    }
}
