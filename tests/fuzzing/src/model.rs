//! What a hook believes that hears of every event: who holds which address.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use dhcp_observer::config::KeaVersion;
use dhcp_observer::dhcpv6::IaKind;
use dhcp_observer::time::{Lifetime, Timestamp};
use dhcp_observer::tracker::{
    Event, Exchange4, Exchange6, Lease4, Lease6, LeaseEvent, LeaseState, Occurrence,
};

type Key6 = (bool, Ipv6Addr);

/// The leases of which hooks were told and whose end they were not told.
#[derive(Debug)]
pub struct Model {
    version: KeaVersion,
    latest: Timestamp,
    held4: HashMap<Ipv4Addr, Lease4>,
    held6: HashMap<Key6, Lease6>,
    /// Whether the tracker remembers all that it told. Of a lease over its limit nobody will hear again.
    pub is_complete: bool,
}

fn key6(lease: &Lease6) -> Key6 {
    (lease.kind == IaKind::PrefixDelegation, lease.address)
}

/// The end of a lease that ends on its own, and is told when it does.
fn is_in_time(event: &LeaseEvent, cltt: Timestamp, valid: Lifetime) {
    let end = valid.end(cltt);
    assert!(event.estimated || end.is_some_and(|end| end <= event.at), "ended before its time: {event:?}");
}

impl Model {
    /// Nobody holds anything, as far as this version of Kea has told.
    pub fn new(version: KeaVersion) -> Self {
        Self {
            version,
            latest: Timestamp::EPOCH,
            held4: HashMap::new(),
            held6: HashMap::new(),
            is_complete: true,
        }
    }

    /// Takes in one event; panics if it cannot be true.
    pub fn take(&mut self, event: &LeaseEvent) {
        assert!(event.at >= self.latest, "time runs back from {} to {}", self.latest, event.at);
        self.latest = event.at;
        match &event.occurrence {
            Occurrence::Renew4 { exchange, lease, .. } => {
                assert!(says4(exchange, lease.address), "only an answer renews");
                self.is_owner4(lease);
            }
            Occurrence::Committed4 { exchange, leases, deleted } => {
                deleted.iter().for_each(|lease| self.deleted4(lease));
                assert!(leases.len() <= 1 && deleted.len() <= 1);
                leases.iter().for_each(|lease| self.committed4(event, exchange, lease));
            }
            Occurrence::Release4 { lease, .. } | Occurrence::Decline4 { lease, .. } => self.is_held4(lease),
            Occurrence::Expire4 { lease, .. } => {
                is_in_time(event, lease.cltt, lease.valid_lifetime);
                self.ended4(lease);
            }
            Occurrence::Renew6 { exchange, lease, .. } | Occurrence::Rebind6 { exchange, lease, .. } => {
                assert!(says6(exchange, lease), "only an answer renews");
                self.is_owner6(lease);
            }
            Occurrence::Committed6 { exchange, leases, deleted } => {
                deleted.iter().for_each(|lease| self.deleted6(lease));
                leases.iter().for_each(|lease| self.committed6(event, exchange, lease));
            }
            Occurrence::Release6 { exchange, lease } | Occurrence::Decline6 { exchange, lease } => {
                assert!(exchange.answer.is_some(), "only an answer gives back");
                self.is_held6(lease);
            }
            Occurrence::Expire6 { lease, .. } => {
                is_in_time(event, lease.cltt, lease.valid_lifetime);
                self.ended6(lease);
            }
            Occurrence::Register6 { exchange, .. } => assert!(exchange.answer.is_some()),
            Occurrence::Recover4 { lease } => assert_eq!(lease.state, LeaseState::Declined),
            Occurrence::Recover6 { lease } => assert_eq!(lease.state, LeaseState::Declined),
            Occurrence::Network(_) => panic!("the tracker tells of leases only"),
            Occurrence::Heard4 { exchange } => assert!(exchange.either().is_some()),
            Occurrence::Heard6 { exchange } => assert!(exchange.either().is_some()),
        }
        assert!(event.before4.len() <= 1);
    }

