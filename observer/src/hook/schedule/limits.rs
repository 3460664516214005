//! How much may run and wait at once, and for how long.

use std::time::Duration;

/// The bounds of a [`Schedule`](super::Schedule).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Hooks running side by side; 0 is taken as 1.
    pub max_running: usize,
    /// Hooks waiting to run: for their subjects, for a place, or for another attempt. 0 is taken as 1.
    ///
    /// At the limit the newest is refused. Memory per waiting hook is its environment, 2 to 4 kB for Kea's.
    pub max_queued: usize,
    /// How long one attempt may take before its process group gets SIGTERM. `None` or zero: as long as it likes, as in Kea.
    pub timeout: Option<Duration>,
    /// How long after SIGTERM the process group gets SIGKILL.
    pub kill_delay: Duration,
    /// Further attempts for a hook that exits non-zero, dies of a signal, hangs or cannot be started.
    ///
    /// With 0 an exit status is recorded and nothing else, as in Kea.
    pub retries: u32,
    /// The wait before the first of those attempts; each further wait is twice as long, up to
    /// [`LONGEST_RETRY_DELAY`].
    pub retry_delay: Duration,
}

impl Default for Limits {
    /// 32 running, 32,768 waiting, 60 s and then 3 s more (the rule of the Solaris event hook), no retries.
    fn default() -> Self {
        Self {
            max_running: 32,
            max_queued: 32_768,
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

    pub(super) fn waiting_room(&self) -> usize {
        self.max_queued.max(1)
    }

    pub(super) fn hang(&self) -> Option<Duration> {
        self.timeout.filter(|timeout| !timeout.is_zero())
    }

    pub(super) fn retry_wait(&self, step: u32) -> Duration {
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
        let limits = Limits { retry_delay: Duration::from_secs(900), ..Limits::default() };
        assert_eq!(limits.retry_wait(3), Duration::from_secs(900));
    }
}
