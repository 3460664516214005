//! What was seen: the kinds of events, and what each has to tell.

use std::net::IpAddr;

use crate::identity::{HardwareAddress, Identifier};
use crate::octets::Octets;
use crate::time::Timestamp;
use crate::tracker::{Exchange4, Exchange6, Subject};

/// The kinds of events that are not about a lease. Each has a hook point of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody answers a client.
    Unanswered,
    /// Another server answers.
    ForeignServer,
    /// A client is refused the address that it asks for.
    Nak,
    /// There is nothing left to give.
    PoolExhausted,
    /// Two clients want one address.
    Conflict,
    /// Frames were missed.
    Gap,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Unanswered, Self::ForeignServer, Self::Nak, Self::PoolExhausted, Self::Conflict, Self::Gap];

    /// The word for it: `OBSERVER_EVENT`, and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::ForeignServer => "foreign-server",
            Self::Nak => "nak",
            Self::PoolExhausted => "pool-exhausted",
            Self::Conflict => "conflict",
            Self::Gap => "gap",
        }
    }

    /// The hook's argument.
    pub const fn hook_point(self) -> &'static str {
        match self {
            Self::Unanswered => "observer_unanswered",
            Self::ForeignServer => "observer_foreign_server",
            Self::Nak => "observer_nak",
            Self::PoolExhausted => "observer_pool_exhausted",
            Self::Conflict => "observer_conflict",
            Self::Gap => "observer_gap",
        }
    }
}

/// The frames behind a sighting; the question, the answer, or both.
#[derive(Clone, Debug)]
pub enum Frames {
    /// DHCPv4.
    V4(Exchange4),
    /// DHCPv6.
    V6(Exchange6),
}

/// The identity of a server: option 54, or its DUID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerId {
    /// Option 54 of DHCPv4.
    V4(std::net::Ipv4Addr),
    /// Option 2 of DHCPv6.
    V6(Identifier),
}

/// The other client of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Its hardware address, where it is known.
    pub hwaddr: Option<HardwareAddress>,
    /// Its client identifier or DUID, where it is known.
    pub identifier: Option<Identifier>,
}

/// What there is to tell.
#[derive(Clone, Debug)]
pub enum Finding {
    /// Nobody answers.
    Unanswered {
        /// How many times the client has asked.
        asked: u32,
        /// When it began.
        since: Timestamp,
    },
    /// Another server answers.
    ForeignServer {
        /// What it gives.
        address: Option<IpAddr>,
        /// Who had answered the same question before, where all answers count.
        first: Option<ServerId>,
    },
    /// A client is refused.
    Nak {
        /// What it had asked for.
        address: Option<IpAddr>,
        /// The DHCPv6 status code.
        status: Option<u16>,
        /// The server's words.
        reason: Option<Octets>,
    },
    /// Nothing is left.
    PoolExhausted {
        /// The DHCPv6 status code.
        status: Option<u16>,
        /// The server's words.
        reason: Option<Octets>,
        /// How many clients wait, where that is how it was found out.
        clients: Option<usize>,
    },
    /// An address is declined.
    Declined {
        /// The address.
        address: IpAddr,
        /// How many times it was declined within a day.
        declines: u32,
        /// Who had it before.
        rival: Option<Rival>,
    },
    /// An address is claimed by two.
    Claimed {
        /// The address.
        address: IpAddr,
        /// Who has it, or claims it too.
        rival: Rival,
    },
    /// Frames were missed, or may have been.
    Gap {
        /// No frame from before this was missed.
        from: Timestamp,
        /// No frame from after this was missed.
        until: Timestamp,
        /// How many, where that is known.
        lost: Option<u64>,
        /// Why, in one word.
        reason: &'static str,
    },
}

impl Finding {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unanswered { .. } => Kind::Unanswered,
            Self::ForeignServer { .. } => Kind::ForeignServer,
            Self::Nak { .. } => Kind::Nak,
            Self::PoolExhausted { .. } => Kind::PoolExhausted,
            Self::Declined { .. } | Self::Claimed { .. } => Kind::Conflict,
            Self::Gap { .. } => Kind::Gap,
        }
    }
}

/// Something that the network said beside leases.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// What.
    pub finding: Finding,
    /// The frames behind it.
    pub frames: Frames,
    /// How many like it were left out since the one before, by one of the limits.
    pub left_out: u64,
}

impl Sighting {
    /// Whether the question behind it was missed.
    pub(in crate::tracker) fn is_inferred(&self) -> bool {
        match &self.frames {
            _ if self.finding.kind() == Kind::Gap => false,
            Frames::V4(exchange) => exchange.query.is_none(),
            Frames::V6(exchange) => exchange.query.is_none(),
        }
    }

    /// Hooks about one address, or else about one client, run in order.
    pub(in crate::tracker) fn subject(&self) -> Subject {
        match (&self.finding, &self.frames) {
            (Finding::Declined { address, .. } | Finding::Claimed { address, .. }, _) => match address {
                IpAddr::V4(address) => Subject::Lease4(*address),
                IpAddr::V6(address) => Subject::Address6(*address),
            },
            (_, Frames::V4(exchange)) => Subject::Client4(exchange.client()),
            (_, Frames::V6(exchange)) => Subject::Client6(exchange.client()),
        }
    }
}
