//! What the server remembers about an address or prefix, as far as the wire tells.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::dhcpv6::IaKind;
use crate::identity::{ClientId, Duid, HardwareAddress};
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};

use super::{Place, Relay4, Way};

/// The state of a record (Kea's `Lease::STATE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseState {
    /// Assigned.
    Default,
    /// A client found the address in use; nobody gets it until the probation ends.
    Declined,
    /// Over and reclaimed; the record is kept for a while in case the client comes back.
    ExpiredReclaimed,
    /// Given back, and kept for the client until it is reclaimed (Kea 3.0).
    Released,
    /// An address that the client made up and told the server about (RFC 9686, Kea 3.0).
    Registered,
}

impl LeaseState {
    /// Kea's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Declined => "declined",
            Self::ExpiredReclaimed => "expired-reclaimed",
            Self::Released => "released",
            Self::Registered => "registered",
        }
    }
}

/// A DHCPv4 lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease4 {
    /// The address.
    pub address: Ipv4Addr,
    /// The client's hardware address; empty once declined.
    pub hwaddr: HardwareAddress,
    /// The client identifier, when the client sent one and the server heeds it (`match-client-id`).
    pub client_id: Option<ClientId>,
    /// The host name as the server has it, may be empty.
    pub hostname: Octets,
    /// Client last transmission time: the whole second of the last answer that set the lease.
    pub cltt: Timestamp,
    /// How long the lease is good from `cltt`.
    pub valid_lifetime: Lifetime,
    /// Its state.
    pub state: LeaseState,
    /// The subnet's identifier, from the configuration.
    pub subnet_id: Option<u32>,
    /// Where the client was last heard of.
    pub place: Arc<Place>,
    /// The relay that last carried a message of the client; a renewal that goes past it does not change that.
    pub relay: Option<Arc<Relay4>>,
}

impl Lease4 {
    /// Whether the lease is this client's, as Kea's `belongsToClient` has it: equal client identifiers or, if either side
    /// has none, equal hardware addresses.
    pub fn belongs_to(&self, hwaddr: &HardwareAddress, client_id: Option<&[u8]>) -> bool {
        match (client_id, &self.client_id) {
            (Some(theirs), Some(ours)) => theirs == ours.octets(),
            _ => *hwaddr == self.hwaddr,
        }
    }
}

/// A DHCPv6 lease: an address or a delegated prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease6 {
    /// What kind of identity association holds it.
    pub kind: IaKind,
    /// The address, or the first address of the prefix.
    pub address: Ipv6Addr,
    /// 128 for an address.
    pub prefix_len: u8,
    /// The client's DUID; zero octets once declined.
    pub duid: Duid,
    /// The identity association's identifier.
    pub iaid: u32,
    /// The client's hardware address where one could be found out.
    pub hwaddr: Option<HardwareAddress>,
    /// The host name as the server has it, may be empty.
    pub hostname: Octets,
    /// Client last transmission time: the whole second of the last answer that set the lease.
    pub cltt: Timestamp,
    /// How long the address may be used for new connections from `cltt`; zero once declined.
    pub preferred_lifetime: Lifetime,
    /// How long the lease is good from `cltt`.
    pub valid_lifetime: Lifetime,
    /// Its state.
    pub state: LeaseState,
    /// The subnet's identifier, from the configuration.
    pub subnet_id: Option<u32>,
    /// Where the client was last heard of.
    pub place: Arc<Place>,
    /// The way to the client, for delegated prefixes.
    pub way: Option<Arc<Way>>,
    /// What the relays said when it was last seen, where the server keeps it with the lease (`store-extended-info`).
    pub relay_information: Option<Box<[u8]>>,
}

impl Lease6 {
    /// Whether the lease is held by this identity association of this client. A declined lease is nobody's.
    pub fn belongs_to(&self, kind: IaKind, duid: &[u8], iaid: u32) -> bool {
        !matches!(self.state, LeaseState::Declined | LeaseState::Registered)
            && self.kind == kind
            && self.iaid == iaid
            && self.duid.octets() == duid
    }
}
