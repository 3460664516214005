//! What came of a message or a deadline: one event for each hook point that Kea would have called.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::dhcpv6::IaKind;
use crate::identity::{HardwareAddress, Identifier};
use crate::time::Timestamp;

use super::network::{Kind, Sighting};
use super::{Lease4, Lease6, Observed4, Observed6};

/// What happened to a lease, in the seven words that every dialect shares, or what the network said beside leases
/// (`OBSERVER_EVENT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A new lease, or an answer that gave none.
    Commit,
    /// An existing lease extended, confirmed or offered again.
    Renew,
    /// An existing lease extended by a request to any server.
    Rebind,
    /// Given back.
    Release,
    /// Found in use by somebody else.
    Decline,
    /// Its time is over.
    Expire,
    /// The probation of a declined lease is over.
    Recover,
    /// Not about a lease.
    Network(Kind),
    /// Nothing that a server tells anybody: a message passed ([`Occurrence::Heard4`]). No hook is given this word.
    Heard,
}

impl Event {
    /// Those about leases.
    pub const LEASE: [Self; 7] =
        [Self::Commit, Self::Renew, Self::Rebind, Self::Release, Self::Decline, Self::Expire, Self::Recover];

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Renew => "renew",
            Self::Rebind => "rebind",
            Self::Release => "release",
            Self::Decline => "decline",
            Self::Expire => "expire",
            Self::Recover => "recover",
            Self::Network(kind) => kind.name(),
            Self::Heard => "heard",
        }
    }
}

/// A question and its answer. At least one of them is there: RELEASE and DECLINE of DHCPv4 have no answer, and the question
/// can have been missed.
#[derive(Clone, Debug)]
pub struct Exchange<O> {
    /// What the client sent.
    pub query: Option<Arc<O>>,
    /// What the server said.
    pub answer: Option<Arc<O>>,
}

/// A DHCPv4 exchange.
pub type Exchange4 = Exchange<Observed4>;
/// A DHCPv6 exchange.
pub type Exchange6 = Exchange<Observed6>;

/// The configured subnet of a DHCPv4 lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubnetName {
    /// Its identifier.
    pub id: u32,
    /// Its prefix.
    pub prefix: Ipv4Addr,
    /// Its prefix length.
    pub prefix_len: u8,
    /// Whether the server heeds client identifiers there (`match-client-id`).
    pub match_client_id: bool,
}

/// Which identity association of the answer an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IaReference {
    /// Its kind.
    pub kind: IaKind,
    /// Its identifier.
    pub iaid: u32,
}

/// One event, named by the hook point that Kea calls for it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are what their types say")]
pub enum Occurrence {
    /// `lease4_renew`: an existing record is extended, or offered again. The lease has its new values; `subnet` is its subnet.
    Renew4 { exchange: Exchange4, subnet: Option<SubnetName>, lease: Box<Lease4> },
    /// `leases4_committed`: the exchange is done. What it gave and what it took away, both may be empty.
    Committed4 { exchange: Exchange4, leases: Vec<Lease4>, deleted: Vec<Lease4> },
    /// `lease4_release`: the lease as it was.
    Release4 { exchange: Exchange4, lease: Box<Lease4> },
    /// `lease4_decline`: the lease as it was.
    Decline4 { exchange: Exchange4, lease: Box<Lease4> },
    /// `lease4_expire`: the lease as it was; `remove` says that the server deletes the record at once.
    Expire4 { lease: Box<Lease4>, remove: bool },
    /// `lease4_recover`: the declined lease.
    Recover4 { lease: Box<Lease4> },
    /// `lease6_renew`: the lease has its new values.
    Renew6 { exchange: Exchange6, ia: IaReference, lease: Box<Lease6> },
    /// `lease6_rebind`: the lease has its new values.
    Rebind6 { exchange: Exchange6, ia: IaReference, lease: Box<Lease6> },
    /// `leases6_committed`: the exchange is done. What it gave and what it took away, both may be empty.
    Committed6 { exchange: Exchange6, leases: Vec<Lease6>, deleted: Vec<Lease6> },
    /// `lease6_release`: the lease as it was.
    Release6 { exchange: Exchange6, lease: Box<Lease6> },
    /// `lease6_decline`: the lease as it was.
    Decline6 { exchange: Exchange6, lease: Box<Lease6> },
    /// `lease6_expire`: the lease as it was; `remove` says that the server deletes the record at once.
    Expire6 { lease: Box<Lease6>, remove: bool },
    /// `addr6_register` (Kea 3.0): the address that the client registered, and what was registered of it before.
    Register6 { exchange: Exchange6, old: Option<Box<Lease6>>, lease: Box<Lease6> },
    /// `lease6_recover`: the declined lease.
    Recover6 { lease: Box<Lease6> },
    /// One of the hook points of [`Kind`], which Kea does not have.
    Network(Box<Sighting>),
    /// A DHCPv4 message for which no server calls a hook, told to dialects that follow the client (see
    /// [`Tracker::tell_heard`](super::Tracker::tell_heard)): a question when it is put, which has no answer yet, and an
    /// answer that came of nothing above, such as an OFFER to a newcomer or the ACK to an INFORM.
    Heard4 { exchange: Exchange4 },
    /// The same of DHCPv6: a question when it is put, an Advertise, a Reply to Confirm or Information-request.
    Heard6 { exchange: Exchange6 },
}

