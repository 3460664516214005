//! What an exchange gives a client: what the tracker says is committed, and what the server answered out of its lease cache,
//! of which nothing is committed because nothing was written.

use crate::dhcpv4::MessageType as Type4;
use crate::dhcpv6::{IaLease, IdentityAssociation, MessageType as Type6};
use crate::identity::Duid;
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Exchange4, Exchange6, Lease4, Lease6, LeaseEvent, LeaseState, Occurrence, Place};

use super::lease::{Key, Lease};

/// What was said to be renewed by the exchange that is about to be committed.
#[derive(Debug, Default)]
pub(super) struct Renewed(Vec<Lease>);

impl Renewed {
    /// Takes note of an event that renews. An offer renews nothing: the client may take another.
    pub(super) fn note(&mut self, occurrence: &Occurrence) {
        match occurrence {
            Occurrence::Renew4 { exchange, lease, .. } => {
                let answer = exchange.answer.as_deref().and_then(|answer| answer.message.message_type);
                if answer != Some(Type4::OFFER) {
                    self.0.push(Lease::V4(lease.clone()));
                }
            }
            Occurrence::Renew6 { lease, .. } | Occurrence::Rebind6 { lease, .. } => {
                self.0.push(Lease::V6(lease.clone()));
            }
            _ => {}
        }
    }

    /// The leases that a committed exchange gives.
    pub(super) fn granted4(
        &mut self,
        exchange: &Exchange4,
        leases: &[Lease4],
        event: &LeaseEvent,
    ) -> Vec<Lease> {
        let renewed = std::mem::take(&mut self.0);
        let given = leases.iter().filter(|lease| lease.state == LeaseState::Default);
        let mut granted: Vec<Lease> = given.map(Lease::from).collect();
        let answer = exchange.answer.as_deref().map(|answer| &answer.message);
        let left = answer
            .filter(|answer| leases.is_empty() && answer.message_type == Some(Type4::ACK))
            .and_then(|answer| answer.lease_time());
        if let Some(left) = left {
            // The record keeps its beginning; the client knows what is left.
            granted.extend(renewed.into_iter().filter_map(|lease| match lease {
                Lease::V4(lease) => Some(Lease::V4(Box::new(Lease4 {
                    cltt: event.at.whole_second(),
                    valid_lifetime: Lifetime::from_wire(left),
                    ..*lease
                }))),
                Lease::V6(_) => None,
            }));
        }
        granted
    }

    /// The same of DHCPv6. What a lease is beside its lifetimes is better known from what was said just before the commit,
    /// or from long ago, which `known` tells.
    pub(super) fn granted6<'a>(
        &mut self,
        exchange: &Exchange6,
        leases: &[Lease6],
        event: &LeaseEvent,
        known: impl Fn(Key) -> Option<&'a Lease>,
    ) -> Vec<Lease> {
        let renewed = std::mem::take(&mut self.0);
        let question = exchange.query.as_deref().map(|query| query.message.message_type);
        if matches!(question, Some(Type6::RELEASE | Type6::DECLINE | Type6::ADDR_REG_INFORM)) {
            // An address that the client made up and registered is no lease either.
            return vec![];
        }
        let given = leases.iter().filter(|lease| lease.state == LeaseState::Default);
        let mut granted: Vec<Lease> = given.map(Lease::from).collect();
        for lease in cached6(exchange, leases, event.at) {
            let own = Lease::from(&lease);
            let before = renewed.iter().find(|renewed| renewed.key() == own.key());
            let before = before.or_else(|| known(own.key()).filter(|known| known.is_same_client(&own)));
            granted.push(match before {
                Some(Lease::V6(before)) => Lease::V6(Box::new(Lease6 {
                    cltt: lease.cltt,
                    preferred_lifetime: lease.preferred_lifetime,
                    valid_lifetime: lease.valid_lifetime,
                    ..(**before).clone()
                })),
                _ => own,
            });
        }
        granted
    }
}

/// What a Reply gives beside what is committed: leases out of the server's cache, of which nothing was written.
fn cached6(exchange: &Exchange6, committed: &[Lease6], at: Timestamp) -> Vec<Lease6> {
    let Some(answer) = exchange.answer.as_deref() else { return vec![] };
    let asker = exchange.query.as_deref().unwrap_or(answer);
    let Some(duid) = asker.message.client_duid().map(Duid::new) else { return vec![] };
    let lease = |ia: &IdentityAssociation<'_>, given: IaLease| Lease6 {
        kind: ia.kind,
        address: given.address,
        prefix_len: given.prefix_len,
        duid: duid.clone(),
        iaid: ia.iaid,
        hwaddr: None,
        hostname: Octets::default(),
        cltt: at.whole_second(),
        preferred_lifetime: given.preferred_lifetime,
        valid_lifetime: given.valid_lifetime,
        state: LeaseState::Default,
        subnet_id: None,
        place: Place::of(asker).into(),
        way: None,
        relay_information: None,
    };
    let mut leases = Vec::new();
    for ia in answer.message.identity_associations() {
        for given in ia.leases().filter(|given| given.valid_lifetime != Lifetime::Seconds(0)) {
            let key = Key::of6(ia.kind, given.address);
            if !committed.iter().any(|lease| Key::of6(lease.kind, lease.address) == key) {
                leases.push(lease(&ia, given));
            }
        }
    }
    leases
}
