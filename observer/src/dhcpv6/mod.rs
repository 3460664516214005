//! DHCPv6 messages (RFC 8415): every datagram becomes a [`Message`], with a list of what was wrong with it.
//!
//! Relay messages are unpacked: [`Message`] is the innermost message, [`Message::relays`] the way to it. Parsing is total,
//! as in [`crate::dhcpv4`].

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

mod identity_association;
mod message_type;
mod options;
mod parse;

use std::net::Ipv6Addr;

use crate::domain_name;
use crate::octets::Octets;

pub use identity_association::{IaKind, IaLease, IdentityAssociation};
pub use message_type::MessageType;
pub use options::{OptionsIter, code};
pub use parse::{MAX_RELAYS, parse};

use options::Span;

/// Something in a datagram that was not as RFC 8415 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Malformed {
    /// Where, in octets from the start of the UDP payload.
    pub offset: usize,
    /// What.
    pub fault: Fault,
}

/// The kinds of [`Malformed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The header of the message, or of a relay message, ends early.
    ShortHeader,
    /// An option's length runs past the end of what holds it; it and what follows is left out.
    OptionOverrun,
    /// A relay message without a Relay Message option.
    NoRelayedMessage,
    /// More relays than [`MAX_RELAYS`]; the message inside is not read.
    TooManyRelays,
    /// An identity association or an address in it is too short to hold its fixed fields; it is left out.
    ShortOption(u16),
}

impl Fault {
    /// A word for it, for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ShortHeader => "short_header",
            Self::OptionOverrun => "option_overrun",
            Self::NoRelayedMessage => "no_relayed_message",
            Self::TooManyRelays => "too_many_relays",
            Self::ShortOption(_) => "short_option",
        }
    }
}

/// One relay on the way, as its Relay-forward or Relay-reply message says (RFC 8415 section 9).
#[derive(Clone, Debug)]
pub struct Relay {
    /// Relay-forward or Relay-reply.
    pub message_type: MessageType,
    /// How many relays were passed before this one.
    pub hop_count: u8,
    /// An address on the client's link, may be unspecified.
    pub link_address: Ipv6Addr,
    /// Whom the relay had the message from, or passes it to.
    pub peer_address: Ipv6Addr,
    options: Span,
}

/// A DHCPv6 message without its relay envelopes.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Box<[u8]>,
    /// The relays, outermost (nearest to the server) first.
    pub relays: Vec<Relay>,
    /// The type of the innermost message; 0 when it could not be read.
    pub message_type: MessageType,
    /// The innermost message's transaction identifier, 24 bits.
    pub transaction_id: u32,
    options: Span,
    /// What was wrong, in the order of the bytes.
    pub malformed: Vec<Malformed>,
}