/// Something that happened, ready for a dialect.
#[derive(Clone, Debug)]
pub struct LeaseEvent {
    /// When: the time of the frame that brought it, or its deadline.
    pub at: Timestamp,
    /// What happened to the lease.
    pub event: Event,
    /// The wire only suggests it: the server must have ended a lease without a word, or it refused a message by rules
    /// that are known but gave no answer.
    pub estimated: bool,
    /// The hook point and its contents.
    pub occurrence: Occurrence,
    /// What the record was before, for each DHCPv4 lease that the event gives; empty where it gives none.
    pub before4: Vec<Option<Lease4>>,
    /// What the record was before, for each DHCPv6 lease that the event gives; empty where it gives none.
    pub before6: Vec<Option<Lease6>>,
}

/// What an event is about, for the order of hooks: those about one subject run one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A DHCPv4 lease.
    Lease4(Ipv4Addr),
    /// A DHCPv6 address.
    Address6(Ipv6Addr),
    /// A delegated prefix.
    Prefix6(Ipv6Addr),
    /// A DHCPv4 client, for events without a lease.
    Client4(Identifier),
    /// A DHCPv6 client, for events without a lease.
    Client6(Identifier),
}

impl Subject {
    pub(super) fn of_lease6(lease: &Lease6) -> Self {
        match lease.kind {
            IaKind::PrefixDelegation => Self::Prefix6(lease.address),
            IaKind::NonTemporary | IaKind::Temporary => Self::Address6(lease.address),
        }
    }
}

impl LeaseEvent {
    /// Whether the question behind the event was missed.
    pub fn is_inferred(&self) -> bool {
        match &self.occurrence {
            Occurrence::Renew4 { exchange, .. }
            | Occurrence::Committed4 { exchange, .. }
            | Occurrence::Release4 { exchange, .. }
            | Occurrence::Decline4 { exchange, .. }
            | Occurrence::Heard4 { exchange } => exchange.query.is_none(),
            Occurrence::Renew6 { exchange, .. }
            | Occurrence::Rebind6 { exchange, .. }
            | Occurrence::Committed6 { exchange, .. }
            | Occurrence::Release6 { exchange, .. }
            | Occurrence::Decline6 { exchange, .. }
            | Occurrence::Register6 { exchange, .. }
            | Occurrence::Heard6 { exchange } => exchange.query.is_none(),
            Occurrence::Expire4 { .. }
            | Occurrence::Recover4 { .. }
            | Occurrence::Expire6 { .. }
            | Occurrence::Recover6 { .. } => false,
            Occurrence::Network(sighting) => sighting.is_inferred(),
        }
    }

