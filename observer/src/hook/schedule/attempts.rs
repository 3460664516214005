//! How often something was tried, and whether it is tried again.

use std::time::Duration;

use super::ended::Ended;
use super::limits::{self, FIRST_START_DELAY, LONGEST_START_DELAY, LaneLimits, START_ATTEMPTS};

/// What earlier lives of the daemon have tried of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// How many attempts were begun, or may have been.
    pub attempts: u32,
    /// How many of them have failed and used up one of the configured retries. One that was cut off by our own end is not
    /// among them: nobody knows that it would have failed.
    pub failures: u32,
}

/// The attempts at one job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::hook) struct Attempts {
    /// Attempts so far.
    pub(in crate::hook) made: u32,
    /// Failed attempts that used up one of the configured retries.
    pub(in crate::hook) failures: u32,
    /// Attempts in a row that the system refused for want of something.
    refusals: u32,
}

/// What follows an attempt that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hook) enum Next {
    /// The system was short of something: once more after this wait, and nothing else meanwhile.
    Soon(Duration),
    /// One of the configured retries, after this wait.
    Again(Duration),
    /// Nothing.
    Over {
        /// Whether the caller should keep it as a dead letter.
        gave_up: bool,
    },
}

impl Attempts {
    /// Goes on with the retries that earlier lives have left.
    pub(in crate::hook) fn after(tried: Tried) -> Self {
        Self { failures: tried.failures, ..Self::default() }
    }

    /// One more is made. Gives its number, from 1.
    pub(in crate::hook) fn begin(&mut self) -> u32 {
        self.made = self.made.saturating_add(1);
        self.made
    }

    /// The attempt has become a process.
    pub(in crate::hook) fn started(&mut self) {
        self.refusals = 0;
    }

    /// The attempt has ended, on its own or because it hung.
    pub(in crate::hook) fn ended(&mut self, limits: &LaneLimits, ended: Ended, timed_out: bool) -> Next {
        let failed = timed_out || !ended.is_success();
        if ended.is_transient() && self.refusals + 1 < START_ATTEMPTS {
            self.refusals += 1;
            return Next::Soon(limits::doubled(FIRST_START_DELAY, self.refusals, LONGEST_START_DELAY));
        }
        if failed && self.failures < limits.retries {
            self.failures += 1;
            self.refusals = 0;
            return Next::Again(limits.retry_wait(self.failures));
        }
        // Without configured retries an exit status or a signal is no failure.
        Next::Over { gave_up: failed && (ended.never_ran() || limits.retries > 0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_counted_over_restarts() {
        let limits = LaneLimits { retries: 2, ..LaneLimits::default() };
        let fails = |attempts: &mut Attempts| {
            attempts.begin();
            attempts.started();
            attempts.ended(&limits, Ended::Exited(1), false)
        };
        // Three attempts are allowed. One that a crash interrupted is not known to have failed, however many those are.
        for (failures, more) in [(0, 3), (1, 2), (2, 1), (9, 1)] {
            let mut attempts = Attempts::after(Tried { attempts: 7, failures });
            let made = (1..).find(|_| fails(&mut attempts) == Next::Over { gave_up: true });
            assert_eq!(made, Some(more), "{failures}");
        }
    }
}
