//! What a lease says to the script: names without their `new_` or `old_`, and values.

use serde::{Deserialize, Serialize};

use crate::dialect::invocation::Strings;

/// Names and values in one block of memory, because there are as many of them as there are leases.
///
/// Every octet is ASCII: what is not printable has been escaped or left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Values(String);

impl Values {
    /// Adds a variable, or gives it another value. False from `write` leaves things as they are.
    pub(super) fn set(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let mut value = Vec::new();
        if !write(&mut value) {
            return;
        }
        // A NUL octet would end the value in the script as well.
        let value = value.split(|octet| *octet == 0).next().unwrap_or_default();
        self.remove(name);
        self.0.push_str(name);
        self.0.push('\0');
        self.0.push_str(&String::from_utf8_lossy(value));
        self.0.push('\0');
    }

    /// Takes a variable out.
    pub(super) fn remove(&mut self, name: &str) {
        if self.get(name).is_some() {
            let mut kept = String::with_capacity(self.0.len());
            for (found, value) in self.iter().filter(|(found, _)| *found != name) {
                [found, "\0", value, "\0"].iter().for_each(|piece| kept.push_str(piece));
            }
            self.0 = kept;
        }
    }

    /// The value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Names and values in the order in which they were set.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut pieces = self.0.split_terminator('\0');
        std::iter::from_fn(move || Some((pieces.next()?, pieces.next()?)))
    }

    /// Whether both say the same, leaving aside the variables that a renewal always changes.
    pub(super) fn is_same_but(&self, other: &Self, aside: &[&str]) -> bool {
        let counts = |values: &Self| values.iter().filter(|(name, _)| !aside.contains(name)).count();
        let is_there = |(name, value): (&str, &str)| aside.contains(&name) || other.get(name) == Some(value);
        counts(self) == counts(other) && self.iter().all(is_there)
    }

    /// Writes them with a prefix.
    pub(super) fn write(&self, environment: &mut Strings, prefix: &str) {
        for (name, value) in self.iter() {
            environment.push_variable(prefix, name, |out| {
                out.extend_from_slice(value.as_bytes());
                true
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        let mut values = Values::default();
        for (name, value) in pairs {
            values.set(name, |out| {
                out.extend_from_slice(value.as_bytes());
                true
            });
        }
        values
    }

    #[test]
    fn a_variable_has_one_value() {
        let mut some = values(&[("a", "1"), ("b", ""), ("a", "2")]);
        assert_eq!(some.iter().collect::<Vec<_>>(), [("b", ""), ("a", "2")]);
        some.remove("b");
        some.set("c", |_| false);
        assert_eq!((some.get("a"), some.get("b"), some.get("c")), (Some("2"), None, None));
        let text = serde_json::to_string(&some).unwrap();
        assert_eq!(serde_json::from_str::<Values>(&text).unwrap(), some);
    }

    #[test]
    fn a_plain_renewal_changes_nothing_else() {
        let before = values(&[("expiry", "1"), ("routers", "192.0.2.1")]);
        assert!(before.is_same_but(&values(&[("routers", "192.0.2.1"), ("expiry", "9")]), &["expiry"]));
        assert!(!before.is_same_but(&values(&[("expiry", "1"), ("routers", "192.0.2.2")]), &["expiry"]));
        assert!(!before.is_same_but(&values(&[("expiry", "1")]), &["expiry"]));
        assert!(!values(&[("expiry", "1")]).is_same_but(&before, &["expiry"]));
    }
}
