//! What has been counted since the schedule, or a lane of it, was made.

use std::time::Duration;

use super::ended::Ended;

/// What has been counted. Everything but the two peaks only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls taken into the queue.
    pub accepted: u64,
    /// Calls refused because the queue was full: these are lost unless the caller keeps them.
    pub dropped: u64,
    /// Calls refused because too many about the same subject wait already: lost in the same way.
    pub dropped_subject: u64,
    /// Attempts that became a process.
    pub started: u64,
    /// Attempts that exited with status 0.
    pub succeeded: u64,
    /// Attempts that exited with another status.
    pub non_zero: u64,
    /// Attempts that died of a signal, ours included.
    pub signalled: u64,
    /// Attempts that took longer than the timeout and were sent SIGTERM; they are counted again by how they ended.
    pub timed_out: u64,
    /// Attempts that were still there after the kill delay and were sent SIGKILL.
    pub killed: u64,
    /// Attempts that never became a process.
    pub could_not_start: u64,
    /// Attempts whose status was lost.
    pub unknown: u64,
    /// Attempts that were followed by another one; of a stream or a batch each event counts.
    pub retried: u64,
    /// Events that a stream has acknowledged.
    pub acknowledged: u64,
    /// Lines of a stream that name no event which waits for an acknowledgement.
    pub stray_acknowledgements: u64,
    /// Calls whose last allowed attempt failed, when there were retries, or that never became a process.
    pub gave_up: u64,
    /// Calls that somebody did not want any more, and that had no process yet.
    pub withdrawn: u64,
    /// The most calls that ever waited at once.
    pub queued_peak: usize,
    /// The longest time from an event to its first attempt.
    pub longest_wait: Duration,
}

impl Counters {
    /// Each count that only grows, with its name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        [
            ("started", self.started),
            ("succeeded", self.succeeded),
            ("non_zero", self.non_zero),
            ("signalled", self.signalled),
            ("timed_out", self.timed_out),
            ("killed", self.killed),
            ("could_not_start", self.could_not_start),
            ("unknown", self.unknown),
            ("acknowledged", self.acknowledged),
            ("stray_acknowledgements", self.stray_acknowledgements),
            ("retried", self.retried),
            ("gave_up", self.gave_up),
            ("dropped", self.dropped),
            ("dropped_subject", self.dropped_subject),
            ("withdrawn", self.withdrawn),
        ]
        .into_iter()
    }

    pub(in crate::hook) fn count(&mut self, ended: Ended) {
        match ended {
            Ended::Exited(0) => self.succeeded += 1,
            Ended::Exited(_) => self.non_zero += 1,
            Ended::Signalled(_) => self.signalled += 1,
            Ended::CouldNotStart(..) => self.could_not_start += 1,
            Ended::Acknowledged => self.acknowledged += 1,
            Ended::Unknown => self.unknown += 1,
        }
    }
}
