//! Which hook runs when: a pure state machine.
//!
//! A *lane* is one configured hook. An event is a list of jobs, each in a lane, in the order of the configuration.
//!
//! * A job names the subjects it is about (leases, or the client). Jobs of one lane and one subject run one at a time in
//!   the order in which they came; a job with several subjects waits for all of them and holds them all; a job with none
//!   waits for no one.
//! * A job waits until the jobs of the same event in earlier lanes are over. An independent lane neither waits nor is
//!   waited for.
//! * Jobs enter the queues of all their subjects in one step when they are submitted, also while they wait for earlier
//!   lanes. So every queue has the same order of age, a job only ever waits for older ones, and the oldest of all waits
//!   for none: there is no deadlock and no starvation.
//! * Ready jobs of a lane start in the order in which they became ready, and lanes take turns.
//!
//! Nothing here reads a clock, starts a process or fails. The shell around it calls `handle_*` with what happened and
//! then [`Schedule::poll_command`] until it says `None`, and calls [`Schedule::handle_timeout`] at
//! [`Schedule::poll_timeout`]. Calls that make no sense any more, late or repeated, change nothing.

mod attempts;
mod counters;
mod ended;
mod job;
mod lane;
mod limits;
mod order;
#[cfg(test)]
mod tests;
mod withdraw;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;

pub use attempts::Tried;
pub(in crate::hook) use attempts::{Attempts, Next};
pub use counters::Counters;
pub use ended::{Ended, Step};
pub use job::{Command, Finished, JobId, Refusal, Verdict};
use job::{Deadline, DeadlineKey, EventKey, Job, Phase};
use lane::Lane;
pub use lane::{Discipline, LaneId, LaneRules};
pub use limits::{
    FIRST_START_DELAY, LONGEST_RETRY_DELAY, LONGEST_START_DELAY, LaneLimits, Limits, START_ATTEMPTS,
};
use order::Stages;

use crate::time::Timestamp;

/// The queue, the running jobs and their deadlines. `K` names a subject, `T` is whatever a job is started with.
#[derive(Debug)]
pub struct Schedule<K, T> {
    limits: Limits,
    /// In the order in which they were made.
    lanes: Vec<Lane>,
    /// The place of the lane whose turn it is.
    turn: usize,
    jobs: HashMap<JobId, Job<K, T>>,
    /// For every lane and subject with a job: its jobs by age. The first holds the subject or is the next to.
    subjects: HashMap<(LaneId, K), VecDeque<JobId>>,
    /// Events whose later lanes still wait.
    events: HashMap<EventKey, Stages>,
    signals: VecDeque<(Signal, JobId, u32)>,
    deadlines: BTreeMap<DeadlineKey, Deadline>,
    /// Nothing is started before this moment: the system was short of something that every hook needs.
    pause: Option<Timestamp>,
    running: usize,
    queued: usize,
    next_lane: u32,
    next_job: u64,
    next_event: u64,
    next_deadline: u64,
    counters: Counters,
}

#[derive(Clone, Copy, Debug)]
enum Signal {
    Terminate,
    Kill,
}

