//! The servers that were heard, by the answers that they give.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// How many servers are remembered; a network has a handful, and a flood of forged answers must not fill memory.
pub(super) const LIMIT: usize = 1_024;

/// Servers by their identifiers. When there are too many, the one that was not heard for longest makes room: one that
/// answers all the time is not driven out by any number of forged ones, and one that was is learned again.
#[derive(Debug)]
pub(super) struct Servers<S> {
    /// When each was last heard, in answers.
    heard: HashMap<S, u64>,
    /// The same by age.
    ages: BTreeMap<u64, S>,
    answers: u64,
    /// Nearly every answer is of the server that gave the one before.
    latest: Option<S>,
    forgotten: u64,
}

impl<S> Default for Servers<S> {
    fn default() -> Self {
        Self { heard: HashMap::new(), ages: BTreeMap::new(), answers: 0, latest: None, forgotten: 0 }
    }
}

impl<S: Clone + Eq + Hash> Servers<S> {
    /// An answer names this server. Says whether it was unknown.
    pub(super) fn hear(&mut self, server: &S) -> bool {
        if self.latest.as_ref() == Some(server) {
            return false;
        }
        self.latest = Some(server.clone());
        self.answers += 1;
        let before = self.heard.insert(server.clone(), self.answers);
        if let Some(before) = before {
            self.ages.remove(&before);
        }
        self.ages.insert(self.answers, server.clone());
        if self.heard.len() > LIMIT
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.heard.remove(&oldest);
            self.forgotten += 1;
        }
        before.is_none()
    }

    /// Whether this server was heard.
    pub(super) fn contains(&self, server: &S) -> bool {
        self.heard.contains_key(server)
    }

    /// All that are remembered.
    pub(super) fn iter(&self) -> impl Iterator<Item = &S> {
        self.ages.values()
    }

    /// Whether none was heard.
    pub(super) fn is_empty(&self) -> bool {
        self.heard.is_empty()
    }

    /// How many made room for others.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_not_heard_for_longest_makes_room() {
        let mut servers = Servers::default();
        assert!(servers.is_empty());
        for forged in 1..10 * LIMIT {
            servers.hear(&forged);
            if forged % 1_000 == 0 {
                servers.hear(&0);
            }
        }
        assert!(servers.contains(&0) && servers.contains(&(10 * LIMIT - 1)));
        assert!(!servers.contains(&1));
        assert_eq!((servers.heard.len(), servers.ages.len()), (LIMIT, LIMIT));
        assert_eq!(servers.forgotten(), 9 * u64::try_from(LIMIT).unwrap());
    }
}