impl Message {
    /// The options of the innermost message in the order of the wire.
    pub fn options(&self) -> OptionsIter<'_> {
        self.options.iter(&self.bytes)
    }

    /// The payload of the first option with this code.
    pub fn option(&self, code: u16) -> Option<&[u8]> {
        self.options().find(|(found, _)| *found == code).map(|(_, payload)| payload)
    }

    /// The length of the payload of the first option with this code, and the datagram from that payload on.
    pub fn onwards(&self, code: u16) -> Option<(usize, &[u8])> {
        let mut options = self.options();
        let (_, payload) = options.by_ref().find(|(found, _)| *found == code)?;
        let start = self.options.end.checked_sub(options.rest().len() + payload.len())?;
        Some((payload.len(), self.bytes.get(start..)?))
    }

    /// The options that one relay added.
    pub fn relay_options(&self, relay: &Relay) -> OptionsIter<'_> {
        relay.options.iter(&self.bytes)
    }

    /// The payload of an option that a relay added, from the relay nearest to the client that has it.
    pub fn relay_option(&self, code: u16) -> Option<&[u8]> {
        self.relays.iter().rev().find_map(|relay| {
            self.relay_options(relay).find(|(found, _)| *found == code).map(|(_, payload)| payload)
        })
    }

    /// The longest DUID, in octets: a type of two and 128 more (RFC 8415 section 11.1).
    pub const MAX_DUID: usize = 130;
    /// The longest domain name, in octets (RFC 1035 section 2.3.4).
    const MAX_NAME: usize = 255;

    /// What the relays added, to be compared: hop counts, addresses and options but the message inside. `None` without relays.
    pub fn relay_information(&self) -> Option<Box<[u8]>> {
        let mut information = Vec::new();
        for relay in &self.relays {
            information.push(relay.hop_count);
            information.extend_from_slice(&relay.link_address.octets());
            information.extend_from_slice(&relay.peer_address.octets());
            for (code, payload) in self.relay_options(relay).filter(|(code, _)| *code != code::RELAY_MESSAGE)
            {
                information.extend_from_slice(&code.to_be_bytes());
                information.extend_from_slice(&payload.len().to_be_bytes());
                information.extend_from_slice(payload);
            }
        }
        (!information.is_empty()).then(|| information.into())
    }

    /// The payload of an option that the relay nearest to the client added.
    pub fn nearest_relay_option(&self, code: u16) -> Option<&[u8]> {
        let mut options = self.relay_options(self.relays.last()?);
        options.find(|(found, _)| *found == code).map(|(_, payload)| payload)
    }

    /// The client's DUID (option 1), when it is one that a server takes: not empty and no longer than
    /// [`Message::MAX_DUID`].
    pub fn client_duid(&self) -> Option<&[u8]> {
        self.option(code::CLIENT_ID).filter(|duid| (1..=Self::MAX_DUID).contains(&duid.len()))
    }

    /// The server's DUID (option 2).
    pub fn server_duid(&self) -> Option<&[u8]> {
        self.option(code::SERVER_ID)
    }

    /// Whether option 14, rapid commit, is there.
    pub fn has_rapid_commit(&self) -> bool {
        self.option(code::RAPID_COMMIT).is_some()
    }

    /// The identity associations in the order in which Kea works on them: non-temporary addresses in packet order,
    /// temporary addresses, then delegated prefixes.
    pub fn identity_associations(&self) -> impl Iterator<Item = IdentityAssociation<'_>> {
        [IaKind::NonTemporary, IaKind::Temporary, IaKind::PrefixDelegation].into_iter().flat_map(|kind| {
            self.options()
                .filter(move |(code, _)| *code == kind.code())
                .filter_map(move |(_, payload)| IdentityAssociation::read(kind, payload))
        })
    }

    /// The address that an ADDR-REG-INFORM registers: its IA Address option outside any identity association (RFC 9686
    /// section 4.2).
    pub fn registered_address(&self) -> Option<IaLease> {
        IaLease::read_address(self.option(code::IAADDR)?)
    }

    /// The domain name of option 39 (RFC 4704), lower case, ending in a dot; empty when the option holds no name.
    pub fn hostname(&self) -> Option<Octets> {
        self.hostname_as_sent().map(Octets::into_lower_case)
    }

    /// The same name in its own case.
    pub fn hostname_as_sent(&self) -> Option<Octets> {
        let (_flags, name) = self.option(code::CLIENT_FQDN)?.split_first()?;
        if name.len() > Self::MAX_NAME {
            return None;
        }
        domain_name::from_wire(name).map(|text| text.into_bytes().into())
    }

    /// The same of a client's message, cleaned as Kea cleans it before it accepts it.
    pub fn own_hostname(&self) -> Option<Octets> {
        let (_flags, name) = self.option(code::CLIENT_FQDN)?.split_first()?;
        domain_name::clean_from_wire(name).map(|text| text.into_bytes().into())
    }

    /// Octets of memory behind this message.
    pub fn footprint(&self) -> usize {
        self.bytes.len() + self.relays.capacity() * size_of::<Relay>()
    }
}
