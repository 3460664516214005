//! What clients give back, and what they find in use.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use crate::dhcpv6::{IaKind, IaLease, IdentityAssociation};
use crate::identity::Duid;
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::records::Record;
use crate::tracker::{Event, Exchange6, IaReference, Lease6, LeaseState, Occurrence, Tracker};

use super::MOST_LEASES;

/// The status code that a server gives for an identity association it does not know (RFC 8415 section 21.13).
const NO_BINDING: u16 = 3;

impl Tracker {
    /// A Reply to Release: the first address of each identity association, where the server knew it.
    pub(super) fn released6(&mut self, at: Timestamp, exchange: Exchange6) {
        let mut deleted = Vec::new();
        for (ia, lease) in self.accepted(&exchange, |ia| ia.leases().take(1).collect()) {
            let Some(lease) = self.owned6(&exchange, ia, lease.address).cloned() else { continue };
            if deleted.len() == MOST_LEASES {
                self.counters.leases_left_out += 1;
                continue;
            }
            let kept = self
                .released_state()
                .and_then(|state| self.leases6.keep_released(&mut self.deadlines, at, &lease, state));
            deleted.push(kept.unwrap_or_else(|| {
                self.leases6.remove(lease.key());
                lease.clone()
            }));
            let released = Occurrence::Release6 { exchange: exchange.clone(), lease: Box::new(lease) };
            self.emit(at, Event::Release, released);
        }
        let event = if deleted.is_empty() { Event::Commit } else { Event::Release };
        self.emit(at, event, Occurrence::Committed6 { exchange, leases: vec![], deleted });
    }

    /// A Reply to Decline: every address of each IA_NA, where the server knew it. Prefixes cannot be declined.
    pub(super) fn declined6(&mut self, at: Timestamp, exchange: Exchange6) {
        let mut leases = Vec::new();
        let addresses = self.accepted(&exchange, |ia| match ia.kind {
            IaKind::NonTemporary => ia.leases().collect(),
            IaKind::Temporary | IaKind::PrefixDelegation => vec![],
        });
        for (ia, lease) in addresses {
            let running = |lease: &&Lease6| lease.state == LeaseState::Default && !lease.is_overdue(at);
            let version = self.config.version;
            let found = self
                .owned6(&exchange, ia, lease.address)
                .filter(|lease| !version.declines_only_running_leases() || running(lease));
            let Some(lease) = found.cloned() else { continue };
            if leases.len() == MOST_LEASES {
                self.counters.leases_left_out += 1;
                continue;
            }
            let declined = Lease6 {
                duid: Duid::new(version.declined_duid()),
                hwaddr: None,
                hostname: Octets::default(),
                cltt: at.whole_second(),
                preferred_lifetime: Lifetime::Seconds(0),
                valid_lifetime: Lifetime::from_wire(self.config.dhcp6.decline_probation_period),
                state: LeaseState::Declined,
                ..lease.clone()
            };
            self.leases6.store(&mut self.deadlines, declined.clone());
            let occurrence = Occurrence::Decline6 { exchange: exchange.clone(), lease: Box::new(lease) };
            self.emit(at, Event::Decline, occurrence);
            leases.push(declined);
        }
        let event = if leases.is_empty() { Event::Commit } else { Event::Decline };
        self.emit(at, event, Occurrence::Committed6 { exchange, leases, deleted: vec![] });
    }

    /// What the client named in its question, by identity association in Kea's order, except what the Reply calls unknown:
    /// the status of an association that names one thing is about that; of several, any one may be the unknown one.
    fn accepted(
        &self,
        exchange: &Exchange6,
        named: impl Fn(&IdentityAssociation<'_>) -> Vec<IaLease>,
    ) -> Vec<(IaReference, IaLease)> {
        let (Some(query), Some(answer)) = (&exchange.query, &exchange.answer) else { return vec![] };
        // Looked up rather than searched for: a client can name thousands of associations, and the server answers each.
        let unknown: HashSet<(IaKind, u32)> = answer
            .message
            .identity_associations()
            .filter(|ia| ia.status() == NO_BINDING)
            .map(|ia| (ia.kind, ia.iaid))
            .collect();
        let associations = query.message.identity_associations();
        associations
            .flat_map(|ia| {
                let reference = IaReference { kind: ia.kind, iaid: ia.iaid };
                let mut leases = named(&ia);
                if leases.len() == 1 && unknown.contains(&(ia.kind, ia.iaid)) {
                    leases.clear();
                }
                leases.into_iter().map(move |lease| (reference, lease))
            })
            .collect()
    }

    /// The record of this address, if it is held by this identity association of who asked.
    fn owned6(&self, exchange: &Exchange6, ia: IaReference, address: Ipv6Addr) -> Option<&Lease6> {
        let duid = exchange.query.as_deref()?.message.client_duid()?;
        let lease = self.leases6.get((ia.kind == IaKind::PrefixDelegation, address))?;
        lease.belongs_to(ia.kind, duid, ia.iaid).then_some(lease)
    }
}