    fn committed4(&mut self, event: &LeaseEvent, exchange: &Exchange4, lease: &Lease4) {
        if event.event == Event::Decline {
            // Who held it was told just before, and may have held it no more: Kea lets what is over be declined.
            assert!(lease.state == LeaseState::Declined && exchange.query.is_some());
        } else {
            assert!(says4(exchange, lease.address), "only an answer gives a lease");
            self.is_owner4(lease);
        }
        self.held4.insert(lease.address, lease.clone());
    }

    /// Nobody else holds it.
    fn is_owner4(&self, lease: &Lease4) {
        let other = self.held4.get(&lease.address).filter(|held| {
            held.state == LeaseState::Declined
                || !held
                    .belongs_to(&lease.hwaddr, lease.client_id.as_ref().map(|client_id| client_id.octets()))
        });
        assert!(!self.is_complete || other.is_none(), "two owners: {lease:?} {other:?}");
    }

    fn is_held4(&self, lease: &Lease4) {
        let reclaimed = lease.state == LeaseState::ExpiredReclaimed || self.version.keeps_released_leases();
        let held = self.held4.contains_key(&lease.address);
        assert!(!self.is_complete || reclaimed || held, "nobody was told of {lease:?}");
    }

    fn deleted4(&mut self, lease: &Lease4) {
        self.is_held4(lease);
        self.held4.remove(&lease.address);
    }

    fn ended4(&mut self, lease: &Lease4) {
        self.is_held4(lease);
        self.held4.remove(&lease.address);
    }

    fn committed6(&mut self, event: &LeaseEvent, exchange: &Exchange6, lease: &Lease6) {
        assert!(exchange.answer.is_some(), "only an answer gives a lease");
        match lease.state {
            LeaseState::Declined => assert_eq!(event.event, Event::Decline),
            LeaseState::Registered => {
                let held = self.held6.get(&key6(lease));
                let free = held.is_none_or(|held| held.state == LeaseState::Registered);
                assert!(!self.is_complete || free, "registered while it is {held:?}");
            }
            _ => {
                assert!(says6(exchange, lease), "only an answer gives a lease");
                self.is_owner6(lease);
            }
        }
        self.held6.insert(key6(lease), lease.clone());
    }

    /// Nobody else holds it.
    fn is_owner6(&self, lease: &Lease6) {
        let held = self.held6.get(&key6(lease));
        let other = held.filter(|held| !held.belongs_to(lease.kind, lease.duid.octets(), lease.iaid));
        assert!(!self.is_complete || other.is_none(), "two owners: {lease:?} {other:?}");
    }

    fn is_held6(&self, lease: &Lease6) {
        let reclaimed = lease.state == LeaseState::ExpiredReclaimed || self.version.keeps_released_leases();
        let held = self.held6.contains_key(&key6(lease));
        assert!(!self.is_complete || reclaimed || held, "nobody was told of {lease:?}");
    }

    fn deleted6(&mut self, lease: &Lease6) {
        self.is_held6(lease);
        self.held6.remove(&key6(lease));
    }

    fn ended6(&mut self, lease: &Lease6) {
        self.is_held6(lease);
        self.held6.remove(&key6(lease));
    }
}

/// Whether the answer gives this address.
fn says4(exchange: &Exchange4, address: Ipv4Addr) -> bool {
    exchange.answer.as_deref().is_some_and(|answer| answer.message.yiaddr == address)
}

fn says6(exchange: &Exchange6, lease: &Lease6) -> bool {
    exchange.answer.as_deref().is_some_and(|answer| {
        answer.message.identity_associations().any(|association| {
            association.kind == lease.kind
                && association.iaid == lease.iaid
                && association.leases().any(|given| given.address == lease.address)
        })
    })
}
