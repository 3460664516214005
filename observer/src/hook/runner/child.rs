//! One attempt, from its order until its process is collected.

use std::sync::Arc;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tracing::{debug, warn};

use super::super::schedule::Ended;
use crate::dialect::invocation::Invocation;
use crate::time::Timestamp;

/// An attempt that was ordered and whose process has not been collected.
#[derive(Debug)]
pub(super) struct Child<I> {
    pub(super) tag: I,
    pub(super) shown_attempt: u32,
    /// For log lines: the hook point.
    pub(super) invocation: Arc<Invocation>,
    pub(super) place: Option<usize>,
    pub(super) pid: Option<Pid>,
    pub(super) started: Timestamp,
    /// SIGTERM was sent, and SIGKILL will be: the process stays a zombie until then to keep the group's id.
    pub(super) terminated: bool,
    pub(super) ended: bool,
}

impl<I> Child<I> {
    /// The hook point: the first argument.
    pub(super) fn point(&self) -> String {
        self.invocation.arguments.iter().next().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.pid.map(Pid::as_raw)
    }

    /// Signals the process group. The caller knows that the leader has not been collected, so the id is still its own.
    pub(super) fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid else { return };
        if let Err(errno) = killpg(pid, signal) {
            warn!(hook = %self.point(), pid = pid.as_raw(), %signal, %errno, "hook could not be signalled");
        }
    }

    pub(super) fn log_signal(&self, what: &'static str) {
        warn!(hook = %self.point(), pid = self.pid(), attempt = self.shown_attempt, "{what}");
    }

    pub(super) fn log_end(&self, ended: Ended, at: Timestamp) {
        let seconds = at.since(self.started).as_secs_f64();
        if ended.is_success() {
            debug!(hook = %self.point(), pid = self.pid(), attempt = self.shown_attempt, seconds, "hook ended");
        } else {
            warn!(hook = %self.point(), pid = self.pid(), attempt = self.shown_attempt, seconds, "hook {ended}");
        }
    }
}
