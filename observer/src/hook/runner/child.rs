//! One process, from its order until it is collected.

use std::sync::Arc;

use nix::unistd::Pid;
use tracing::{debug, warn};

use super::super::schedule::Ended;
use crate::dialect::invocation::Invocation;
use crate::time::Timestamp;

/// A process that was ordered and has not been collected.
#[derive(Debug)]
pub(super) struct Child<I> {
    pub(super) hook: Arc<str>,
    /// The call that it is for, if it is for one.
    pub(super) call: Option<ChildCall<I>>,
    pub(super) pid: Option<Pid>,
    pub(super) started: Timestamp,
    /// SIGTERM was sent, and SIGKILL will be: the process stays a zombie until then to keep the group's id.
    pub(super) terminated: bool,
    pub(super) ended: bool,
}

/// The one call of a process.
#[derive(Debug)]
pub(super) struct ChildCall<I> {
    pub(super) tag: I,
    pub(super) event: u64,
    pub(super) attempt: u32,
    /// For log lines: the hook point.
    pub(super) invocation: Arc<Invocation>,
}

impl<I> Child<I> {
    pub(super) fn new(hook: Arc<str>, call: Option<ChildCall<I>>, now: Timestamp) -> Self {
        Self { hook, call, pid: None, started: now, terminated: false, ended: false }
    }

    /// The hook point: the first argument of the call.
    pub(super) fn point(&self) -> Option<String> {
        let argument = self.call.as_ref()?.invocation.arguments.iter().next()?;
        Some(argument.to_string_lossy().into_owned())
    }

    fn attempt(&self) -> Option<u32> {
        self.call.as_ref().map(|call| call.attempt)
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.pid.map(Pid::as_raw)
    }

    pub(super) fn log_signal(&self, what: &'static str) {
        warn!(hook = %self.hook, point = self.point(), pid = self.pid(), attempt = self.attempt(), "{what}");
    }

    pub(super) fn log_end(&self, ended: Ended, at: Timestamp) {
        let seconds = at.since(self.started).as_secs_f64();
        let (hook, pid, attempt) = (&self.hook, self.pid(), self.attempt());
        if ended.is_success() {
            debug!(%hook, point = self.point(), pid, attempt, seconds, "hook ended");
        } else {
            warn!(%hook, point = self.point(), pid, attempt, seconds, "hook {ended}");
        }
    }
}
