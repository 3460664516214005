//! Pools with nothing left, by link.
//!
//! DHCPv6 servers say so. DHCPv4 servers say nothing at all, so it is concluded from whom they leave without an
//! answer, and told only when the server at the same time still extends the leases of others on that link.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::time::Timestamp;
use crate::tracker::{Lease4, Observed4, Observed6, Place};

use super::Client;
use super::recent::Recent;

/// So many clients in vain are no chance.
pub(super) const CLIENTS: usize = 3;
/// How many are counted at most.
const MAX_CLIENTS: usize = 64;
/// Clients that asked, and leases that were extended, longer ago do not count.
const WINDOW: Duration = Duration::from_secs(300);
/// An episode is over when there was no sign for so long.
const QUIET: Duration = Duration::from_secs(600);
/// Links that are followed at once: as many as a server has relays, or an interface VLANs.
const LINKS: usize = 4_096;

/// Where clients share pools: behind a relay, or on an interface and VLAN.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Link {
    /// `giaddr`, or the link-address of the relay nearest to the client that names one.
    Relay(IpAddr),
    /// The server's own link.
    Local(Place),
}

impl Link {
    pub(super) fn of4(observed: &Observed4) -> Self {
        if observed.message.is_relayed() {
            return Self::Relay(observed.message.giaddr.into());
        }
        Self::Local(Place::of(observed))
    }

    pub(super) fn of6(observed: &Observed6) -> Self {
        let mut named = observed.message.relays.iter().rev().map(|relay| relay.link_address);
        match named.find(|link| !link.is_unspecified()) {
            Some(link) => Self::Relay(link.into()),
            None => Self::Local(Place::of(observed)),
        }
    }

    /// The link on which a lease was given, be it renewed past the relay.
    pub(super) fn of_lease(lease: &Lease4) -> Self {
        match &lease.relay {
            Some(relay) => Self::Relay(relay.address.into()),
            None => Self::Local((*lease.place).clone()),
        }
    }
}

/// The clients of one link that wait in vain.
#[derive(Debug, Default)]
struct Waiting {
    told: bool,
    clients: Vec<Waiter>,
    /// The latest question.
    question: Option<Arc<Observed4>>,
}

#[derive(Debug)]
struct Waiter {
    client: Client,
    since: Timestamp,
    last: Timestamp,
}

/// What is to be told of a DHCPv4 link.
#[derive(Debug)]
pub(super) struct Exhausted {
    pub(super) clients: usize,
    pub(super) question: Arc<Observed4>,
}

/// What is known of links.
#[derive(Debug)]
pub(super) struct Exhaustion {
    waiting: Recent<Link, Waiting>,
    /// When the server last extended a lease there.
    extended: Recent<Link, Timestamp>,
    /// DHCPv6 links, and what there is none of.
    refused: Recent<(Link, u16), ()>,
}

impl Exhaustion {
    pub(super) fn new() -> Self {
        Self {
            waiting: Recent::new(LINKS, QUIET),
            extended: Recent::new(LINKS, WINDOW),
            refused: Recent::new(LINKS, QUIET),
        }
    }

    /// A DHCPv6 server says that there is none left. Says whether that is news.
    pub(super) fn refuse(&mut self, at: Timestamp, link: Link, status: u16) -> bool {
        let key = (link, status);
        let known = self.refused.take(at, &key).is_some();
        self.refused.put(at, key, (), 0);
        !known
    }

    /// A DHCPv4 client has been asking in vain since then.
    pub(super) fn wait(
        &mut self,
        at: Timestamp,
        client: Client,
        since: Timestamp,
        question: &Arc<Observed4>,
    ) -> Option<Exhausted> {
        let link = Link::of4(question);
        let mut waiting = self.waiting.take(at, &link).unwrap_or_default();
        waiting.clients.retain(|waiter| waiter.client != client && at.since(waiter.last) <= WINDOW);
        if waiting.clients.len() == MAX_CLIENTS {
            waiting.clients.remove(0);
        }
        waiting.clients.push(Waiter { client, since, last: at });
        waiting.question = Some(Arc::clone(question));
        let bytes = question.message.options.footprint();
        self.waiting.put(at, link.clone(), waiting, bytes);
        self.conclude(at, &link)
    }

    /// The server has extended a known lease on this link.
    pub(super) fn extend(&mut self, at: Timestamp, link: Link) -> Option<Exhausted> {
        self.extended.put(at, link.clone(), at, 0);
        self.conclude(at, &link)
    }

    /// The server has given an address that the client did not have: there was one.
    pub(super) fn give(&mut self, at: Timestamp, link: &Link) {
        if let Some(waiting) = self.waiting.get_mut(at, link) {
            waiting.clients.clear();
        }
    }

    /// How many links made room for others.
    pub(super) fn evicted(&self) -> u64 {
        self.waiting.evicted() + self.extended.evicted() + self.refused.evicted()
    }

    fn conclude(&mut self, at: Timestamp, link: &Link) -> Option<Exhausted> {
        let extended = *self.extended.get_mut(at, link)?;
        let waiting = self.waiting.get_mut(at, link).filter(|waiting| !waiting.told)?;
        let current = || waiting.clients.iter().filter(|waiter| at.since(waiter.last) <= WINDOW);
        let (clients, first) = (current().count(), current().map(|waiter| waiter.since).min()?);
        if clients < CLIENTS || extended < first {
            return None;
        }
        waiting.told = true;
        Some(Exhausted { clients, question: Arc::clone(waiting.question.as_ref()?) })
    }
}
