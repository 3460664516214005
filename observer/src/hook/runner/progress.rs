//! What the event loop hands in, and what it is told.

use std::sync::Arc;

use super::super::schedule::{Ended, Refusal, Tried};
use crate::dialect::invocation::Invocation;
use crate::time::Timestamp;

/// One hook's part in an event.
#[derive(Clone, Debug)]
pub struct Call<K, I> {
    /// The place of the hook in the list that [`Hooks`](super::Hooks) was given last.
    pub hook: usize,
    /// What it is about, for the order of calls.
    pub subjects: Vec<K>,
    /// The caller's own.
    pub tag: I,
    /// What earlier lives of the daemon have tried of it; nothing of a new call.
    pub tried: Tried,
    /// What is run, or told.
    pub invocation: Arc<Invocation>,
}

/// Something that happened to a call. `tag` is what it was submitted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<I> {
    /// An attempt has become a process. Calls of a stream or a batch have no process of their own, and no such news.
    Started {
        /// The name of the hook.
        hook: Arc<str>,
        /// The number of the event.
        event: u64,
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
        /// The name of the hook.
        hook: Arc<str>,
        /// The number of the event.
        event: u64,
        /// Whose.
        tag: I,
        /// The attempt that ended.
        attempt: u32,
        /// How many attempts have used up one of the configured retries by now.
        failures: u32,
        /// How.
        ended: Ended,
        /// The earliest moment of the next attempt.
        next: Timestamp,
    },
    /// The call is over: it may leave the store.
    Finished {
        /// The name of the hook.
        hook: Arc<str>,
        /// The number of the event.
        event: u64,
        /// Whose.
        tag: I,
        /// The last attempt.
        attempt: u32,
        /// How it ended.
        ended: Ended,
        /// Whether it had to be terminated because it took too long.
        timed_out: bool,
        /// Whether this is a dead letter; see [`Finished::gave_up`](super::super::schedule::Finished::gave_up).
        gave_up: bool,
        /// When.
        at: Timestamp,
    },
}

/// A call that was not taken.
#[derive(Debug)]
pub struct Refused<I> {
    /// Which hook's, by its place in the list.
    pub hook: usize,
    /// What it was submitted with.
    pub tag: I,
    /// What would have been run.
    pub invocation: Arc<Invocation>,
    /// Why.
    pub refusal: Refusal,
}
