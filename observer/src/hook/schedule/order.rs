//! Who waits for whom: within a lane for subjects, within an event for earlier lanes.

use std::collections::VecDeque;
use std::hash::Hash;

use super::job::{EventKey, JobId};
use super::lane::LaneId;
use super::{Phase, Schedule};

/// What is left of an event: a stage is its jobs of one lane.
#[derive(Debug)]
pub(super) struct Stages {
    /// Jobs of the present stage that are not over.
    left: usize,
    later: VecDeque<Vec<JobId>>,
}

impl<K: Clone + Eq + Hash, T: Clone> Schedule<K, T> {
    /// The jobs that were just entered for one event, independent lanes aside. Each has one blocker too many.
    pub(super) fn enter_stages(&mut self, jobs: &[(LaneId, JobId)]) {
        if let [(_, only)] = jobs {
            return self.unblock(*only);
        }
        let mut stages: VecDeque<Vec<JobId>> = jobs
            .chunk_by(|one, next| one.0 == next.0)
            .map(|stage| stage.iter().map(|(_, id)| *id).collect())
            .collect();
        let first = stages.pop_front().unwrap_or_default();
        if !stages.is_empty() {
            let key = EventKey(self.next_event);
            self.next_event += 1;
            for (_, id) in jobs {
                if let Some(job) = self.jobs.get_mut(id) {
                    job.event = Some(key);
                }
            }
            self.events.insert(key, Stages { left: first.len(), later: stages });
        }
        first.into_iter().for_each(|id| self.unblock(id));
    }

    /// A job of this event is over.
    pub(super) fn leave_stage(&mut self, event: Option<EventKey>) {
        let Some(key) = event else { return };
        let Some(stages) = self.events.get_mut(&key) else { return };
        stages.left -= 1;
        if stages.left > 0 {
            return;
        }
        let Some(stage) = stages.later.pop_front() else {
            self.events.remove(&key);
            return;
        };
        stages.left = stage.len();
        stage.into_iter().for_each(|id| self.unblock(id));
    }

    /// A job of this event is taken back. That of a later stage is not there when the stage begins.
    pub(super) fn leave_event(&mut self, event: Option<EventKey>, id: JobId) {
        let later = event.and_then(|key| self.events.get_mut(&key)).map(|stages| &mut stages.later);
        let Some(later) = later.filter(|later| later.iter().flatten().any(|other| *other == id)) else {
            return self.leave_stage(event);
        };
        later.iter_mut().for_each(|stage| stage.retain(|other| *other != id));
        later.retain(|stage| !stage.is_empty());
    }

    /// Lets the next job of each of these subjects come forward.
    pub(super) fn release_subjects(&mut self, lane: LaneId, subjects: &[K]) {
        for subject in subjects {
            let key = (lane, subject.clone());
            let Some(queue) = self.subjects.get_mut(&key) else { continue };
            queue.pop_front();
            match queue.front() {
                Some(&next) => self.unblock(next),
                None => {
                    self.subjects.remove(&key);
                }
            }
        }
    }

    /// One thing less that a job waits for.
    pub(super) fn unblock(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.blockers -= 1;
        if job.blockers == 0 && job.phase == Phase::Blocked {
            self.make_ready(id);
        }
    }
}
