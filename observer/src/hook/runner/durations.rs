//! How long the processes of each hook ran.

use std::collections::HashMap;
use std::sync::Arc;

use super::Progress;
use crate::status::Durations;
use crate::time::Timestamp;

/// The durations by hook, and since when what still runs does. Calls of a stream or a batch have no process of their own,
/// and are not in here.
#[derive(Debug, Default)]
pub(super) struct HookDurations {
    running: HashMap<(Arc<str>, u64, u32), Timestamp>,
    ended: HashMap<Arc<str>, Durations>,
}

impl HookDurations {
    /// Takes note of what happened.
    pub(super) fn note<I>(&mut self, news: &Progress<I>, now: Timestamp) {
        match news {
            Progress::Started { hook, event, attempt, at, .. } => {
                self.running.insert((Arc::clone(hook), *event, *attempt), *at);
            }
            Progress::Again { hook, event, attempt, .. } => self.end(hook, *event, *attempt, now),
            Progress::Finished { hook, event, attempt, at, .. } => self.end(hook, *event, *attempt, *at),
        }
    }

    fn end(&mut self, hook: &Arc<str>, event: u64, attempt: u32, at: Timestamp) {
        if let Some(started) = self.running.remove(&(Arc::clone(hook), event, attempt)) {
            self.ended.entry(Arc::clone(hook)).or_default().record(at.since(started));
        }
    }

    /// Those of one hook.
    pub(super) fn of(&self, hook: &str) -> Durations {
        self.ended.get(hook).copied().unwrap_or_default()
    }
}
