//! How much may run and wait at once, and for how long.

use std::time::Duration;

/// What all hooks share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processes running side by side, streams aside; 0 is taken as 1.
    pub max_running: usize,
    /// Calls waiting to run: for their subjects, for earlier hooks, for a place, or for another attempt. 0 is taken as 1.
    ///
    /// Hooks share this room in equal parts, so that one that hangs leaves the others theirs. At the limit the newest is
    /// refused. Memory per waiting call is its environment, 2 to 4 kB for Kea's.
    pub max_queued: usize,
    /// Calls of one hook about one subject that may wait, so that a noisy client cannot fill the queue alone; 0 is taken
    /// as 1.
    pub max_queued_per_subject: usize,
}

impl Default for Limits {
    /// 32 running, 32,768 waiting, 1,024 of them about one subject.
    fn default() -> Self {
        Self { max_running: 32, max_queued: 32_768, max_queued_per_subject: 1_024 }
    }
}

/// The bounds of one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// Processes of this hook running side by side; 0 is taken as 1. A stream or a batch has one at a time.
    pub max_parallel: usize,
    /// How long one attempt may take before its process group gets SIGTERM. `None` or zero: as long as it likes, as in Kea.
    ///
    /// For a stream: how long it may go without acknowledging anything while an event waits for that.
    pub timeout: Option<Duration>,
    /// How long after SIGTERM the process group gets SIGKILL.
    pub kill_delay: Duration,
    /// Further attempts for a hook that exits non-zero, dies of a signal, hangs or cannot be started.
    ///
    /// With 0 an exit status is recorded and nothing else, as in Kea; a stream tries again for ever.
    pub retries: u32,
    /// The wait before the first of those attempts; each further wait is twice as long, up to
    /// [`LONGEST_RETRY_DELAY`]. A stream waits so long before it is started again.
    pub retry_delay: Duration,
}

impl Default for LaneLimits {
    /// As many side by side as there are places; 60 s and then 3 s more (the rule of the Solaris event hook), no retries.
    fn default() -> Self {
        Self {
            max_parallel: usize::MAX,
            timeout: Some(Duration::from_secs(60)),
            kill_delay: Duration::from_secs(3),
            retries: 0,
            retry_delay: Duration::from_secs(1),
        }
    }
}

/// The longest wait between two configured retries.
pub const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(300);

/// Attempts to start a hook while the system is short of processes or memory, before it is given up.
///
/// With the waits below that is a little over half a minute, during which nothing else is started either.
pub const START_ATTEMPTS: u32 = 10;

/// The wait after the first attempt that the system refused; each further wait is twice as long.
pub const FIRST_START_DELAY: Duration = Duration::from_millis(100);

/// The longest wait between two attempts that the system refused.
pub const LONGEST_START_DELAY: Duration = Duration::from_secs(10);

/// `first` doubled for every step after the first, never above `longest`.
pub(super) fn doubled(first: Duration, step: u32, longest: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(step.saturating_sub(1)).unwrap_or(u32::MAX)).min(longest)
}

impl Limits {
    pub(super) fn places(&self) -> usize {
        self.max_running.max(1)
    }

    /// The room of each of `lanes` hooks.
    pub(super) fn share(&self, lanes: usize) -> usize {
        (self.max_queued / lanes.max(1)).max(1)
    }

    pub(super) fn subject_share(&self) -> usize {
        self.max_queued_per_subject.max(1)
    }
}

impl LaneLimits {
    pub(super) fn places(&self) -> usize {
        self.max_parallel.max(1)
    }

    /// The time after which an attempt counts as hanging, if any.
    pub fn hang(&self) -> Option<Duration> {
        self.timeout.filter(|timeout| !timeout.is_zero())
    }

    /// The wait before the attempt after failure number `step`, from 1.
    pub fn retry_wait(&self, step: u32) -> Duration {
        doubled(self.retry_delay, step, LONGEST_RETRY_DELAY.max(self.retry_delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_limit() {
        let seconds = |step| doubled(Duration::from_secs(1), step, Duration::from_secs(10)).as_secs();
        assert_eq!([0, 1, 2, 3, 4, 5, 40].map(seconds), [1, 1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn a_long_configured_delay_is_not_shortened() {
        let limits = LaneLimits { retry_delay: Duration::from_secs(900), ..LaneLimits::default() };
        assert_eq!(limits.retry_wait(3), Duration::from_secs(900));
    }

    #[test]
    fn hooks_share_the_room_in_equal_parts() {
        let limits = Limits { max_queued: 10, ..Limits::default() };
        assert_eq!([0, 1, 3, 20].map(|lanes| limits.share(lanes)), [10, 10, 3, 1]);
    }
}
