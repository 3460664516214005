//! Calls gathered for one process: a pure state machine.
//!
//! A batch is closed when it is full or when its first call has waited long enough, and is then handed to a process.
//! Batches follow each other: while one runs, or waits for another attempt, the next one is gathered.
//!
//! A batch fails as a whole, and each of its calls counts that by itself: one whose retries an earlier life of the daemon has
//! used up leaves it, and the others are tried again without it.

use super::schedule::{Attempts, Ended, LaneLimits, Next, Tried};
use super::watch::{Signal, Watch};
use crate::time::Timestamp;
use std::time::Duration;

/// What is to be done for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Start a process for [`Batches::present`].
    Start {
        /// The number of the process.
        life: u32,
    },
    /// Signal a process group.
    Signal(Signal),
}

/// A call of a batch, and how often it was tried.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member<J> {
    pub(super) call: J,
    pub(super) attempts: Attempts,
}

/// What becomes of a batch whose process has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict<J> {
    /// The calls that are over, in order, and whether each is a dead letter.
    pub(super) over: Vec<(Member<J>, bool)>,
    /// There will be another process for the others, which are [`Batches::present`], not before this.
    pub(super) again: Option<Timestamp>,
    /// Whether the process took too long.
    pub(super) timed_out: bool,
}

/// The batches of one hook. `J` is a call.
#[derive(Debug)]
pub(super) struct Batches<J> {
    limits: LaneLimits,
    size: usize,
    wait: Duration,
    gathered: Vec<Member<J>>,
    /// When what is gathered is closed, full or not.
    due: Option<Timestamp>,
    closed: bool,
    present: Vec<Member<J>>,
    /// The next attempt is not made before this.
    resting: Option<Timestamp>,
    watch: Watch,
}

impl<J> Batches<J> {
    pub(super) fn new(limits: LaneLimits, calls: usize, wait: Duration) -> Self {
        let watch = Watch::new(limits.kill_delay);
        Self {
            limits,
            size: calls.max(1),
            wait,
            gathered: Vec::new(),
            due: None,
            closed: false,
            present: Vec::new(),
            resting: None,
            watch,
        }
    }

    /// Whether another call can be taken in.
    pub(super) fn has_room(&self) -> bool {
        self.gathered.len() < self.size
    }

    /// Takes in a call of which earlier lives have tried so much.
    pub(super) fn handle_call(&mut self, now: Timestamp, call: J, tried: Tried) {
        if self.gathered.is_empty() {
            self.due = Some(now + self.wait);
        }
        self.gathered.push(Member { call, attempts: Attempts::after(tried) });
        if self.gathered.len() >= self.size || self.wait.is_zero() {
            self.close();
        }
    }

    /// Takes back the calls that are not wanted, unless a process has been told of them.
    pub(super) fn withdraw(&mut self, mut is_unwanted: impl FnMut(&J) -> bool) -> Vec<J> {
        let mut withdrawn: Vec<_> =
            self.gathered.extract_if(.., |member| is_unwanted(&member.call)).collect();
        if self.gathered.is_empty() {
            self.closed = false;
            self.due = None;
        }
        if !self.watch.is_there() {
            withdrawn.extend(self.present.extract_if(.., |member| is_unwanted(&member.call)));
            if self.present.is_empty() {
                self.resting = None;
            }
        }
        withdrawn.into_iter().map(|member| member.call).collect()
    }

    fn close(&mut self) {
        self.closed = true;
        self.due = None;
    }

    /// The calls of the present batch.
    pub(super) fn present(&self) -> &[Member<J>] {
        &self.present
    }

    /// Whether there is nothing to do and nobody to be killed.
    pub(super) fn is_idle(&self) -> bool {
        self.gathered.is_empty() && self.present.is_empty() && self.watch.is_idle()
    }

    pub(super) fn poll_command(&mut self) -> Option<Command> {
        if let Some(signal) = self.watch.poll_signal() {
            return Some(Command::Signal(signal));
        }
        if self.watch.is_there() || self.resting.is_some() {
            return None;
        }
        if self.present.is_empty() {
            if !self.closed {
                return None;
            }
            self.closed = false;
            self.present = std::mem::take(&mut self.gathered);
        }
        for member in &mut self.present {
            member.attempts.begin();
        }
        Some(Command::Start { life: self.watch.begin() })
    }

    /// The process runs.
    pub(super) fn handle_started(&mut self, life: u32, now: Timestamp) {
        if self.watch.started(life) {
            self.present.iter_mut().for_each(|member| member.attempts.started());
            self.watch.set_hang(self.limits.hang().map(|hang| now + hang));
        }
    }

    /// The process has ended. `None` when it is not that of the present batch.
    pub(super) fn handle_ended(&mut self, life: u32, now: Timestamp, ended: Ended) -> Option<Verdict<J>> {
        let timed_out = self.watch.ended(life)?;
        let mut over = Vec::new();
        for mut member in std::mem::take(&mut self.present) {
            match member.attempts.ended(&self.limits, ended, timed_out) {
                Next::Soon(wait) | Next::Again(wait) => {
                    // Who has failed most often says how long all of them wait.
                    self.resting = self.resting.max(Some(now + wait));
                    self.present.push(member);
                }
                Next::Over { gave_up } => over.push((member, gave_up)),
            }
        }
        Some(Verdict { over, again: self.resting, timed_out })
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp) {
        self.watch.handle_timeout(now);
        self.resting = self.resting.filter(|until| *until > now);
        if self.due.is_some_and(|due| due <= now) {
            self.close();
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        [self.watch.poll_timeout(), self.resting, self.due].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
