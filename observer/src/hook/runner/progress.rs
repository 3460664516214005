//! What the event loop is told.

use std::sync::Arc;

use super::super::schedule::Ended;
use crate::dialect::invocation::Invocation;
use crate::time::Timestamp;

/// Something that happened to a hook. `tag` is what it was submitted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<I> {
    /// An attempt has become a process.
    Started {
        /// Whose.
        tag: I,
        /// The value of `OBSERVER_ATTEMPT`.
        attempt: u32,
        /// The process, which is also its process group.
        pid: i32,
        /// When.
        at: Timestamp,
    },
    /// An attempt has ended and another one will follow.
    Again {
        /// Whose.
        tag: I,
        /// The attempt that ended.
        attempt: u32,
        /// How.
        ended: Ended,
        /// The earliest moment of the next attempt.
        next: Timestamp,
    },
    /// The hook is over: its event may leave the store.
    Finished {
        /// Whose.
        tag: I,
        /// The last attempt.
        attempt: u32,
        /// How it ended.
        ended: Ended,
        /// Whether it had to be terminated because it took too long.
        timed_out: bool,
        /// Whether this is a dead letter; see [`Finished::gave_up`](super::super::Finished::gave_up).
        gave_up: bool,
        /// When.
        at: Timestamp,
    },
}

/// What a queue that is full gives back.
#[derive(Debug)]
pub struct Refused<I> {
    /// What it was submitted with.
    pub tag: I,
    /// What would have been run.
    pub invocation: Arc<Invocation>,
}
