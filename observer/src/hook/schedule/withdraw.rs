//! Jobs that nobody wants any more.

use std::hash::Hash;

use super::Schedule;
use super::job::{Deadline, JobId, Phase};
use super::lane::LaneId;

impl<K: Clone + Eq + Hash, T: Clone> Schedule<K, T> {
    /// Takes back the jobs that are not wanted and have no process: those that wait, for whatever. What waited for them goes
    /// on. Gives what they were submitted with, oldest first.
    pub fn withdraw(&mut self, mut is_unwanted: impl FnMut(&T) -> bool) -> Vec<T> {
        let waits = |phase| matches!(phase, Phase::Blocked | Phase::Ready | Phase::Resting);
        let unwanted = self.jobs.iter().filter(|(_, job)| waits(job.phase) && is_unwanted(&job.payload));
        let mut unwanted: Vec<JobId> = unwanted.map(|(id, _)| *id).collect();
        unwanted.sort_unstable();
        unwanted.into_iter().filter_map(|id| self.take_back(id)).collect()
    }

    fn take_back(&mut self, id: JobId) -> Option<T> {
        let job = self.jobs.remove(&id)?;
        self.queued -= 1;
        if let Some(lane) = self.lane_mut(job.lane) {
            lane.jobs -= 1;
            lane.queued -= 1;
            lane.ready.retain(|other| *other != id);
        }
        if job.phase == Phase::Resting {
            self.deadlines.retain(|_, deadline| !matches!(deadline, Deadline::Retry(other) if *other == id));
        }
        self.leave_event(job.event, id);
        self.leave_queues(job.lane, id, &job.subjects);
        self.count(job.lane, |counters| counters.withdrawn += 1);
        Some(job.payload)
    }

    /// Takes a job out of the queues of its subjects, wherever it stands there.
    fn leave_queues(&mut self, lane: LaneId, id: JobId, subjects: &[K]) {
        for subject in subjects {
            let key = (lane, subject.clone());
            let Some(queue) = self.subjects.get_mut(&key) else { continue };
            if queue.front() == Some(&id) {
                self.release_subjects(lane, std::slice::from_ref(subject));
            } else {
                // Those behind it wait for the one in front, as before.
                queue.retain(|other| *other != id);
            }
        }
    }
}
