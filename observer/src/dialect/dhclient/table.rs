//! The clients of one family: found by who they are, woken when something is due, forgotten when nothing is known of them.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use slab::Slab;

use crate::dialect::Memory;
use crate::time::Timestamp;

use super::agenda::Agenda;
use super::{Counters, Limits, Outlet};

/// What the table has to know of a client.
pub(super) trait Client {
    /// Who it is.
    type Key: Clone + Debug + Eq + Hash;

    fn key(&self) -> &Self::Key;

    /// The next moment at which something is to be done about it.
    fn next(&self) -> Option<Timestamp>;

    /// When it asked last, while it searches for a server.
    fn asked_last(&self) -> Option<Timestamp>;

    /// It searches no more.
    fn end_search(&mut self);

    /// How many leases are remembered of it, those that have ended a short while ago included.
    fn leases(&self) -> usize;

    /// The key of its memory.
    fn memory_key(&self) -> Vec<u8>;

    /// What is to be known of it after a restart.
    fn memory(&self) -> Option<Vec<u8>>;
}

/// The clients. After each change of a client comes [`Table::note`].
#[derive(Debug)]
pub(super) struct Table<C: Client> {
    entries: Slab<Entry<C>>,
    by_key: HashMap<C::Key, usize>,
    agenda: Agenda,
    /// The clients that search, by when they asked last.
    searches: Agenda,
    leases: usize,
    limits: Limits,
    counters: Counters,
}

/// A client, and what the rest of the table says of it.
#[derive(Debug)]
struct Entry<C> {
    client: C,
    leases: usize,
    due: Option<Timestamp>,
    searched: Option<Timestamp>,
}

impl<C: Client> Table<C> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            entries: Slab::new(),
            by_key: HashMap::new(),
            agenda: Agenda::default(),
            searches: Agenda::default(),
            leases: 0,
            limits,
            counters: Counters::default(),
        }
    }

    pub(super) fn counters(&self) -> Counters {
        let (leases, searches) = (self.leases as u64, self.searches.len() as u64);
        Counters { leases, searches, ..self.counters }
    }

    pub(super) fn find(&self, key: &C::Key) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    pub(super) fn get(&self, slot: usize) -> Option<&C> {
        self.entries.get(slot).map(|entry| &entry.client)
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut C> {
        self.entries.get_mut(slot).map(|entry| &mut entry.client)
    }

    /// A client that is not yet among them.
    pub(super) fn insert(&mut self, client: C) -> usize {
        let key = client.key().clone();
        let slot = self.entries.insert(Entry { client, leases: 0, due: None, searched: None });
        self.by_key.insert(key, slot);
        slot
    }

    /// Notes what has become of a client. One about which nothing is known any more is forgotten and given back.
    pub(super) fn note(&mut self, slot: usize) -> Option<C> {
        self.count(slot);
        let entry = self.entries.get_mut(slot)?;
        self.agenda.put(slot, &mut entry.due, entry.client.next());
        let asked_last = entry.client.asked_last();
        self.searches.put(slot, &mut entry.searched, asked_last);
        if asked_last.is_some() || entry.leases > 0 {
            return None;
        }
        let client = self.entries.remove(slot).client;
        self.by_key.remove(client.key());
        Some(client)
    }

    /// Counts the leases of a client anew, for [`Table::room`].
    pub(super) fn count(&mut self, slot: usize) {
        if let Some(entry) = self.entries.get_mut(slot) {
            let before = std::mem::replace(&mut entry.leases, entry.client.leases());
            self.leases = self.leases - before + entry.leases;
        }
    }

    /// How many more leases can be remembered.
    pub(super) fn room(&self) -> usize {
        self.limits.leases.saturating_sub(self.leases)
    }

    /// Counts leases for which there was no room.
    pub(super) fn count_over_limit(&mut self, leases: usize) {
        self.counters.leases_over_limit += leases as u64;
    }

    /// The client with the oldest search, which is over now, while there are more searches than there may be. It is to be
    /// noted.
    pub(super) fn pop_search_over_limit(&mut self) -> Option<usize> {
        let slot = self.searches.first().filter(|_| self.searches.len() > self.limits.searches)?;
        self.get_mut(slot)?.end_search();
        self.counters.searches_evicted += 1;
        Some(slot)
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        self.agenda.next()
    }

    /// A client about which something is to be done by now.
    pub(super) fn due(&self, now: Timestamp) -> Option<usize> {
        self.agenda.due(now)
    }

    /// Has a client remembered over a restart, or forgotten when it has no lease.
    pub(super) fn remember(&self, slot: usize, outlet: &mut Outlet) {
        let Some(client) = self.get(slot) else { return };
        let value = (client.leases() > 0).then(|| client.memory()).flatten();
        outlet.memories.push_back(Memory { key: client.memory_key(), value });
    }
}