    /// What the event is about: its leases or, if it names none, its client.
    pub fn subjects(&self) -> Vec<Subject> {
        match &self.occurrence {
            Occurrence::Renew4 { lease, .. }
            | Occurrence::Release4 { lease, .. }
            | Occurrence::Decline4 { lease, .. }
            | Occurrence::Expire4 { lease, .. }
            | Occurrence::Recover4 { lease } => vec![Subject::Lease4(lease.address)],
            Occurrence::Renew6 { lease, .. }
            | Occurrence::Rebind6 { lease, .. }
            | Occurrence::Release6 { lease, .. }
            | Occurrence::Decline6 { lease, .. }
            | Occurrence::Expire6 { lease, .. }
            | Occurrence::Register6 { lease, .. }
            | Occurrence::Recover6 { lease } => vec![Subject::of_lease6(lease)],
            Occurrence::Committed4 { exchange, leases, deleted } => {
                let mut subjects: Vec<_> =
                    leases.iter().chain(deleted).map(|lease| Subject::Lease4(lease.address)).collect();
                if subjects.is_empty() {
                    subjects.push(Subject::Client4(exchange.client()));
                }
                subjects
            }
            Occurrence::Committed6 { exchange, leases, deleted } => {
                let mut subjects: Vec<_> = leases.iter().chain(deleted).map(Subject::of_lease6).collect();
                if subjects.is_empty() {
                    subjects.push(Subject::Client6(exchange.client()));
                }
                subjects.sort();
                subjects.dedup();
                subjects
            }
            Occurrence::Network(sighting) => vec![sighting.subject()],
            Occurrence::Heard4 { exchange } => vec![Subject::Client4(exchange.client())],
            Occurrence::Heard6 { exchange } => vec![Subject::Client6(exchange.client())],
        }
    }

    /// Whether anything is otherwise than before. A plain renewal extends a lease and leaves all else as it was; a
    /// committed exchange without leases, such as a refusal, leaves everything.
    pub fn changes_anything(&self) -> bool {
        fn any<L>(leases: &[L], before: &[Option<L>], same: impl Fn(&L, &L) -> bool) -> bool {
            let before = before.iter().map(Option::as_ref).chain(std::iter::repeat(None));
            leases.iter().zip(before).any(|(lease, before)| before.is_none_or(|before| !same(lease, before)))
        }
        let same4 = |lease: &Lease4, before: &Lease4| *lease == Lease4 { cltt: lease.cltt, ..before.clone() };
        let same6 = |lease: &Lease6, before: &Lease6| *lease == Lease6 { cltt: lease.cltt, ..before.clone() };
        match &self.occurrence {
            Occurrence::Renew4 { lease, .. } => any(std::slice::from_ref(&**lease), &self.before4, same4),
            Occurrence::Renew6 { lease, .. } | Occurrence::Rebind6 { lease, .. } => {
                any(std::slice::from_ref(&**lease), &self.before6, same6)
            }
            Occurrence::Committed4 { leases, deleted, .. } => {
                !deleted.is_empty() || any(leases, &self.before4, same4)
            }
            Occurrence::Committed6 { leases, deleted, .. } => {
                !deleted.is_empty() || any(leases, &self.before6, same6)
            }
            Occurrence::Heard4 { .. } | Occurrence::Heard6 { .. } => false,
            Occurrence::Release4 { .. }
            | Occurrence::Decline4 { .. }
            | Occurrence::Expire4 { .. }
            | Occurrence::Recover4 { .. }
            | Occurrence::Release6 { .. }
            | Occurrence::Decline6 { .. }
            | Occurrence::Expire6 { .. }
            | Occurrence::Register6 { .. }
            | Occurrence::Recover6 { .. }
            | Occurrence::Network(_) => true,
        }
    }
}

impl<O> Exchange<O> {
    /// The question or, if it was missed, the answer.
    pub fn either(&self) -> Option<&O> {
        self.query.as_deref().or(self.answer.as_deref())
    }
}

impl Exchange4 {
    pub(super) fn client(&self) -> Identifier {
        let hwaddr = self.either().map_or(HardwareAddress::empty(), |observed| observed.message.chaddr);
        Identifier::new(hwaddr.octets())
    }
}

impl Exchange6 {
    pub(super) fn client(&self) -> Identifier {
        Identifier::new(self.either().and_then(|observed| observed.message.client_duid()).unwrap_or_default())
    }
}
