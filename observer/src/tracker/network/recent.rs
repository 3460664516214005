//! A table of what was seen of late, which forgets by itself and never grows past its limit.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use crate::time::Timestamp;

/// How many octets a value may have behind it on average when all places are taken.
const ROOM: usize = 1_024;
/// How many entries in the order of age are never too many.
const FEW: usize = 1_024;

/// Values by key. One that was not put in again for `patience` is forgotten; when all places are taken, the one put in
/// longest ago makes room, and is counted.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    limit: usize,
    patience: Duration,
    entries: HashMap<K, Entry<V>>,
    /// Which key was put in when, oldest first. Of a key that was put in again, the earlier entry is stale.
    order: VecDeque<(u64, K)>,
    sequence: u64,
    bytes: usize,
    evicted: u64,
}

#[derive(Debug)]
struct Entry<V> {
    sequence: u64,
    at: Timestamp,
    bytes: usize,
    value: V,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    pub(super) fn new(limit: usize, patience: Duration) -> Self {
        Self {
            limit,
            patience,
            entries: HashMap::new(),
            order: VecDeque::new(),
            sequence: 0,
            bytes: 0,
            evicted: 0,
        }
    }

    /// Puts a value in, in place of the one with this key, as the youngest. `bytes` is the memory behind it.
    pub(super) fn put(&mut self, at: Timestamp, key: K, value: V, bytes: usize) {
        self.remove(&key);
        self.make_room(at, bytes);
        self.sequence += 1;
        self.bytes += bytes;
        self.order.push_back((self.sequence, key.clone()));
        self.entries.insert(key, Entry { sequence: self.sequence, at, bytes, value });
        if self.order.len() > FEW + 2 * self.limit {
            let entries = &self.entries;
            self.order
                .retain(|(sequence, key)| entries.get(key).is_some_and(|entry| entry.sequence == *sequence));
        }
    }

    /// The value, unless its time is over. Looking does not make it younger.
    pub(super) fn get_mut(&mut self, at: Timestamp, key: &K) -> Option<&mut V> {
        let patience = self.patience;
        let entry = self.entries.get_mut(key)?;
        (at.since(entry.at) <= patience).then_some(&mut entry.value)
    }

    /// Takes the value out, unless its time is over.
    pub(super) fn take(&mut self, at: Timestamp, key: &K) -> Option<V> {
        let patience = self.patience;
        self.remove(key).filter(|entry| at.since(entry.at) <= patience).map(|entry| entry.value)
    }

    /// Says that the value has no memory behind it any more.
    pub(super) fn lighten(&mut self, key: &K) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.bytes -= std::mem::take(&mut entry.bytes);
        }
    }

    /// The value, however old it is.
    pub(super) fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// How many values made room for others before their time.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many values there are at most before [`Recent::put`] makes room.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    fn remove(&mut self, key: &K) -> Option<Entry<V>> {
        let entry = self.entries.remove(key)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    fn make_room(&mut self, at: Timestamp, bytes: usize) {
        while let Some((sequence, key)) = self.order.front() {
            if let Some(entry) = self.entries.get(key).filter(|entry| entry.sequence == *sequence) {
                let full =
                    self.entries.len() >= self.limit || self.bytes + bytes > self.limit.saturating_mul(ROOM);
                let old = at.since(entry.at) > self.patience;
                if !full && !old {
                    return;
                }
                self.evicted += u64::from(!old);
            }
            if let Some((sequence, key)) = self.order.pop_front()
                && self.peek_sequence(&key) == Some(sequence)
            {
                self.remove(&key);
            }
        }
    }

    fn peek_sequence(&self, key: &K) -> Option<u64> {
        self.entries.get(key).map(|entry| entry.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn what_is_put_in_again_stays_and_the_rest_is_forgotten() {
        let mut recent = Recent::new(10, Duration::from_secs(60));
        recent.put(at(0), "a", 1, 0);
        recent.put(at(0), "b", 2, 0);
        recent.put(at(50), "a", 3, 0);
        assert_eq!(recent.get_mut(at(70), &"a"), Some(&mut 3));
        assert_eq!(recent.take(at(70), &"b"), None);
        recent.put(at(200), "c", 4, 0);
        assert_eq!((recent.entries.len(), recent.evicted()), (1, 0));
    }

    #[test]
    fn a_flood_of_keys_or_of_one_key_or_of_large_values_stays_within_the_limit() {
        let mut recent = Recent::new(100, Duration::from_secs(60));
        for key in 0..10_000 {
            recent.put(at(0), key, key, 0);
        }
        assert_eq!((recent.entries.len(), recent.evicted()), (100, 9_900));
        for _ in 0..100_000 {
            recent.put(at(0), 9_999, 1, ROOM);
        }
        assert!(recent.order.len() <= FEW + 200 && recent.entries.len() == 100, "one key takes one place");
        for key in 0..10_000 {
            recent.put(at(0), key, key, 10 * ROOM);
            assert!(recent.bytes <= 100 * ROOM);
        }
        assert_eq!(recent.entries.len(), 10);
    }
}
