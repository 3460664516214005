//! Which answer belongs to which question.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use hashbrown::HashTable;

use crate::time::Timestamp;

/// How long a question can wait for its answer. Clients give up and ask anew within this time (RFC 2131 section 4.1 and
/// RFC 8415 section 15 back off to 64 and 120 seconds).
const PATIENCE: Duration = Duration::from_secs(120);

/// How many octets a question may have on average when all places are taken. Real ones are a few hundred octets long.
const ROOM: usize = 1_024;

/// Questions by client, transaction and kind. A retransmitted question takes the place of the one before; a question stays
/// after its answer because the server may answer twice.
#[derive(Debug)]
pub(super) struct Exchanges<Q> {
    limit: usize,
    /// By the hash of their keys alone: it is keyed at random, so nobody can make two of them meet. It also is their
    /// place in the table, so that nothing is hashed twice.
    questions: HashTable<Asked<Q>>,
    /// Octets behind all the questions.
    bytes: usize,
    /// When each key was put in, oldest first; a key that was put in again stands here twice.
    ages: VecDeque<(Timestamp, u64)>,
    hasher: RandomState,
    evicted: u64,
}

/// A question and when it was put.
#[derive(Debug)]
struct Asked<Q> {
    key: u64,
    at: Timestamp,
    bytes: usize,
    question: Q,
}

impl<Q> Exchanges<Q> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            questions: HashTable::new(),
            bytes: 0,
            ages: VecDeque::new(),
            hasher: RandomState::new(),
            evicted: 0,
        }
    }

    /// Remembers a question of so many octets. `key` is what its answers will have in common with it.
    pub(super) fn ask(&mut self, at: Timestamp, key: impl Hash, question: Q, bytes: usize) {
        let key = self.hasher.hash_one(key);
        self.forget(key);
        self.make_room(at, bytes);
        self.bytes += bytes;
        // A question with this key was forgotten above.
        self.questions.insert_unique(key, Asked { key, at, bytes, question }, |asked| asked.key);
        self.ages.push_back((at, key));
    }

    /// The latest question with this key that can still be waiting.
    pub(super) fn find(&self, at: Timestamp, key: impl Hash) -> Option<&Q> {
        let asked = self.get(self.hasher.hash_one(key))?;
        (at.since(asked.at) <= PATIENCE).then_some(&asked.question)
    }

    /// When that question was put.
    pub(super) fn asked_at(&self, at: Timestamp, key: impl Hash) -> Option<Timestamp> {
        let asked = self.get(self.hasher.hash_one(key))?.at;
        (at.since(asked) <= PATIENCE).then_some(asked)
    }

    /// How many questions made room for others before their time.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    fn make_room(&mut self, at: Timestamp, bytes: usize) {
        while let Some(&(asked, key)) = self.ages.front() {
            let full = self.ages.len() >= self.limit || self.bytes + bytes > self.limit * ROOM;
            let old = at.since(asked) > PATIENCE;
            if !full && !old {
                return;
            }
            self.ages.pop_front();
            if self.get(key).is_some_and(|latest| latest.at == asked) {
                self.forget(key);
                self.evicted += u64::from(!old);
            }
        }
    }

    fn get(&self, key: u64) -> Option<&Asked<Q>> {
        self.questions.find(key, |asked| asked.key == key)
    }

    fn forget(&mut self, key: u64) {
        if let Ok(found) = self.questions.find_entry(key, |asked| asked.key == key) {
            let (asked, _) = found.remove();
            self.bytes -= asked.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_can_be_answered_twice_but_not_after_its_time() {
        let mut exchanges = Exchanges::new(10);
        exchanges.ask(Timestamp::from_seconds(0), 7, "first", 1);
        exchanges.ask(Timestamp::from_seconds(4), 7, "again", 1);
        for at in [4, 5, 124] {
            assert_eq!(exchanges.find(Timestamp::from_seconds(at), 7), Some(&"again"), "{at}");
        }
        assert_eq!(exchanges.find(Timestamp::from_seconds(125), 7), None);
        assert_eq!(exchanges.find(Timestamp::from_seconds(5), 8), None);
    }

    #[test]
    fn a_flood_makes_no_more_than_the_limit() {
        let mut exchanges = Exchanges::new(10);
        for key in 0..1_000 {
            exchanges.ask(Timestamp::from_seconds(key), key, key, 1);
        }
        assert!(exchanges.questions.len() <= 10 && exchanges.ages.len() <= 10);
        assert_eq!(exchanges.find(Timestamp::from_seconds(999), 999_i64), Some(&999));
        assert!(exchanges.evicted() > 900);
    }

    #[test]
    fn large_questions_take_the_room_of_many() {
        let mut exchanges = Exchanges::new(100);
        for key in 0..1_000 {
            exchanges.ask(Timestamp::from_seconds(0), key, key, 10 * ROOM);
            assert!(exchanges.bytes <= 100 * ROOM);
        }
        assert_eq!((exchanges.questions.len(), exchanges.evicted()), (10, 990));
        assert_eq!(exchanges.find(Timestamp::from_seconds(0), 999), Some(&999));
        for _ in 0..1_000 {
            exchanges.ask(Timestamp::from_seconds(0), 7, 7, ROOM);
        }
        // A question put again and again takes one place's octets.
        assert!(exchanges.bytes <= 100 * ROOM && exchanges.ages.len() <= 100);
        exchanges.ask(Timestamp::from_seconds(500), 8, 8, 5);
        assert_eq!((exchanges.bytes, exchanges.questions.len()), (5, 1));
    }
}
