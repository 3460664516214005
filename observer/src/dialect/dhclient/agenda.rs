//! When something is to be done about a client: one moment for each.

use std::collections::BTreeSet;

use crate::time::Timestamp;

/// Moments by client, the next one first.
#[derive(Debug, Default)]
pub(super) struct Agenda(BTreeSet<(Timestamp, usize)>);

impl Agenda {
    /// Moves a client from one moment to another; `noted` is where it stands and is kept by the client.
    pub(super) fn put(&mut self, slot: usize, noted: &mut Option<Timestamp>, at: Option<Timestamp>) {
        if *noted != at {
            if let Some(before) = *noted {
                self.0.remove(&(before, slot));
            }
            if let Some(at) = at {
                self.0.insert((at, slot));
            }
            *noted = at;
        }
    }

    /// The next moment.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The client of the next moment, if that has come.
    pub(super) fn due(&self, now: Timestamp) -> Option<usize> {
        self.0.first().filter(|(at, _)| *at <= now).map(|(_, slot)| *slot)
    }

    /// The client of the first moment of all.
    pub(super) fn first(&self) -> Option<usize> {
        self.0.first().map(|(_, slot)| *slot)
    }

    /// How many clients stand in it.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
