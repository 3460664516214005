//! What changed in the tables, for whoever keeps a copy of them.
//!
//! The tables note keys, not records: a record that one message changes twice is told once, as it is now, and one that came
//! and went is told as gone. Where nobody wants to know, nothing is noted.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::dhcpv6::IaKind;

use super::{Lease4, Lease6, Subject, Tracker};

/// A change of what the tracker remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// This DHCPv4 record is new, or otherwise than before.
    Put4(Lease4),
    /// There is no record of this address any more.
    Gone4(Ipv4Addr),
    /// This DHCPv6 record is new, or otherwise than before.
    Put6(Lease6),
    /// There is no record of this address, or of the prefix that begins with it, any more.
    Gone6 {
        /// Whether it is a prefix; addresses and prefixes are two spaces.
        is_prefix: bool,
        /// The address, or the first one of the prefix.
        address: Ipv6Addr,
    },
    /// A DHCPv4 server by its identifier was heard for the first time.
    Server4(Ipv4Addr),
}

impl LeaseChange {
    /// The lease that it is about.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Put4(lease) => Some(Subject::Lease4(lease.address)),
            Self::Gone4(address) => Some(Subject::Lease4(*address)),
            Self::Put6(lease) => Some(Subject::of_lease6(lease)),
            Self::Gone6 { is_prefix: true, address } => Some(Subject::Prefix6(*address)),
            Self::Gone6 { is_prefix: false, address } => Some(Subject::Address6(*address)),
            Self::Server4(_) => None,
        }
    }
}

/// Where a walk through the tables is, see [`Tracker::leases_from`]. The default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseCursor {
    is_v6: bool,
    slot: u32,
}

impl Tracker {
    /// Has changes noted from now on, or not any more. What was noted and not taken is forgotten.
    pub fn record_changes(&mut self, records: bool) {
        self.leases4.record_changes(records);
        self.leases6.record_changes(records);
        self.new_servers4 = records.then(Vec::new);
    }

    /// The next record that changed since it was last told, in no order. Call until `None`, as for events.
    pub fn poll_change(&mut self) -> Option<LeaseChange> {
        if let Some(server) = self.new_servers4.as_mut().and_then(Vec::pop) {
            return Some(LeaseChange::Server4(server));
        }
        if let Some(address) = self.leases4.poll_changed() {
            let put = self.leases4.get(address).cloned().map(LeaseChange::Put4);
            return Some(put.unwrap_or(LeaseChange::Gone4(address)));
        }
        let (is_prefix, address) = self.leases6.poll_changed()?;
        let put = self.leases6.get((is_prefix, address)).cloned().map(LeaseChange::Put6);
        Some(put.unwrap_or(LeaseChange::Gone6 { is_prefix, address }))
    }

    /// The records from `cursor` on as changes, by looking at `steps` places of a table, and where to go on, if there is
    /// more. A record that is put in during such a walk may be left out of it; it is noted as a change.
    pub fn leases_from(
        &self,
        cursor: LeaseCursor,
        steps: u32,
    ) -> (impl Iterator<Item = LeaseChange>, Option<LeaseCursor>) {
        let LeaseCursor { is_v6, slot } = cursor;
        let end = slot.saturating_add(steps);
        let slots = slot..end;
        let found4 = slots.clone().filter(move |_| !is_v6).filter_map(|slot| self.leases4.at(slot));
        let found6 = slots.filter(move |_| is_v6).filter_map(|slot| self.leases6.at(slot));
        let found = found4
            .cloned()
            .map(LeaseChange::Put4)
            .chain(found6.cloned().map(LeaseChange::Put6))
            .collect::<Vec<_>>();
        let next = match is_v6 {
            false if end < self.leases4.slots() => Some(LeaseCursor { is_v6, slot: end }),
            false => Some(LeaseCursor { is_v6: true, slot: 0 }),
            true => (end < self.leases6.slots()).then_some(LeaseCursor { is_v6, slot: end }),
        };
        (found.into_iter(), next)
    }

    /// The record of this address.
    pub fn lease4(&self, address: Ipv4Addr) -> Option<&Lease4> {
        self.leases4.get(address)
    }

    /// The record of this address, or of the prefix that begins with it.
    pub fn lease6(&self, kind: IaKind, address: Ipv6Addr) -> Option<&Lease6> {
        self.leases6.get((kind == IaKind::PrefixDelegation, address))
    }

    /// The DHCPv4 servers that were heard, by their identifiers.
    pub fn servers4(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.servers4.iter().copied()
    }
}

#[cfg(test)]
mod tests;