impl<K: Clone + Eq + Hash, T: Clone> Schedule<K, T> {
    /// An empty schedule without lanes.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            lanes: Vec::new(),
            turn: 0,
            jobs: HashMap::new(),
            subjects: HashMap::new(),
            events: HashMap::new(),
            signals: VecDeque::new(),
            deadlines: BTreeMap::new(),
            pause: None,
            running: 0,
            queued: 0,
            next_lane: 0,
            next_job: 0,
            next_event: 0,
            next_deadline: 0,
            counters: Counters::default(),
        }
    }

    /// Changes what all lanes share. What waits already is not refused afterwards.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A new lane. With `successor_of` it carries on the work of another one, and starts nothing until that one is gone,
    /// so that the order of each subject holds across the change.
    pub fn add_lane(&mut self, rules: LaneRules, successor_of: Option<LaneId>) -> LaneId {
        let id = LaneId(self.next_lane);
        self.next_lane += 1;
        self.lanes.push(Lane::new(id, rules, successor_of));
        id
    }

    /// Has a lane take no more jobs. Those that it has are run to their end.
    pub fn retire_lane(&mut self, id: LaneId) {
        if let Some(lane) = self.lane_mut(id) {
            lane.retired = true;
        }
    }

    /// Removes a lane without jobs; one with jobs stays.
    pub fn remove_lane(&mut self, id: LaneId) {
        self.lanes.retain(|lane| lane.id != id || lane.jobs > 0);
    }

    /// Whether a lane has no job that is not over, or is gone.
    pub fn is_lane_empty(&self, id: LaneId) -> bool {
        self.lane(id).is_none_or(|lane| lane.jobs == 0)
    }

    /// Whether the predecessor of a lane is still there, so that it must start nothing.
    pub fn is_held_back(&self, id: LaneId) -> bool {
        let predecessor = self.lane(id).and_then(|lane| lane.successor_of);
        predecessor.is_some_and(|predecessor| self.lane(predecessor).is_some())
    }

    /// Queues the calls of one event. `at` is when it happened. Calls come in the order of their lanes; a subject that is
    /// named twice counts once.
    ///
    /// Gives back what was refused, with the place of the call in the list; this is counted as dropped. The others of the
    /// event go on without it.
    pub fn handle_event(
        &mut self,
        at: Timestamp,
        calls: impl IntoIterator<Item = (LaneId, Vec<K>, T)>,
    ) -> Vec<(T, Refusal)> {
        self.handle_event_again(
            at,
            calls.into_iter().map(|(lane, subjects, payload)| (lane, subjects, Tried::default(), payload)),
        )
    }

    /// The same for calls that earlier lives have tried: their failures count.
    pub fn handle_event_again(
        &mut self,
        at: Timestamp,
        calls: impl IntoIterator<Item = (LaneId, Vec<K>, Tried, T)>,
    ) -> Vec<(T, Refusal)> {
        let mut refused = Vec::new();
        let mut accepted: Vec<(LaneId, JobId)> = Vec::new();
        for (lane, subjects, tried, payload) in calls {
            match self.admit(lane, &subjects) {
                Ok(independent) => {
                    let id = self.enter(at, lane, subjects, payload);
                    if let Some(job) = self.jobs.get_mut(&id) {
                        job.attempts = Attempts::after(tried);
                    }
                    if independent {
                        self.unblock(id);
                    } else {
                        accepted.push((lane, id));
                    }
                }
                Err(refusal) => refused.push((payload, refusal)),
            }
        }
        self.enter_stages(&accepted);
        refused
    }

    /// Says whether the lane is independent, or why the call is refused.
    fn admit(&mut self, id: LaneId, subjects: &[K]) -> Result<bool, Refusal> {
        let share = self.limits.share(self.lanes.iter().filter(|lane| !lane.retired).count());
        let Some(lane) = self.lane(id).filter(|lane| !lane.retired) else {
            return Err(Refusal::NoHook);
        };
        let independent = lane.rules.independent;
        let full = lane.queued >= share;
        let subject_share = self.limits.subject_share();
        // The first in a queue may be running rather than waiting, which is one more for whoever has a place.
        let crowded = |subject: &K| {
            self.subjects.get(&(id, subject.clone())).is_some_and(|queue| queue.len() > subject_share)
        };
        if full {
            self.count(id, |counters| counters.dropped += 1);
            Err(Refusal::Full)
        } else if subjects.iter().any(crowded) {
            self.count(id, |counters| counters.dropped_subject += 1);
            Err(Refusal::SubjectFull)
        } else {
            Ok(independent)
        }
    }

    fn enter(&mut self, at: Timestamp, lane: LaneId, subjects: Vec<K>, payload: T) -> JobId {
        let id = JobId(self.next_job);
        self.next_job += 1;
        let mut held = Vec::with_capacity(subjects.len());
        let mut blockers = 0;
        for subject in subjects {
            let queue = self.subjects.entry((lane, subject.clone())).or_default();
            // Only this call appends, so a subject that was named twice has this job at its end already.
            if queue.back() == Some(&id) {
                continue;
            }
            blockers += usize::from(!queue.is_empty());
            queue.push_back(id);
            held.push(subject);
        }
        // Not ready before it is known whether it waits for earlier lanes.
        let job = Job {
            payload,
            lane,
            subjects: held,
            event: None,
            blockers: blockers + 1,
            phase: Phase::Blocked,
            attempts: Attempts::default(),
            hang: None,
            at,
        };
        self.jobs.insert(id, job);
        if let Some(lane) = self.lane_mut(lane) {
            lane.jobs += 1;
        }
        self.count(lane, |counters| counters.accepted += 1);
        self.note_queued(lane);
        id
    }

    /// The next thing for the shell to do in a lane that is [`Discipline::Serial`]. Only the `handle_*` calls change the
    /// answer from `None`.
    pub fn poll_command(&mut self) -> Option<Command<T>> {
        match self.signals.pop_front() {
            Some((Signal::Terminate, job, attempt)) => return Some(Command::Terminate { job, attempt }),
            Some((Signal::Kill, job, attempt)) => return Some(Command::Kill { job, attempt }),
            None => {}
        }
        if self.pause.is_some() || self.running >= self.limits.places() {
            return None;
        }
        let places = self.lanes.len();
        let place = (0..places).map(|step| (self.turn + step) % places).find(|&place| {
            self.lanes.get(place).is_some_and(|lane| {
                lane.rules.discipline == Discipline::Serial
                    && !lane.ready.is_empty()
                    && lane.running < lane.rules.limits.places()
                    && !self.is_held_back(lane.id)
            })
        })?;
        self.turn = place + 1;
        let lane = self.lanes.get_mut(place)?;
        let job = lane.ready.pop_front()?;
        lane.running += 1;
        lane.queued -= 1;
        let lane = lane.id;
        self.running += 1;
        self.queued -= 1;
        let started = self.jobs.get_mut(&job)?;
        started.phase = Phase::Starting;
        let attempt = started.attempts.begin();
        Some(Command::Start { lane, job, attempt, payload: started.payload.clone() })
    }

    /// The next ready job of a lane that is [`Discipline::Handed`]. Its subjects are free: whoever takes it keeps the order
    /// in which jobs are taken. Say with [`Schedule::handle_over`] when it is over.
    pub fn poll_handed(&mut self, id: LaneId, now: Timestamp) -> Option<(JobId, T)> {
        if self.is_held_back(id) {
            return None;
        }
        let lane = self.lane_mut(id).filter(|lane| lane.rules.discipline == Discipline::Handed)?;
        let job = lane.ready.pop_front()?;
        lane.running += 1;
        lane.queued -= 1;
        self.queued -= 1;
        let handed = self.jobs.get_mut(&job)?;
        handed.phase = Phase::Handed;
        let (at, payload) = (handed.at, handed.payload.clone());
        let subjects = std::mem::take(&mut handed.subjects);
        self.release_subjects(id, &subjects);
        self.note_wait(id, now.since(at));
        Some((job, payload))
    }

    /// A job that was handed out is over. `None` when it was not handed out.
    pub fn handle_over(&mut self, id: JobId, gave_up: bool) -> Option<T> {
        self.jobs.get(&id).filter(|job| job.phase == Phase::Handed)?;
        let job = self.release(id)?;
        self.count(job.lane, |counters| counters.gave_up += u64::from(gave_up));
        Some(job.payload)
    }

    /// The attempt has become a process. Its time runs from `now`.
    pub fn handle_started(&mut self, id: JobId, now: Timestamp) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.phase == Phase::Starting) else { return };
        job.phase = Phase::Running;
        job.attempts.started();
        let (lane, first, waited) = (job.lane, job.attempts.made == 1, now.since(job.at));
        self.count(lane, |counters| counters.started += 1);
        if first {
            self.note_wait(lane, waited);
        }
        if let Some(timeout) = self.lane(lane).and_then(|lane| lane.rules.limits.hang()) {
            let key = self.set_deadline(now + timeout, Deadline::Hang(id));
            if let Some(job) = self.jobs.get_mut(&id) {
                job.hang = Some(key);
            }
        }
    }

    /// The attempt has ended. `None` when no attempt of this job was under way.
    pub fn handle_ended(&mut self, id: JobId, now: Timestamp, ended: Ended) -> Option<Verdict<T>> {
        let job = self.jobs.get_mut(&id)?;
        let timed_out = match job.phase {
            Phase::Starting | Phase::Running => false,
            Phase::Terminating => true,
            Phase::Blocked | Phase::Ready | Phase::Resting | Phase::Handed => return None,
        };
        let unseen_start = job.phase == Phase::Starting && !ended.never_ran();
        let lane = self.lanes.iter_mut().find(|lane| lane.id == job.lane)?;
        if let Some(key) = job.hang.take() {
            self.deadlines.remove(&key);
        }
        self.running -= 1;
        lane.running -= 1;
        let next = job.attempts.ended(&lane.rules.limits, ended, timed_out);
        let (lane_id, failures) = (job.lane, job.attempts.failures);
        let at = match next {
            Next::Soon(wait) => {
                job.phase = Phase::Ready;
                lane.ready.push_front(id);
                let at = now + wait;
                // Whatever this hook lacked the next one would lack too, so all wait and none uses up its attempts.
                let at = self.pause.map_or(at, |pause| pause.max(at));
                self.pause = Some(at);
                Some(at)
            }
            Next::Again(wait) => {
                job.phase = Phase::Resting;
                self.set_deadline(now + wait, Deadline::Retry(id));
                Some(now + wait)
            }
            Next::Over { .. } => None,
        };
        self.count(lane_id, |counters| {
            counters.started += u64::from(unseen_start);
            counters.count(ended);
            counters.retried += u64::from(at.is_some());
        });
        if let Some(at) = at {
            self.note_queued(lane_id);
            return Some(Verdict::Again { at, failures });
        }
        let gave_up = next == Next::Over { gave_up: true };
        self.count(lane_id, |counters| counters.gave_up += u64::from(gave_up));
        let job = self.release(id)?;
        self.release_subjects(lane_id, &job.subjects);
        let attempts = job.attempts.made;
        Some(Verdict::Finished(Finished { payload: job.payload, ended, attempts, timed_out, gave_up }))
    }

    /// Does what is due at or before `now`. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.pause = self.pause.filter(|&pause| pause > now);
        while let Some(entry) = self.deadlines.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Deadline::Hang(id) => self.terminate(id, now),
                Deadline::Kill(id, attempt) => {
                    self.signals.push_back((Signal::Kill, id, attempt));
                    let alive =
                        |job: &&Job<K, T>| job.phase == Phase::Terminating && job.attempts.made == attempt;
                    if let Some(lane) = self.jobs.get(&id).filter(alive).map(|job| job.lane) {
                        self.count(lane, |counters| counters.killed += 1);
                    }
                }
                Deadline::Retry(id) => self.make_ready(id),
            }
        }
    }

    /// When [`Schedule::handle_timeout`] is next to be called. Only `handle_*` calls change the answer.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let first = self.deadlines.first_key_value().map(|(key, _)| key.0);
        [first, self.pause].into_iter().flatten().min()
    }

    /// What has been counted in all lanes, those that are gone included.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What has been counted in one lane.
    pub fn lane_counters(&self, id: LaneId) -> Option<Counters> {
        self.lane(id).map(|lane| lane.counters)
    }

    /// Jobs that wait, for whatever.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Jobs that wait in one lane, and those that were started or handed out.
    pub fn lane_load(&self, id: LaneId) -> (usize, usize) {
        self.lane(id).map_or((0, 0), |lane| (lane.queued, lane.running))
    }

    /// Jobs that the shell was told to start and has not seen end; those that were handed out are not among them.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Whether every lane has at least half of its room left.
    pub fn has_room(&self) -> bool {
        let share = self.limits.share(self.lanes.iter().filter(|lane| !lane.retired).count());
        self.lanes.iter().all(|lane| lane.retired || lane.queued <= share / 2)
    }

    /// Whether nothing waits, runs or is still to be killed.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.deadlines.is_empty() && self.signals.is_empty()
    }

    /// What the jobs that are not over were submitted with, in no order.
    pub fn unfinished(&self) -> impl Iterator<Item = &T> {
        self.jobs.values().map(|job| &job.payload)
    }

    /// Counts in a lane and in total.
    pub(in crate::hook) fn count(&mut self, id: LaneId, mut add: impl FnMut(&mut Counters)) {
        add(&mut self.counters);
        if let Some(lane) = self.lane_mut(id) {
            add(&mut lane.counters);
        }
    }

    fn lane(&self, id: LaneId) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.id == id)
    }

    fn lane_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.id == id)
    }

    fn note_queued(&mut self, id: LaneId) {
        self.queued += 1;
        self.counters.queued_peak = self.counters.queued_peak.max(self.queued);
        if let Some(lane) = self.lane_mut(id) {
            lane.queued += 1;
            lane.counters.queued_peak = lane.counters.queued_peak.max(lane.queued);
        }
    }

    fn note_wait(&mut self, id: LaneId, waited: std::time::Duration) {
        self.count(id, |counters| counters.longest_wait = counters.longest_wait.max(waited));
    }

    fn set_deadline(&mut self, at: Timestamp, deadline: Deadline) -> DeadlineKey {
        let key = (at, self.next_deadline);
        self.next_deadline += 1;
        self.deadlines.insert(key, deadline);
        key
    }

    fn terminate(&mut self, id: JobId, now: Timestamp) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.phase == Phase::Running) else { return };
        job.phase = Phase::Terminating;
        job.hang = None;
        let (lane, attempt) = (job.lane, job.attempts.made);
        self.count(lane, |counters| counters.timed_out += 1);
        self.signals.push_back((Signal::Terminate, id, attempt));
        let delay = self.lane(lane).map(|lane| lane.rules.limits.kill_delay).unwrap_or_default();
        // Never cancelled: children may ignore the SIGTERM that ends the leader of their group.
        self.set_deadline(now + delay, Deadline::Kill(id, attempt));
    }

    fn make_ready(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.phase = Phase::Ready;
        let lane = job.lane;
        let Some(lane) = self.lane_mut(lane) else { return };
        if lane.rules.limits.places() > 1 {
            lane.ready.push_back(id);
            return;
        }
        // One after the other is in the order of their events, also for one that had to wait for its lease.
        let place = lane.ready.partition_point(|other| *other < id);
        lane.ready.insert(place, id);
    }

    /// Removes a job and lets the later lanes of its event come forward.
    fn release(&mut self, id: JobId) -> Option<Job<K, T>> {
        let job = self.jobs.remove(&id)?;
        if let Some(lane) = self.lane_mut(job.lane) {
            lane.jobs -= 1;
            if job.phase == Phase::Handed {
                lane.running -= 1;
            }
        }
        self.leave_stage(job.event);
        Some(job)
    }
}
