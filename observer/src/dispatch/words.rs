//! Which of a dialect's calls a hook wants.

use crate::dialect::Call;

/// Words of calls ([`Call::word`]) and of events (`OBSERVER_EVENT`). None at all means every call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// Whether the hook wants this call.
    pub fn want(&self, call: &Call) -> bool {
        self.0.is_empty() || self.0.iter().any(|word| word == call.word || word == call.event.name())
    }

    /// The words.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<W: Into<String>> FromIterator<W> for Words {
    fn from_iter<I: IntoIterator<Item = W>>(words: I) -> Self {
        Self(words.into_iter().map(Into::into).collect())
    }
}
