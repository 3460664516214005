//! What goes into the store and comes out of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::dialect::Memory;
use crate::dialect::invocation::Invocation;
use crate::frame::RingPlace;
use crate::hook::Tried;
use crate::status::Durations;
use crate::time::Timestamp;
use crate::tracker::{LeaseChange, Subject};

use super::database::Moved;

/// Everything that one frame or one deadline changed. It is stored whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What changed in the tracker's tables.
    pub leases: Vec<LeaseChange>,
    /// What dialects want to know again.
    pub memories: Vec<HookMemory>,
    /// The events, for people who look them up.
    pub events: Vec<EventRecord>,
    /// The calls that came of them.
    pub calls: Vec<StoredCall>,
    /// When frames may have been missed.
    pub gaps: Vec<Gap>,
    /// The moment of the frame or deadline.
    pub latest: Option<Timestamp>,
    /// Up to where the ring is read with it: the next life has nothing to do with what is before that.
    pub read_up_to: Option<RingPlace>,
}

impl Change {
    /// Whether there is nothing to be stored but the time.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
            && self.memories.is_empty()
            && self.events.is_empty()
            && self.calls.is_empty()
            && self.gaps.is_empty()
    }

    /// How many rows it will touch, roughly.
    pub(super) fn rows(&self) -> usize {
        self.leases.len() + self.memories.len() + self.events.len() + 2 * self.calls.len() + self.gaps.len()
    }
}

/// A memory and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookMemory {
    /// The name of the hook in the configuration.
    pub hook: Arc<str>,
    /// What its dialect wants to know.
    pub memory: Memory,
}

/// An event as people look it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// `OBSERVER_EVENT_ID`.
    pub id: u64,
    /// When it happened.
    pub at: Timestamp,
    /// `OBSERVER_EVENT`.
    pub event: &'static str,
    /// Kea's name for the occasion.
    pub hook_point: &'static str,
    /// What it is about.
    pub subjects: Vec<Subject>,
}

/// A call's name: the event that it came of, and its place among the calls of that event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// `OBSERVER_EVENT_ID`, below 2^47.
    pub event: u64,
    /// Its place among the event's calls, over all hooks.
    pub position: u16,
}

impl CallId {
    pub(super) const fn number(self) -> i64 {
        (self.event as i64) << 16 | self.position as i64
    }

    pub(super) const fn from_number(number: i64) -> Self {
        Self { event: (number >> 16) as u64, position: (number & 0xffff) as u16 }
    }
}

/// A call of a hook that is to be made: a new one, one that an earlier life did not finish, or one that somebody wants again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCall {
    /// Its name.
    pub id: CallId,
    /// The name of the hook in the configuration.
    pub hook: Arc<str>,
    /// When the event happened.
    pub at: Timestamp,
    /// What the hook's dialect calls the occasion.
    pub word: Cow<'static, str>,
    /// Whether anything is otherwise than before.
    pub changes: bool,
    /// What it is about.
    pub subjects: Vec<Subject>,
    /// Arguments and environment. Shared, since it also waits in the queue of hooks.
    pub invocation: Arc<Invocation>,
    /// What was tried of it already: the next attempt is one more (`OBSERVER_ATTEMPT`).
    pub tried: Tried,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// When it ended.
    pub at: Timestamp,
    /// How, for people: `exit 0`, `signal 9`, `timed out`.
    pub result: String,
    /// What becomes of the call.
    pub then: Then,
}

/// What becomes of a call one of whose attempts has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is over. It stays for a while, so that people can look it up and have it again.
    Done,
    /// It failed for good, and stays until somebody replays or drops it.
    Dead,
    /// There will be another attempt.
    Again {
        /// Not before this.
        at: Timestamp,
        /// How many attempts have used up one of the configured retries by now.
        failures: u32,
    },
}

/// A time in which frames may have been missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub why: String,
}

/// What became of one call, on its way to the database.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    /// This attempt is about to begin.
    Started(u32),
    Ended(Outcome),
    /// It is not wanted, and has no process.
    Withdrawn,
    /// It is not wanted, and there is a process that knows of it.
    Kept,
}

/// The number of a change, in the order of [`super::Store::append`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// What the store has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// All changes up to this one are in the database or, if it cannot be written now, in memory at least. Their calls
    /// may be made.
    Stored {
        /// The last of them.
        up_to: Ticket,
        /// Whether they outlive this process.
        durable: bool,
    },
    /// The database cannot be written any more. The store goes on in memory and tries again.
    Degraded {
        /// Why.
        why: String,
    },
    /// The database can be written again, and holds what was kept in memory meanwhile.
    Recovered,
    /// The database has lost something that only others know: it is to be appended again.
    Wanted(Wanted),
    /// A damaged database was moved to this file, and an empty one begun.
    MovedAside(std::path::PathBuf),
    /// Somebody wants these calls made again.
    Replay(Vec<StoredCall>),
    /// Somebody wants these calls not made any more. [`super::Store::withdraw`] says which of them will not be, and
    /// [`super::Store::keep`] which have a process already.
    Unwanted(Vec<CallId>),
}

/// What is to be appended again. When it is, [`super::Store::complete`] says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// All leases and servers, see [`crate::tracker::Tracker::leases_from`].
    pub leases: bool,
    /// All memories of dialects.
    pub memories: bool,
    /// The calls that are not over.
    pub calls: bool,
}

impl Wanted {
    pub(super) fn anything(self) -> bool {
        self.leases || self.memories || self.calls
    }
}

/// What the store counted. Everything that is dropped has a name here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Changes that are in the database.
    pub stored: u64,
    /// Changes that were kept in memory because the database could not be written.
    pub in_memory: u64,
    /// How long each transaction took, from its beginning until it was committed.
    pub commits: Durations,
    /// How long the longest one took.
    pub longest_commit: Duration,
    /// How often the database could not be written any more.
    pub degraded: u64,
    /// How often it could be written again.
    pub recovered: u64,
    /// Damaged databases that were moved aside.
    pub moved_aside: u64,
    /// Older ones of these that were removed.
    pub aside_removed: u64,
    /// Calls that were not stored because the outbox was full. They are made all the same, but not after a crash.
    pub calls_refused: u64,
    /// Dead letters that made room for calls.
    pub dead_dropped: u64,
    /// Changes of leases and memories that were forgotten because too many waited in memory; they are wanted again.
    pub forgotten: u64,
    /// Calls in the outbox that are not over.
    pub open: u64,
    /// Dead letters in the outbox.
    pub dead: u64,
}

impl Counters {
    /// One more damaged database is moved aside.
    pub(super) fn moved(&mut self, moved: &Moved) {
        self.moved_aside += 1;
        self.aside_removed += moved.removed;
    }

    /// One more transaction is committed.
    pub(super) fn committed(&mut self, took: Duration) {
        self.commits.record(took);
        self.longest_commit = self.longest_commit.max(took);
    }

    /// What only grows, by name.
    pub fn named(&self) -> [(&'static str, u64); 10] {
        [
            ("stored", self.stored),
            ("in_memory", self.in_memory),
            ("commits", self.commits.count()),
            ("degraded", self.degraded),
            ("recovered", self.recovered),
            ("moved_aside", self.moved_aside),
            ("aside_removed", self.aside_removed),
            ("calls_refused", self.calls_refused),
            ("dead_dropped", self.dead_dropped),
            ("forgotten", self.forgotten),
        ]
    }
}
