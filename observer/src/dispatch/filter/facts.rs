//! What an event says about place and client, as filters ask for it. `None` is "the event does not say", which is
//! something else than "it says that there is none".

use std::net::{IpAddr, Ipv4Addr};

use crate::dhcpv4::{self, agent_sub_option, code as code4};
use crate::dhcpv6::{self, code as code6};
use crate::identity::HardwareAddress;
use crate::tracker::network::Frames;
use crate::tracker::{
    Exchange4, Exchange6, Lease4, Lease6, LeaseEvent, Observed4, Observed6, Occurrence, Place,
};

/// The circuit and the remote identifier in option 82 (RFC 3046 section 3).
const AGENT_CIRCUIT_ID: u8 = 1;
const AGENT_REMOTE_ID: u8 = 2;
/// The octets of an enterprise number.
const ENTERPRISE: usize = 4;

/// The parts of an event.
pub(super) struct Facts<'a> {
    exchange: Frame<'a>,
    leases4: Vec<&'a Lease4>,
    leases6: Vec<&'a Lease6>,
}

enum Frame<'a> {
    None,
    V4(&'a Exchange4),
    V6(&'a Exchange6),
}

impl<'a> Facts<'a> {
    pub(super) fn of(event: &'a LeaseEvent) -> Self {
        let v4 = |exchange, leases4| Self { exchange: Frame::V4(exchange), leases4, leases6: Vec::new() };
        let v6 = |exchange, leases6| Self { exchange: Frame::V6(exchange), leases4: Vec::new(), leases6 };
        match &event.occurrence {
            Occurrence::Renew4 { exchange, lease, .. }
            | Occurrence::Release4 { exchange, lease }
            | Occurrence::Decline4 { exchange, lease } => v4(exchange, vec![&**lease]),
            Occurrence::Committed4 { exchange, leases, deleted } => {
                // What the exchange gave tells where the client is now; what it took away only if there is nothing else.
                let own = if leases.is_empty() { deleted } else { leases };
                v4(exchange, own.iter().collect())
            }
            Occurrence::Expire4 { lease, .. } | Occurrence::Recover4 { lease } => {
                Self { exchange: Frame::None, leases4: vec![&**lease], leases6: Vec::new() }
            }
            Occurrence::Renew6 { exchange, lease, .. }
            | Occurrence::Rebind6 { exchange, lease, .. }
            | Occurrence::Release6 { exchange, lease }
            | Occurrence::Decline6 { exchange, lease }
            | Occurrence::Register6 { exchange, lease, .. } => v6(exchange, vec![&**lease]),
            Occurrence::Committed6 { exchange, leases, deleted } => {
                let own = if leases.is_empty() { deleted } else { leases };
                v6(exchange, own.iter().collect())
            }
            Occurrence::Expire6 { lease, .. } | Occurrence::Recover6 { lease } => {
                Self { exchange: Frame::None, leases4: Vec::new(), leases6: vec![&**lease] }
            }
            Occurrence::Network(sighting) => match &sighting.frames {
                Frames::V4(exchange) => v4(exchange, Vec::new()),
                Frames::V6(exchange) => v6(exchange, Vec::new()),
            },
            Occurrence::Heard4 { exchange } => v4(exchange, Vec::new()),
            Occurrence::Heard6 { exchange } => v6(exchange, Vec::new()),
        }
    }

    /// Leased addresses with their lengths in bits; without a lease what the messages name, given before asked for, and
    /// last the relays.
    pub(super) fn addresses(&self) -> Option<Vec<(IpAddr, u8)>> {
        let mut found: Vec<(IpAddr, u8)> = Vec::new();
        found.extend(self.leases4.iter().map(|lease| (lease.address.into(), 32)));
        found.extend(self.leases6.iter().map(|lease| (lease.address.into(), lease.prefix_len)));
        if found.is_empty() {
            match self.exchange {
                Frame::V4(exchange) => found.extend(named4(exchange).map(|address| (address, 32))),
                Frame::V6(exchange) => found = named6(exchange),
                Frame::None => {}
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// The name of the interface.
    pub(super) fn interface(&self) -> Option<&'a str> {
        match self.exchange {
            Frame::V4(exchange) => exchange.either().map(|observed| observed.interface.name.as_str()),
            Frame::V6(exchange) => exchange.either().map(|observed| observed.interface.name.as_str()),
            Frame::None => self.place()?.interface.as_ref().map(|interface| interface.name.as_str()),
        }
    }

    /// Identifiers of the VLANs, outermost first.
    pub(super) fn vlans(&self) -> Option<Vec<u16>> {
        let tags = match self.exchange {
            Frame::V4(exchange) => exchange.either()?.vlans,
            Frame::V6(exchange) => exchange.either()?.vlans,
            Frame::None => {
                let place = self.place()?;
                // Of a lease that was read from a file the place is not known.
                place.interface.as_ref()?;
                place.vlans
            }
        };
        Some(tags.ids().collect())
    }

    fn place(&self) -> Option<&'a Place> {
        let of4 = self.leases4.first().map(|lease| &*lease.place);
        of4.or_else(|| self.leases6.first().map(|lease| &*lease.place))
    }

    /// The client's hardware address, once for each way to know it.
    pub(super) fn hwaddrs(&self) -> Option<Vec<HardwareAddress>> {
        let mut found: Vec<_> = self.leases4.iter().map(|lease| lease.hwaddr).collect();
        found.extend(self.leases6.iter().filter_map(|lease| lease.hwaddr));
        match self.exchange {
            Frame::V4(exchange) => found.extend(exchange.either().map(|observed| observed.message.chaddr)),
            Frame::V6(exchange) => found.extend(exchange.query.as_deref().and_then(hwaddr6)),
            Frame::None => {}
        }
        // A declined lease has one of no octets.
        found.retain(|hwaddr| !hwaddr.is_empty());
        (!found.is_empty()).then_some(found)
    }

    /// The values of the vendor class.
    pub(super) fn vendor_classes(&self) -> Option<Vec<Vec<u8>>> {
        self.classes(
            |message| message.options.get(code4::VENDOR_CLASS).map(|payload| vec![payload.into_owned()]),
            |message| {
                let payloads = message.options().filter(|(code, _)| *code == code6::VENDOR_CLASS);
                let data = payloads.filter_map(|(_, payload)| payload.get(ENTERPRISE..));
                let values: Vec<_> = data.flat_map(pieces6).collect();
                (!values.is_empty()).then_some(values)
            },
        )
    }

    /// The values of the user class.
    pub(super) fn user_classes(&self) -> Option<Vec<Vec<u8>>> {
        self.classes(
            |message| {
                let whole = message.options.get(code4::USER_CLASS)?.into_owned();
                // RFC 3004 has a list, most clients send a text.
                let mut values = pieces4(&whole).unwrap_or_default();
                values.push(whole);
                Some(values)
            },
            |message| message.option(code6::USER_CLASS).map(pieces6),
        )
    }

    /// What the question says of the client's class. Clients need not repeat it when they keep or give back what they
    /// have, so that a question of that kind without it says nothing.
    fn classes(
        &self,
        of4: impl Fn(&dhcpv4::Message) -> Option<Vec<Vec<u8>>>,
        of6: impl Fn(&dhcpv6::Message) -> Option<Vec<Vec<u8>>>,
    ) -> Option<Vec<Vec<u8>>> {
        match self.exchange {
            Frame::V4(exchange) => {
                let query = exchange.query.as_deref()?;
                of4(&query.message).or_else(|| begins4(query).then(Vec::new))
            }
            Frame::V6(exchange) => {
                let query = exchange.query.as_deref()?;
                of6(&query.message).or_else(|| begins6(query).then(Vec::new))
            }
            Frame::None => None,
        }
    }

    /// The values of the circuit identifier.
    pub(super) fn circuit_ids(&self) -> Option<Vec<Vec<u8>>> {
        self.of_relays(AGENT_CIRCUIT_ID, code6::INTERFACE_ID, 0)
    }

    /// The values of the remote identifier.
    pub(super) fn remote_ids(&self) -> Option<Vec<Vec<u8>>> {
        self.of_relays(AGENT_REMOTE_ID, code6::REMOTE_ID, ENTERPRISE)
    }

    /// What relays say of the client. A question that went past the relay says nothing; the lease of a DHCPv4 client knows
    /// its relay.
    fn of_relays(&self, sub_option: u8, option: u16, skip: usize) -> Option<Vec<Vec<u8>>> {
        match self.exchange {
            Frame::V4(Exchange4 { query: Some(query), .. })
                if query.message.options.contains(code4::RELAY_AGENT_INFORMATION) =>
            {
                let pieces = query.message.options.pieces(code4::RELAY_AGENT_INFORMATION);
                return Some(agent_sub_option(pieces, sub_option).into_iter().collect());
            }
            Frame::V6(exchange) => {
                let query = exchange.query.as_deref()?;
                let relays = &query.message.relays;
                if relays.is_empty() && !begins6(query) {
                    return None;
                }
                let options = relays.iter().flat_map(|relay| query.message.relay_options(relay));
                let payloads = options.filter(|(code, _)| *code == option);
                return Some(
                    payloads.filter_map(|(_, payload)| payload.get(skip..)).map(<[u8]>::to_vec).collect(),
                );
            }
            Frame::V4(Exchange4 { query: None, .. }) if self.leases4.is_empty() => return None,
            Frame::V4(_) | Frame::None => {}
        }
        if !self.leases6.is_empty() {
            return None;
        }
        let relays = self.leases4.iter().filter_map(|lease| lease.relay.as_deref());
        let values = relays
            .filter_map(|relay| agent_sub_option(std::iter::once(&*relay.agent_information), sub_option));
        Some(values.collect())
    }
}

/// The address that the answer gives; what the client has or asks for; its relay.
fn named4(exchange: &Exchange4) -> Option<IpAddr> {
    let messages = [exchange.answer.as_deref(), exchange.query.as_deref()];
    let find = |of: fn(&dhcpv4::Message) -> Option<Ipv4Addr>| {
        messages.iter().flatten().find_map(|observed| of(&observed.message)).map(IpAddr::from)
    };
    find(|message| Some(message.yiaddr).filter(|address| !address.is_unspecified()))
        .or_else(|| find(|message| Some(message.ciaddr).filter(|address| !address.is_unspecified())))
        .or_else(|| find(dhcpv4::Message::requested_address))
        .or_else(|| find(|message| message.is_relayed().then_some(message.giaddr)))
}

/// The addresses and prefixes in the answer, else in the question, else the links that relays name.
fn named6(exchange: &Exchange6) -> Vec<(IpAddr, u8)> {
    let messages = [exchange.answer.as_deref(), exchange.query.as_deref()];
    for observed in messages.iter().flatten() {
        let message = &observed.message;
        let registered = message.registered_address().into_iter();
        let leases =
            message.identity_associations().flat_map(|association| association.leases().collect::<Vec<_>>());
        let found: Vec<_> =
            registered.chain(leases).map(|lease| (IpAddr::from(lease.address), lease.prefix_len)).collect();
        if !found.is_empty() {
            return found;
        }
    }
    let links = messages.iter().flatten().flat_map(|observed| observed.message.relays.iter().rev());
    let link = links.map(|relay| relay.link_address).find(|address| !address.is_unspecified());
    link.map(|address| (IpAddr::from(address), 128)).into_iter().collect()
}

/// The client's hardware address as its relay says it (RFC 6939), or as the frame does.
fn hwaddr6(query: &Observed6) -> Option<HardwareAddress> {
    match query.message.nearest_relay_option(code6::CLIENT_LINKLAYER_ADDR) {
        Some([high, low, octets @ ..]) => {
            Some(HardwareAddress::new(u16::from_be_bytes([*high, *low]), octets, octets.len()))
        }
        _ if query.message.relays.is_empty() => query.source_mac.map(HardwareAddress::ethernet),
        _ => None,
    }
}

/// Whether a question begins something, so that what it leaves out is not there.
fn begins4(query: &Observed4) -> bool {
    use dhcpv4::MessageType;
    use dhcpv4::RequestKind::{InitReboot, Selecting};
    let message = &query.message;
    match message.message_type {
        Some(MessageType::REQUEST) => {
            let broadcast = matches!(query.destination.ip(), IpAddr::V4(address) if address.is_broadcast());
            matches!(message.request_kind(broadcast), Selecting | InitReboot)
        }
        Some(MessageType::RELEASE | MessageType::DECLINE) => false,
        _ => true,
    }
}

fn begins6(query: &Observed6) -> bool {
    use dhcpv6::MessageType;
    !matches!(
        query.message.message_type,
        MessageType::RENEW | MessageType::REBIND | MessageType::RELEASE | MessageType::DECLINE
    )
}

/// Values behind lengths of one octet (RFC 3004 section 4); `None` when that is not what it is.
fn pieces4(payload: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut pieces = Vec::new();
    let mut rest = payload;
    while let Some((&length, tail)) = rest.split_first() {
        let (piece, next) =
            tail.split_at_checked(usize::from(length)).filter(|(piece, _)| !piece.is_empty())?;
        pieces.push(piece.to_vec());
        rest = next;
    }
    Some(pieces)
}

/// Values behind lengths of two octets (RFC 8415 sections 21.15 and 21.16), up to the first that runs past the end.
fn pieces6(payload: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut rest = payload;
    while let [high, low, tail @ ..] = rest {
        let Some((piece, next)) = tail.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))
        else {
            break;
        };
        pieces.push(piece.to_vec());
        rest = next;
    }
    pieces
}
