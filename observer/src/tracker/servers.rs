//! Which servers are ours, by the answers that they give.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

/// How many server identifiers are remembered; a network has a handful, and a flood of forged answers must not fill memory.
const LIMIT: usize = 1_024;

/// The identifiers in answers that count. When there are too many, the one that was not heard for longest makes room: one
/// that answers all the time is not driven out by any number of forged ones, and one that was is learned again.
#[derive(Debug, Default)]
pub(super) struct Servers {
    /// When each was last heard, in answers.
    heard: HashMap<Ipv4Addr, u64>,
    /// The same by age.
    ages: BTreeMap<u64, Ipv4Addr>,
    answers: u64,
    /// Nearly every answer is of the server that gave the one before.
    latest: Option<Ipv4Addr>,
    forgotten: u64,
}

impl Servers {
    /// An answer names this server.
    pub(super) fn hear(&mut self, server: Ipv4Addr) {
        if self.latest == Some(server) {
            return;
        }
        self.latest = Some(server);
        self.answers += 1;
        if let Some(before) = self.heard.insert(server, self.answers) {
            self.ages.remove(&before);
        }
        self.ages.insert(self.answers, server);
        if self.heard.len() > LIMIT
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.heard.remove(&oldest);
            self.forgotten += 1;
        }
    }

    /// Whether this server was heard.
    pub(super) fn contains(&self, server: Ipv4Addr) -> bool {
        self.heard.contains_key(&server)
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
        let number = |number: usize| Ipv4Addr::from(u32::try_from(number).unwrap());
        for forged in 1..10 * LIMIT {
            servers.hear(number(forged));
            if forged % 1_000 == 0 {
                servers.hear(number(0));
            }
        }
        assert!(servers.contains(number(0)) && servers.contains(number(10 * LIMIT - 1)));
        assert!(!servers.contains(number(1)));
        assert_eq!((servers.heard.len(), servers.ages.len()), (LIMIT, LIMIT));
        assert_eq!(servers.forgotten(), 9 * u64::try_from(LIMIT).unwrap());
    }
}
