//! One hook's part of the schedule.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use super::counters::Counters;
use super::job::JobId;
use super::limits::LaneLimits;

/// A lane's name, unique within one schedule and increasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneId(pub(super) u32);

impl LaneId {
    /// No lane has this name.
    pub(in crate::hook) const NONE: Self = Self(u32::MAX);
}

/// How a lane hands out its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// A job holds its subjects until it is over: the schedule starts its attempts and watches over them.
    Serial,
    /// A job holds its subjects until it is taken by [`Schedule::poll_handed`](super::Schedule::poll_handed): what takes
    /// them keeps their order, and says when they are over.
    Handed,
}

/// The rules of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRules {
    /// How much at once and for how long.
    pub limits: LaneLimits,
    /// Neither waits for earlier lanes nor is waited for.
    pub independent: bool,
    /// How jobs are handed out.
    pub discipline: Discipline,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) id: LaneId,
    pub(super) rules: LaneRules,
    /// The lane whose work this one carries on: nothing starts here until that one is gone.
    pub(super) successor_of: Option<LaneId>,
    /// Takes no more jobs.
    pub(super) retired: bool,
    pub(super) ready: VecDeque<JobId>,
    /// Jobs that are not over.
    pub(super) jobs: usize,
    /// Of these, those that wait.
    pub(super) queued: usize,
    /// Of these, those that were started or handed out.
    pub(super) running: usize,
    pub(super) counters: Counters,
}

impl Lane {
    pub(super) fn new(id: LaneId, rules: LaneRules, successor_of: Option<LaneId>) -> Self {
        Self {
            id,
            rules,
            successor_of,
            retired: false,
            ready: VecDeque::new(),
            jobs: 0,
            queued: 0,
            running: 0,
            counters: Counters::default(),
        }
    }
}
