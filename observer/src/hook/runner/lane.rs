//! One hook: its rules, its program, and what its mode needs.

use std::hash::Hash;
use std::sync::Arc;

use super::super::batch::Batches;
use super::super::crew::Tool;
use super::super::schedule::{Discipline, JobId, LaneId, LaneRules, Schedule, Tried};
use super::super::spec::{Mode, Spec};
use super::super::stream::Stream;
use super::wires::Wires;
use crate::dialect::invocation::Invocation;
use crate::time::Timestamp;

/// What a call is, short of its hook and its subjects.
#[derive(Clone, Debug)]
pub(super) struct Task<I> {
    /// The place of its hook in the list in force when it was submitted.
    pub(super) hook: usize,
    pub(super) tag: I,
    pub(super) event: u64,
    /// What was tried before this schedule, by earlier lives of the daemon.
    pub(super) tried: Tried,
    pub(super) invocation: Arc<Invocation>,
}

impl<I> Task<I> {
    pub(super) fn shown_attempt(&self, attempt: u32) -> u32 {
        self.tried.attempts.saturating_add(attempt)
    }
}

/// A call that a stream or a batch has taken over from the schedule.
#[derive(Debug)]
pub(super) struct Ride<I> {
    pub(super) job: JobId,
    pub(super) task: Task<I>,
}

#[derive(Debug)]
pub(super) struct Lane<I> {
    pub(super) id: LaneId,
    pub(super) spec: Spec,
    pub(super) name: Arc<str>,
    pub(super) tool: Tool,
    /// Is not of the configuration any more, and goes when its work is done.
    pub(super) retired: bool,
    pub(super) engine: Engine<I>,
}

/// What a mode needs beside the schedule.
#[derive(Debug)]
pub(super) enum Engine<I> {
    Exec,
    Batch(Box<Batches<Ride<I>>>),
    Stream(Box<Stream<Ride<I>>>, Option<Box<Wires>>),
}

impl<I: Clone> Lane<I> {
    pub(super) fn new<K: Clone + Eq + Hash>(
        schedule: &mut Schedule<K, Task<I>>,
        spec: Spec,
        tool: Tool,
        successor_of: Option<LaneId>,
    ) -> Self {
        let mut limits = spec.limits.clone();
        if spec.attributes.isolated {
            limits.max_parallel = 1;
        }
        let rules_limits = limits.clone();
        let (discipline, engine) = match spec.mode {
            Mode::Exec => (Discipline::Serial, Engine::Exec),
            Mode::Batch { calls, wait } => {
                (Discipline::Handed, Engine::Batch(Box::new(Batches::new(limits, calls, wait))))
            }
            Mode::Stream { window } => {
                (Discipline::Handed, Engine::Stream(Box::new(Stream::new(limits, window)), None))
            }
        };
        let rules = LaneRules { limits: rules_limits, independent: spec.independent, discipline };
        let id = schedule.add_lane(rules, successor_of);
        let name = Arc::from(spec.name.as_str());
        Self { id, spec, name, tool, retired: false, engine }
    }
}

impl<I> Lane<I> {
    /// It takes no more calls.
    pub(super) fn retire(&mut self) {
        self.retired = true;
        if let Engine::Stream(stream, _) = &mut self.engine {
            stream.lose_patience();
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.engine {
            Engine::Exec => None,
            Engine::Batch(batches) => batches.poll_timeout(),
            Engine::Stream(stream, _) => stream.poll_timeout(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp) {
        match &mut self.engine {
            Engine::Exec => {}
            Engine::Batch(batches) => batches.handle_timeout(now),
            Engine::Stream(stream, _) => stream.handle_timeout(now),
        }
    }

    /// Processes of batches, and calls that wait for an acknowledgement.
    pub(super) fn running(&self) -> usize {
        match &self.engine {
            Engine::Exec => 0,
            Engine::Batch(batches) => usize::from(!batches.present().is_empty()),
            Engine::Stream(stream, _) => stream.waiting(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        match &self.engine {
            Engine::Exec => true,
            Engine::Batch(batches) => batches.is_idle(),
            Engine::Stream(stream, _) => stream.is_idle(),
        }
    }

    /// Whether a lane that takes no more calls, and has none in the schedule, can be forgotten.
    pub(super) fn is_gone(&self) -> bool {
        match &self.engine {
            Engine::Stream(stream, _) => stream.is_gone(),
            _ => self.is_idle(),
        }
    }
}
