//! Which answer belongs to which question.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use crate::time::Timestamp;

/// How long a question can wait for its answer. Clients give up and ask anew within this time (RFC 2131 section 4.1 and
/// RFC 8415 section 15 back off to 64 and 120 seconds).
const PATIENCE: Duration = Duration::from_secs(120);

/// Questions by client, transaction and kind. A retransmitted question takes the place of the one before; a question stays
/// after its answer because the server may answer twice.
#[derive(Debug)]
pub(super) struct Exchanges<Q> {
    limit: usize,
    questions: HashMap<u64, (Timestamp, Q)>,
    /// When each key was put in, oldest first; a key that was put in again stands here twice.
    ages: VecDeque<(Timestamp, u64)>,
    hasher: RandomState,
    evicted: u64,
}

impl<Q> Exchanges<Q> {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, questions: HashMap::new(), ages: VecDeque::new(), hasher: RandomState::new(), evicted: 0 }
    }

    /// Remembers a question. `key` is what its answers will have in common with it.
    pub(super) fn ask(&mut self, at: Timestamp, key: impl Hash, question: Q) {
        let key = self.hasher.hash_one(key);
        self.forget_old(at);
        self.questions.insert(key, (at, question));
        self.ages.push_back((at, key));
    }

    /// The latest question with this key that can still be waiting.
    pub(super) fn find(&self, at: Timestamp, key: impl Hash) -> Option<&Q> {
        let (asked, question) = self.questions.get(&self.hasher.hash_one(key))?;
        (at.since(*asked) <= PATIENCE).then_some(question)
    }

    /// How many questions made room for others before their time.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    fn forget_old(&mut self, at: Timestamp) {
        while let Some(&(asked, key)) = self.ages.front() {
            let full = self.ages.len() >= self.limit;
            let old = at.since(asked) > PATIENCE;
            if !full && !old {
                return;
            }
            self.ages.pop_front();
            if self.questions.get(&key).is_some_and(|(latest, _)| *latest == asked) {
                self.questions.remove(&key);
                self.evicted += u64::from(!old);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_can_be_answered_twice_but_not_after_its_time() {
        let mut exchanges = Exchanges::new(10);
        exchanges.ask(Timestamp::from_seconds(0), 7, "first");
        exchanges.ask(Timestamp::from_seconds(4), 7, "again");
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
            exchanges.ask(Timestamp::from_seconds(key), key, key);
        }
        assert!(exchanges.questions.len() <= 10 && exchanges.ages.len() <= 10);
        assert_eq!(exchanges.find(Timestamp::from_seconds(999), 999_i64), Some(&999));
        assert!(exchanges.evicted() > 900);
    }
}
