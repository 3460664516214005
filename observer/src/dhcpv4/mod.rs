//! DHCPv4 messages (RFC 2131): every datagram becomes a [`Message`], with a list of what was wrong with it.
//!
//! Parsing is total. It never panics and never gives up: what cannot be read is missing from the message and named in
//! [`Message::malformed`], and everything around it is kept.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

mod agent;
mod hostname;
mod message_type;
mod options;
mod parse;
mod value;

use std::net::Ipv4Addr;

use crate::identity::HardwareAddress;
use crate::octets::Octets;

pub use agent::{agent_sub_option, agent_sub_options, normalise_agent_information};
pub use message_type::MessageType;
pub use options::{Options, code};
pub use parse::parse;

/// Whether the message went to a server or to a client (`op`, RFC 2131 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// BOOTREQUEST, 1.
    Request,
    /// BOOTREPLY, 2.
    Reply,
    /// Neither.
    Other(u8),
}

/// What a DHCPREQUEST asks for (RFC 2131 section 4.3.2 and table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// The client takes an offer: it names the server.
    Selecting,
    /// The client comes back after a restart and asks whether its old address is good.
    InitReboot,
    /// The client extends its lease, by unicast to its server.
    Renewing,
    /// The client extends its lease with any server, by broadcast or through a relay.
    Rebinding,
}

/// Something in a datagram that was not as RFC 2131 has it.
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
    /// The fixed header ends early; what is missing reads as zero.
    ShortHeader,
    /// `hlen` is more than 20; the address is cut.
    LongHardwareAddress,
    /// No magic cookie, so no options.
    NoMagicCookie,
    /// An option's length runs past the end of its field; the option is left out.
    OptionOverrun,
    /// An option code without a length octet at the end of its field.
    OptionWithoutLength,
    /// No end option; everything read is kept.
    NoEndOption,
    /// An option value that is used here has the wrong length or form; it reads as absent.
    BadOptionValue(u8),
    /// More options than are kept ([`Options::MAX`]); the rest is left out.
    TooManyOptions,
}

impl Fault {
    /// A word for it, for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ShortHeader => "short_header",
            Self::LongHardwareAddress => "long_hardware_address",
            Self::NoMagicCookie => "no_magic_cookie",
            Self::OptionOverrun => "option_overrun",
            Self::OptionWithoutLength => "option_without_length",
            Self::NoEndOption => "no_end_option",
            Self::BadOptionValue(_) => "bad_option_value",
            Self::TooManyOptions => "too_many_options",
        }
    }
}

/// A DHCPv4 or BOOTP message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Direction of the message.
    pub op: Op,
    /// Hops through relays.
    pub hops: u8,
    /// Transaction identifier.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// Flags; 0x8000 asks for a broadcast answer.
    pub flags: u16,
    /// The client's address, when it has one.
    pub ciaddr: Ipv4Addr,
    /// "Your" address, in answers.
    pub yiaddr: Ipv4Addr,
    /// The next server in bootstrap.
    pub siaddr: Ipv4Addr,
    /// The relay's address.
    pub giaddr: Ipv4Addr,
    /// `chaddr` with its type, cut or padded to `hlen`.
    pub chaddr: HardwareAddress,
    /// `sname` up to its first NUL octet; empty where it holds options (RFC 2132 section 9.3).
    pub server_name: Octets,
    /// `file` up to its first NUL octet; empty where it holds options.
    pub filename: Octets,
    /// Option 53; `None` for BOOTP.
    pub message_type: Option<MessageType>,
    /// All options.
    pub options: Options,
    /// What was wrong, in the order of the bytes.
    pub malformed: Vec<Malformed>,
}

impl Message {
    /// Whether a relay carried the message: `giaddr` is neither 0.0.0.0 nor 255.255.255.255, as Kea has it.
    pub fn is_relayed(&self) -> bool {
        !self.giaddr.is_unspecified() && !self.giaddr.is_broadcast()
    }

    /// The longest client identifier that a server takes, in octets. Pieces put together could hold 64 KiB, and a million
    /// leases that each remember so many are not to be had.
    pub const MAX_CLIENT_ID: usize = 255;

    /// Option 61, the client identifier; an empty one is no identifier, and neither is one of more than
    /// [`Message::MAX_CLIENT_ID`] octets.
    pub fn client_id(&self) -> Option<std::borrow::Cow<'_, [u8]>> {
        let is_sound =
            |octets: &std::borrow::Cow<'_, [u8]>| (1..=Self::MAX_CLIENT_ID).contains(&octets.len());
        self.options.get(code::CLIENT_IDENTIFIER).filter(is_sound)
    }

    /// Option 50, the requested address.
    pub fn requested_address(&self) -> Option<Ipv4Addr> {
        value::address(&self.options, code::REQUESTED_ADDRESS)
    }

    /// Option 54, the server identifier.
    pub fn server_id(&self) -> Option<Ipv4Addr> {
        value::address(&self.options, code::SERVER_IDENTIFIER)
    }

    /// Option 51, the lease time in seconds.
    pub fn lease_time(&self) -> Option<u32> {
        value::number(&self.options, code::LEASE_TIME)
    }

    /// Option 1, the subnet mask.
    pub fn subnet_mask(&self) -> Option<Ipv4Addr> {
        value::address(&self.options, code::SUBNET_MASK)
    }

    /// The host name that this message carries, in the form that Kea keeps: the domain name of option 81, else option 12.
    pub fn hostname(&self) -> Option<Octets> {
        self.hostname_as_sent().map(Octets::into_lower_case)
    }

    /// The same name in its own case.
    pub fn hostname_as_sent(&self) -> Option<Octets> {
        hostname::hostname(&self.options)
    }

    /// Whether Kea reads the message at all: it drops one that has no whole header, whose hardware address is longer than
    /// it can be, or whose option 81 holds no name.
    pub fn is_readable(&self) -> bool {
        let fatal = |malformed: &Malformed| {
            matches!(malformed.fault, Fault::ShortHeader | Fault::LongHardwareAddress)
        };
        !self.malformed.iter().any(fatal) && hostname::is_readable(&self.options)
    }

    /// Whether Kea takes option 61, if it is there, for an identifier: 2 to 128 octets.
    pub fn has_lawful_client_id(&self) -> bool {
        self.options.get(code::CLIENT_IDENTIFIER).is_none_or(|octets| (2..=128).contains(&octets.len()))
    }

    /// The same of a client's message, cleaned as Kea cleans it before it accepts it.
    pub fn own_hostname(&self) -> Option<Octets> {
        hostname::own_hostname(&self.options)
    }

    /// Which of the four requests of RFC 2131 table 4 this is, given whether it was sent to the broadcast address.
    pub fn request_kind(&self, broadcast: bool) -> RequestKind {
        if self.options.contains(code::SERVER_IDENTIFIER) {
            RequestKind::Selecting
        } else if self.ciaddr.is_unspecified() {
            RequestKind::InitReboot
        } else if broadcast || self.is_relayed() {
            RequestKind::Rebinding
        } else {
            RequestKind::Renewing
        }
    }
}
