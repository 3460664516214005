//! What systemd is told: ready, reloading, stopping, alive. Without systemd nobody listens and nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!("systemd was not told: {error}");
    }
}

/// Everything is attached, and `status` says to what.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being read again; [`ready`] must follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!("systemd was not told: {error}"),
    }
}

/// Nothing is observed any more; hooks may still run.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The event loop goes round. To be called at least as often as [`watchdog`] says.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear of us: half of its `WatchdogSec`. `None` when it does not ask.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}
