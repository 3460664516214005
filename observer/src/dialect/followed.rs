//! The leases that a hook was told of, and for which it is owed an end.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::time::Timestamp;

use super::lease::{Key, Lease};
use super::packed::{pack, unpack};
use super::{Loss, Memory};

/// How many leases a hook is told of at once when nobody says otherwise, of both families together: more than this many
/// are not announced, so that nothing is owed for them.
pub const DEFAULT_LIMIT: usize = 1_000_000;

/// The leases, when they end, and what there is to remember of them.
#[derive(Debug)]
pub(super) struct Followed {
    leases: HashMap<Key, (Lease, u64)>,
    /// How many leases have been followed since the start: the number of the youngest.
    begun: u64,
    ends: BTreeSet<(Timestamp, Key)>,
    memories: VecDeque<Memory>,
    limit: usize,
    over_limit: u64,
}

impl Followed {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            leases: HashMap::new(),
            begun: 0,
            ends: BTreeSet::new(),
            memories: VecDeque::new(),
            limit,
            over_limit: 0,
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<&Lease> {
        self.leases.get(&key).map(|(lease, _)| lease)
    }

    /// How many leases were followed before this one, which says which of two is the younger.
    pub(super) fn number(&self, key: Key) -> u64 {
        self.leases.get(&key).map_or(0, |(_, number)| *number)
    }

    /// Follows a lease, or takes in its new values. False, and counted, when there is no room for one more.
    pub(super) fn put(&mut self, lease: Lease) -> bool {
        let key = lease.key();
        if !self.has_room(key) {
            return false;
        }
        self.memories.push_back(Memory { key: key.to_octets(), value: Some(pack(&lease)) });
        self.insert(key, lease);
        true
    }

    fn insert(&mut self, key: Key, lease: Lease) {
        if let Some(end) = lease.end() {
            self.ends.insert((end, key));
        }
        let end = lease.end();
        match self.leases.entry(key) {
            Entry::Occupied(mut entry) => {
                let before = std::mem::replace(&mut entry.get_mut().0, lease);
                if let Some(before) = before.end().filter(|before| Some(*before) != end) {
                    self.ends.remove(&(before, key));
                }
            }
            Entry::Vacant(entry) => {
                self.begun += 1;
                entry.insert((lease, self.begun));
            }
        }
    }

    /// Follows a lease no more.
    pub(super) fn remove(&mut self, key: Key) -> Option<Lease> {
        let (lease, _) = self.leases.remove(&key)?;
        if let Some(end) = lease.end() {
            self.ends.remove(&(end, key));
        }
        self.memories.push_back(Memory { key: key.to_octets(), value: None });
        Some(lease)
    }

    /// The next lease to be over, and when that is.
    pub(super) fn next_end(&self) -> Option<(Timestamp, Key)> {
        self.ends.first().copied()
    }

    /// Whether this lease can be followed. That it cannot is counted.
    pub(super) fn has_room(&mut self, key: Key) -> bool {
        let has_room = self.leases.len() < self.limit || self.leases.contains_key(&key);
        self.over_limit += u64::from(!has_room);
        has_room
    }

    /// What they are of, in order.
    pub(super) fn keys(&self, is: impl Fn(&Lease) -> bool) -> VecDeque<Key> {
        let mut keys: Vec<_> =
            self.leases.iter().filter(|(_, (lease, _))| is(lease)).map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.into()
    }

    /// The leases that were not followed because there was no room.
    pub(super) fn losses(&self) -> Vec<Loss> {
        vec![Loss::over_limit("leases_over_limit", self.over_limit)]
    }

    pub(super) fn poll_memory(&mut self) -> Option<Memory> {
        self.memories.pop_front()
    }

    /// Follows a lease of an earlier life. The limit does not count here: an end is owed for it.
    pub(super) fn recall(&mut self, key: &[u8], value: &[u8]) -> Option<Key> {
        let lease = unpack(value).filter(|lease| lease.key().to_octets() == key)?;
        let key = lease.key();
        self.insert(key, lease);
        Some(key)
    }
}
