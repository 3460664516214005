//! Which leases a filter has let through, for events that do not say enough: an expiry has no vendor class.

use std::collections::HashSet;

use crate::dhcpv6::IaKind;
use crate::dialect::Memory;
use crate::tracker::{Lease4, Lease6, LeaseEvent, Occurrence, Subject};

use super::{Filter, Verdict};

/// The leases that one hook's filter let through.
#[derive(Debug)]
pub(crate) struct Remembered {
    wanted: HashSet<Subject>,
    limit: usize,
    over_limit: u64,
}

impl Remembered {
    /// At most `limit` leases; the end of one beyond it is judged by what its event says alone, and counted here.
    pub(crate) fn new(limit: usize) -> Self {
        Self { wanted: HashSet::new(), limit, over_limit: 0 }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Leases that were not remembered.
    pub(crate) fn over_limit(&self) -> u64 {
        self.over_limit
    }

    /// Whether the event is wanted. `remember` gets what is to be known after a restart.
    pub(crate) fn wants(
        &mut self,
        filter: &Filter,
        event: &LeaseEvent,
        mut remember: impl FnMut(Memory),
    ) -> bool {
        let verdict = filter.judge(event);
        if !filter.needs_memory() {
            return verdict == Verdict::Wanted;
        }
        let (kept, gone) = leases(event);
        let wanted = match verdict {
            Verdict::Wanted => true,
            Verdict::Unwanted => false,
            Verdict::Unknown => kept.iter().chain(&gone).any(|lease| self.wanted.contains(lease)),
        };
        if verdict != Verdict::Unknown {
            for lease in kept {
                let key = key(&lease);
                let changed = if !wanted {
                    self.wanted.remove(&lease)
                } else if self.wanted.len() < self.limit {
                    self.wanted.insert(lease)
                } else {
                    self.over_limit += u64::from(!self.wanted.contains(&lease));
                    false
                };
                if changed {
                    remember(Memory { key, value: wanted.then(Vec::new) });
                }
            }
        }
        for lease in gone {
            if self.wanted.remove(&lease) {
                remember(Memory { key: key(&lease), value: None });
            }
        }
        wanted
    }

    /// Gives back what [`Remembered::wants`] has given out.
    pub(crate) fn recall(&mut self, key: &[u8]) {
        if let Some(lease) = lease(key).filter(|_| self.wanted.len() < self.limit) {
            self.wanted.insert(lease);
        }
    }
}

/// The leases that an event is about, and those that are over after it. A released one may be kept, and expire later.
fn leases(event: &LeaseEvent) -> (Vec<Subject>, Vec<Subject>) {
    let of4 = |lease: &Lease4| Subject::Lease4(lease.address);
    let of6 = |lease: &Lease6| match lease.kind {
        IaKind::PrefixDelegation => Subject::Prefix6(lease.address),
        IaKind::NonTemporary | IaKind::Temporary => Subject::Address6(lease.address),
    };
    match &event.occurrence {
        Occurrence::Renew4 { lease, .. }
        | Occurrence::Release4 { lease, .. }
        | Occurrence::Decline4 { lease, .. } => (vec![of4(lease)], Vec::new()),
        Occurrence::Committed4 { leases, deleted, .. } => {
            (leases.iter().map(of4).collect(), deleted.iter().map(of4).collect())
        }
        Occurrence::Expire4 { lease, .. } | Occurrence::Recover4 { lease } => (Vec::new(), vec![of4(lease)]),
        Occurrence::Renew6 { lease, .. }
        | Occurrence::Rebind6 { lease, .. }
        | Occurrence::Release6 { lease, .. }
        | Occurrence::Decline6 { lease, .. }
        | Occurrence::Register6 { lease, .. } => (vec![of6(lease)], Vec::new()),
        Occurrence::Committed6 { leases, deleted, .. } => {
            (leases.iter().map(of6).collect(), deleted.iter().map(of6).collect())
        }
        Occurrence::Expire6 { lease, .. } | Occurrence::Recover6 { lease } => (Vec::new(), vec![of6(lease)]),
        Occurrence::Network(_) | Occurrence::Heard4 { .. } | Occurrence::Heard6 { .. } => {
            (Vec::new(), Vec::new())
        }
    }
}

/// A lease as the key of a memory: its kind and its address.
fn key(lease: &Subject) -> Vec<u8> {
    let (kind, address): (u8, &[u8]) = match lease {
        Subject::Lease4(address) => (b'4', &address.octets()),
        Subject::Address6(address) => (b'6', &address.octets()),
        Subject::Prefix6(address) => (b'p', &address.octets()),
        // Clients are not remembered.
        Subject::Client4(_) | Subject::Client6(_) => (b'c', &[]),
    };
    [&[kind], address].concat()
}

fn lease(key: &[u8]) -> Option<Subject> {
    match key.split_first()? {
        (b'4', address) => Some(Subject::Lease4(<[u8; 4]>::try_from(address).ok()?.into())),
        (b'6', address) => Some(Subject::Address6(<[u8; 16]>::try_from(address).ok()?.into())),
        (b'p', address) => Some(Subject::Prefix6(<[u8; 16]>::try_from(address).ok()?.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_lease_is_known_again_by_its_key() {
        for subject in [
            Subject::Lease4(Ipv4Addr::new(192, 0, 2, 7)),
            Subject::Address6(Ipv6Addr::LOCALHOST),
            Subject::Prefix6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)),
        ] {
            assert_eq!(lease(&key(&subject)), Some(subject));
        }
        for foreign in [&[][..], b"4abc", b"6", b"x1234"] {
            assert_eq!(lease(foreign), None);
        }
    }
}
