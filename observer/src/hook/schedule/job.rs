//! A call on its way, and what is said about it.

use super::attempts::Attempts;
use super::ended::Ended;
use super::lane::LaneId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A job's name, unique within one schedule and increasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub(super) u64);

#[cfg(test)]
impl JobId {
    /// For tests of what only passes it on.
    pub(in crate::hook) const fn test(number: u64) -> Self {
        Self(number)
    }
}

/// What the shell must now do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<T> {
    /// Start this attempt. Answer with [`Schedule::handle_started`](super::Schedule::handle_started), and always with
    /// [`Schedule::handle_ended`](super::Schedule::handle_ended).
    Start {
        /// In which lane.
        lane: LaneId,
        /// Which job.
        job: JobId,
        /// 1 for the first attempt.
        attempt: u32,
        /// What the job was submitted with.
        payload: T,
    },
    /// Send SIGTERM to the process group of this attempt: it has hung. A [`Command::Kill`] for the same attempt follows.
    Terminate {
        /// Which job.
        job: JobId,
        /// Which attempt of it.
        attempt: u32,
    },
    /// Send SIGKILL to what is left of the process group of this attempt.
    ///
    /// This also comes when the leader of the group has ended meanwhile, for children that outlived it: the shell keeps
    /// the process group's id from being reused until then.
    Kill {
        /// Which job.
        job: JobId,
        /// Which attempt of it.
        attempt: u32,
    },
}

/// What becomes of a job one of whose attempts has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// There will be another attempt, not before `at`. Its subjects wait for it.
    Again {
        /// The earliest moment of the next attempt.
        at: Timestamp,
        /// How many attempts have used up one of the configured retries by now, those of earlier lives included.
        failures: u32,
    },
    /// The job is over and its subjects are free.
    Finished(Finished<T>),
}

/// A job that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished<T> {
    /// What the job was submitted with.
    pub payload: T,
    /// How its last attempt ended.
    pub ended: Ended,
    /// How many attempts there were.
    pub attempts: u32,
    /// Whether the last attempt was sent SIGTERM because it took too long.
    pub timed_out: bool,
    /// Whether this is a failure for the caller to keep (a dead letter): the last of several allowed attempts failed,
    /// or the hook never became a process. Without configured retries an exit status or a signal is not a failure.
    pub gave_up: bool,
}

/// Why a call was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many calls of the hook wait as may.
    Full,
    /// As many calls of the hook about one of the subjects wait as may.
    SubjectFull,
    /// There is no such hook (any more).
    NoHook,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for subjects that older jobs hold, or for earlier lanes.
    Blocked,
    /// In the ready list.
    Ready,
    /// The shell was told to start it.
    Starting,
    /// It is a process.
    Running,
    /// It is a process that was sent SIGTERM.
    Terminating,
    /// Waits before another attempt, and holds its subjects.
    Resting,
    /// Was handed out, and holds its subjects no more.
    Handed,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Deadline {
    Hang(JobId),
    Kill(JobId, u32),
    Retry(JobId),
}

/// The moment of a deadline, and a number that keeps equal moments apart in the order in which they were set.
pub(super) type DeadlineKey = (Timestamp, u64);

#[derive(Debug)]
pub(super) struct Job<K, T> {
    pub(super) payload: T,
    pub(super) lane: LaneId,
    pub(super) subjects: Vec<K>,
    /// The event whose later lanes wait for this job.
    pub(super) event: Option<EventKey>,
    /// Subjects in whose queue an older job stands before this one, and one more while earlier lanes are busy.
    pub(super) blockers: usize,
    pub(super) phase: Phase,
    pub(super) attempts: Attempts,
    /// The deadline to cancel when an attempt ends.
    pub(super) hang: Option<DeadlineKey>,
    pub(super) at: Timestamp,
}

/// An event with calls for several lanes that wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EventKey(pub(super) u64);
