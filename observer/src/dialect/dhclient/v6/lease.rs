//! One address or prefix of a DHCPv6 client.

use std::net::Ipv6Addr;

use crate::dhcpv6::{IaKind, IaLease, IdentityAssociation, Message};
use crate::time::Timestamp;
use crate::tracker::Subject;

use super::super::values::Values;
use super::super::{Suspects, memory, values6};

/// What one address or prefix is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    kind: IaKind,
    iaid: u32,
    address: Ipv6Addr,
    prefix_len: u8,
}

#[derive(Debug)]
pub(super) struct Lease {
    pub(super) id: Id,
    pub(super) values: Values,
    pub(super) told: bool,
    /// When its preferred lifetime is over, if that is told.
    pub(super) deprecation: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
    /// Until when it is remembered, once it is over.
    pub(super) over_until: Option<Timestamp>,
}

impl Id {
    pub(super) fn new(ia: &IdentityAssociation<'_>, lease: &IaLease) -> Self {
        Self { kind: ia.kind, iaid: ia.iaid, address: lease.address, prefix_len: lease.prefix_len }
    }

    pub(super) fn subject(self) -> Subject {
        match self.kind {
            IaKind::PrefixDelegation => Subject::Prefix6(self.address),
            IaKind::NonTemporary | IaKind::Temporary => Subject::Address6(self.address),
        }
    }
}

impl Lease {
    /// As a Reply that came at `at` gives it. What is left out because it looks like an attack on the script is counted.
    pub(super) fn granted(
        at: Timestamp,
        answer: &Message,
        ia: &IdentityAssociation<'_>,
        granted: &IaLease,
        suspects: &mut Suspects,
    ) -> Self {
        let start = at.whole_second();
        let (preferred, valid) = (granted.preferred_lifetime, granted.valid_lifetime);
        Self {
            id: Id::new(ia, granted),
            values: values6::values(at, answer, ia, granted, suspects),
            told: false,
            // What ends as a whole is not deprecated before.
            deprecation: preferred.end(start).filter(|_| preferred < valid),
            end: valid.end(start),
            over_until: None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over_until.is_some()
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        [self.deprecation, self.end, self.over_until].into_iter().flatten().min()
    }

    pub(super) fn memory(&self) -> memory::Lease6 {
        memory::Lease6 {
            kind: self.id.kind.code(),
            iaid: self.id.iaid,
            address: self.id.address,
            prefix_len: self.id.prefix_len,
            values: self.values.clone(),
            told: self.told,
            deprecation: self.deprecation.map(memory::nanos),
            end: self.end.map(memory::nanos),
            over_until: self.over_until.map(memory::nanos),
        }
    }

    pub(super) fn recalled(memory: memory::Lease6) -> Option<Self> {
        let kinds = [IaKind::NonTemporary, IaKind::Temporary, IaKind::PrefixDelegation];
        let kind = kinds.into_iter().find(|kind| kind.code() == memory.kind)?;
        let time = |nanos: Option<i64>| nanos.map(Timestamp::from_nanos);
        Some(Self {
            id: Id { kind, iaid: memory.iaid, address: memory.address, prefix_len: memory.prefix_len },
            values: memory.values,
            told: memory.told,
            deprecation: time(memory.deprecation),
            end: time(memory.end),
            over_until: time(memory.over_until),
        })
    }
}
