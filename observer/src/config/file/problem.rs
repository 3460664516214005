//! What is wrong with a configuration file, all of it at once.

use std::fmt;

use super::super::place::Place;

/// One thing that is wrong. Displayed as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, if it stands somewhere.
    pub place: Option<Place>,
    /// What.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// All that is wrong, in the order of the file; at least one. Displayed as one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub(super) Vec<Problem>);

impl Problems {
    /// How many are named; of a file that is something else altogether the rest is only counted.
    const NAMED: usize = 100;

    /// The problems.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The lines to show: of very many problems the first hundred, and how many more there are.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let more = self.0.len().saturating_sub(Self::NAMED);
        let rest = (more > 0).then(|| format!("{more} more problems"));
        self.0.iter().take(Self::NAMED).map(ToString::to_string).chain(rest)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines().enumerate() {
            write!(f, "{}{line}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
