//! Counts by kind, for a handful of kinds.

/// How often each kind came. Kinds are few and most of what comes is of the first ones, so they are searched for.
#[derive(Clone, Debug)]
pub struct Tally<K>(Vec<(K, u64)>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + Eq> Tally<K> {
    /// One more of this kind.
    pub fn count(&mut self, kind: K) {
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.0.push((kind, 1)),
        }
    }

    /// The kinds that came, in the order in which they first did, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (K, u64)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_apart() {
        let mut tally = Tally::default();
        "abacab".chars().for_each(|kind| tally.count(kind));
        assert_eq!(tally.iter().collect::<Vec<_>>(), [('a', 3), ('b', 2), ('c', 1)]);
    }
}
