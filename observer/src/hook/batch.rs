//! Calls gathered for one process: a pure state machine.
//!
//! A batch is closed when it is full or when its first call has waited long enough, and is then handed to a process.
//! Batches follow each other: while one runs, or waits for another attempt, the next one is gathered.

use super::schedule::{Attempts, Ended, LaneLimits, Next};
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

/// What becomes of a batch whose process has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<J> {
    /// There will be another process for it, not before this.
    Again(Timestamp),
    /// It is over.
    Over {
        /// Its calls, in order.
        calls: Vec<J>,
        /// Whether its last process took too long.
        timed_out: bool,
        /// Whether these are dead letters.
        gave_up: bool,
    },
}

/// The batches of one hook. `J` is a call.
#[derive(Debug)]
pub(super) struct Batches<J> {
    limits: LaneLimits,
    size: usize,
    wait: Duration,
    gathered: Vec<J>,
    /// When what is gathered is closed, full or not.
    due: Option<Timestamp>,
    closed: bool,
    present: Vec<J>,
    attempts: Attempts,
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
            attempts: Attempts::default(),
            resting: None,
            watch,
        }
    }

    /// Whether another call can be taken in.
    pub(super) fn has_room(&self) -> bool {
        self.gathered.len() < self.size
    }

    /// Takes in a call.
    pub(super) fn handle_call(&mut self, now: Timestamp, call: J) {
        if self.gathered.is_empty() {
            self.due = Some(now + self.wait);
        }
        self.gathered.push(call);
        if self.gathered.len() >= self.size || self.wait.is_zero() {
            self.close();
        }
    }

    /// Takes back the calls that are not wanted, unless a process has been told of them.
    pub(super) fn withdraw(&mut self, mut is_unwanted: impl FnMut(&J) -> bool) -> Vec<J> {
        let mut withdrawn: Vec<J> = self.gathered.extract_if(.., |call| is_unwanted(call)).collect();
        if self.gathered.is_empty() {
            self.closed = false;
            self.due = None;
        }
        if !self.watch.is_there() {
            withdrawn.extend(self.present.extract_if(.., |call| is_unwanted(call)));
            if self.present.is_empty() {
                self.resting = None;
            }
        }
        withdrawn
    }

    fn close(&mut self) {
        self.closed = true;
        self.due = None;
    }

    /// The calls of the present batch, and which attempt at it this is.
    pub(super) fn present(&self) -> (&[J], u32) {
        (&self.present, self.attempts.made)
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
            self.attempts = Attempts::default();
        }
        self.attempts.begin();
        Some(Command::Start { life: self.watch.begin() })
    }

    /// The process runs.
    pub(super) fn handle_started(&mut self, life: u32, now: Timestamp) {
        if self.watch.started(life) {
            self.attempts.started();
            self.watch.set_hang(self.limits.hang().map(|hang| now + hang));
        }
    }

    /// The process has ended. `None` when it is not that of the present batch.
    pub(super) fn handle_ended(&mut self, life: u32, now: Timestamp, ended: Ended) -> Option<Verdict<J>> {
        let timed_out = self.watch.ended(life)?;
        match self.attempts.ended(&self.limits, ended, timed_out) {
            Next::Soon(wait) | Next::Again(wait) => {
                self.resting = Some(now + wait);
                Some(Verdict::Again(now + wait))
            }
            Next::Over { gave_up } => {
                Some(Verdict::Over { calls: std::mem::take(&mut self.present), timed_out, gave_up })
            }
        }
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
