//! A lease of either family, for dialects that treat both alike.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::dhcpv6::IaKind;
use crate::frame::Interface;
use crate::time::Timestamp;
use crate::tracker::{Lease4, Lease6, Subject};

/// What a lease is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    V4(Ipv4Addr),
    Address6(Ipv6Addr),
    /// By its first address: overlapping prefixes cannot be leased at once.
    Prefix6(Ipv6Addr),
}

impl Key {
    pub(super) fn of6(kind: IaKind, address: Ipv6Addr) -> Self {
        match kind {
            IaKind::PrefixDelegation => Self::Prefix6(address),
            IaKind::NonTemporary | IaKind::Temporary => Self::Address6(address),
        }
    }

    pub(super) fn subject(self) -> Subject {
        match self {
            Self::V4(address) => Subject::Lease4(address),
            Self::Address6(address) => Subject::Address6(address),
            Self::Prefix6(address) => Subject::Prefix6(address),
        }
    }

    /// The key of a memory: a letter for the kind and the address.
    pub(super) fn to_octets(self) -> Vec<u8> {
        match self {
            Self::V4(address) => [&b"4"[..], &address.octets()].concat(),
            Self::Address6(address) => [&b"6"[..], &address.octets()].concat(),
            Self::Prefix6(address) => [&b"p"[..], &address.octets()].concat(),
        }
    }
}

/// A lease of either family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lease {
    V4(Box<Lease4>),
    V6(Box<Lease6>),
}

impl From<&Lease4> for Lease {
    fn from(lease: &Lease4) -> Self {
        Self::V4(Box::new(lease.clone()))
    }
}

impl From<&Lease6> for Lease {
    fn from(lease: &Lease6) -> Self {
        Self::V6(Box::new(lease.clone()))
    }
}

impl Lease {
    pub(super) fn key(&self) -> Key {
        match self {
            Self::V4(lease) => Key::V4(lease.address),
            Self::V6(lease) => Key::of6(lease.kind, lease.address),
        }
    }

    /// When it is over, if ever.
    pub(super) fn end(&self) -> Option<Timestamp> {
        match self {
            Self::V4(lease) => lease.valid_lifetime.end(lease.cltt),
            Self::V6(lease) => lease.valid_lifetime.end(lease.cltt),
        }
    }

    /// Whether the other lease, of the same address, is the same client's.
    pub(super) fn is_same_client(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::V4(one), Self::V4(other)) => {
                one.belongs_to(&other.hwaddr, other.client_id.as_ref().map(|id| id.octets()))
            }
            (Self::V6(one), Self::V6(other)) => one.belongs_to(other.kind, other.duid.octets(), other.iaid),
            _ => false,
        }
    }

    /// The interface on which the client was last heard of.
    pub(super) fn interface(&self) -> Option<&Arc<Interface>> {
        match self {
            Self::V4(lease) => lease.place.interface.as_ref(),
            Self::V6(lease) => lease.place.interface.as_ref(),
        }
    }
}
