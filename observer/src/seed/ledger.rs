//! Leases by address while a file is read, because later lines about an address supersede earlier ones.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use crate::dhcpv6::IaKind;
use crate::identity::Duid;
use crate::tracker::{Lease4, Lease6};

use super::{Seed, SkippedLine};

/// What there is one DHCPv6 lease for: addresses and prefixes are two spaces.
type Key6 = (bool, Ipv6Addr);

/// An identity association: what ISC dhcpd writes down whole each time.
type Association = (IaKind, u32, Duid);

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    leases4: BTreeMap<Ipv4Addr, Lease4>,
    leases6: BTreeMap<Key6, Lease6>,
    held: HashMap<Association, Vec<Key6>>,
    skipped: Vec<SkippedLine>,
}

fn key6(kind: IaKind, address: Ipv6Addr) -> Key6 {
    (kind == IaKind::PrefixDelegation, address)
}

impl Ledger {
    /// The latest about an address.
    pub(super) fn put4(&mut self, lease: Lease4) {
        self.leases4.insert(lease.address, lease);
    }

    /// There is no lease of this address any more.
    pub(super) fn remove4(&mut self, address: Ipv4Addr) {
        self.leases4.remove(&address);
    }

    /// The latest about an address or prefix.
    pub(super) fn put6(&mut self, lease: Lease6) {
        self.leases6.insert(key6(lease.kind, lease.address), lease);
    }

    /// There is no lease of this address or prefix any more.
    pub(super) fn remove6(&mut self, kind: IaKind, address: Ipv6Addr) {
        self.leases6.remove(&key6(kind, address));
    }

    /// The latest about an identity association: it holds `leases` and nothing else.
    pub(super) fn put_association(&mut self, kind: IaKind, iaid: u32, duid: Duid, leases: Vec<Lease6>) {
        let keys = leases.iter().map(|lease| key6(lease.kind, lease.address)).collect();
        let before = self.held.insert((kind, iaid, duid.clone()), keys);
        for key in before.into_iter().flatten() {
            // The address may have gone to somebody else since.
            if self.leases6.get(&key).is_some_and(|lease| lease.iaid == iaid && lease.duid == duid) {
                self.leases6.remove(&key);
            }
        }
        leases.into_iter().for_each(|lease| self.put6(lease));
    }

    /// Something was not understood.
    pub(super) fn skip(&mut self, file: &Arc<Path>, line: usize, why: impl Into<String>) {
        self.skipped.push(SkippedLine { file: Arc::clone(file), line, why: why.into() });
    }

    /// What is left in the end, in the order of the addresses.
    pub(super) fn into_seed(self) -> Seed {
        Seed {
            leases4: self.leases4.into_values().collect(),
            leases6: self.leases6.into_values().collect(),
            skipped: self.skipped,
        }
    }
}
