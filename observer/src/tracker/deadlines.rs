//! When something is due for a lease.
//!
//! Leases are renewed far more often than they expire, so a later deadline does not touch the queue: each record knows for
//! when it is queued, and when that moment comes an extended lease is queued again. The queue therefore holds one entry a
//! lease, and one more for each time a lease was cut short or taken out of its table. Those are stale, and swept out when
//! they outnumber the others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Timestamp;

/// For when a record is queued, if it is: the end of time stands for never, so that it takes eight octets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scheduled(Timestamp);

impl Default for Scheduled {
    fn default() -> Self {
        Self(Timestamp::MAX)
    }
}

impl Scheduled {
    pub(super) fn get(self) -> Option<Timestamp> {
        (self.0 < Timestamp::MAX).then_some(self.0)
    }

    pub(super) fn set(&mut self, due: Option<Timestamp>) {
        self.0 = due.unwrap_or(Timestamp::MAX);
    }
}

/// Whose deadline: a slot of one of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    V4(u32),
    V6(u32),
}

/// The queue. Slots are those of the family's table.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queue: BinaryHeap<Reverse<(Timestamp, Turn)>>,
}

/// How many entries are never too many.
const FEW: usize = 1_024;

impl Deadlines {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether most entries are stale, given how many records there are.
    pub(super) fn is_stale(&self, records: usize) -> bool {
        self.queue.len() > FEW + 2 * records
    }

    /// Begins anew with what is queued now.
    pub(super) fn rebuild(&mut self, queued: impl Iterator<Item = (Timestamp, Turn)>) {
        self.queue = queued.map(Reverse).collect();
    }

    /// Queues a slot, unless `scheduled` says that it is queued for that moment or an earlier one.
    pub(super) fn schedule(&mut self, due: Timestamp, turn: Turn, scheduled: &mut Scheduled) {
        if scheduled.get().is_none_or(|scheduled| due < scheduled) {
            self.queue.push(Reverse((due, turn)));
            scheduled.set(Some(due));
        }
    }

    /// The earliest entry, which may turn out to be stale.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.queue.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes the earliest entry at or before `now`.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, Turn)> {
        if self.next()? > now {
            return None;
        }
        self.queue.pop().map(|Reverse(entry)| entry)
    }
}
