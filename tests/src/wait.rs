//! Real time for tests: the one place that reads a clock or sleeps.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail};

/// How long [`until`] rests between two looks.
const REST: Duration = Duration::from_millis(5);

/// The monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "tests of live programs run on real time; this is their one door to it"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, in seconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "tests of live programs run on real time; this is their one door to it"
)]
pub fn unix_now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Looks again and again until `look` finds something, at most for `within`; `what` names the thing in the error.
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = now() + within;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if now() >= deadline {
            bail!("no {what} within {within:?}");
        }
        std::thread::sleep(REST);
    }
}

/// Rests until `moment`. For sending at a given pace, never for waiting until something is done.
pub fn pace(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(now()));
}
