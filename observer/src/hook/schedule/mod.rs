//! Which hook runs when: a pure state machine.
//!
//! A job names the subjects it is about (leases, or the client). Jobs of one subject run one at a time in the order in
//! which they came; a job with several subjects waits for all of them and holds them all; a job with none waits for no
//! one. Jobs enter the queues of all their subjects in one step, so every queue has the same order of age, and the
//! oldest job of all is never waiting for another: there is no deadlock and no starvation.
//!
//! Nothing here reads a clock, starts a process or fails. The shell around it calls `handle_*` with what happened and
//! then [`Schedule::poll_command`] until it says `None`, and calls [`Schedule::handle_timeout`] at
//! [`Schedule::poll_timeout`]. Calls that make no sense any more, late or repeated, change nothing.

mod counters;
mod ended;
mod limits;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;

pub use counters::Counters;
pub use ended::Ended;
pub use limits::{FIRST_START_DELAY, LONGEST_RETRY_DELAY, LONGEST_START_DELAY, Limits, START_ATTEMPTS};

use crate::time::Timestamp;

/// A job's name, unique within one schedule and increasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

/// What the shell must now do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<T> {
    /// Start this attempt. Answer with [`Schedule::handle_started`], and always with [`Schedule::handle_ended`].
    Start {
        /// Which job.
        job: JobId,
        /// 1 for the first attempt.
        attempt: u32,
        /// What the job was submitted with.
        payload: T,
    },
    /// Send SIGTERM to the process group of this attempt: it has hung. A [`Command::Kill`] for the same attempt follows.
    Terminate {
        /// Which job.
        job: JobId,
        /// Which attempt of it.
        attempt: u32,
    },
    /// Send SIGKILL to what is left of the process group of this attempt.
    ///
    /// This also comes when the leader of the group has ended meanwhile, for children that outlived it: the shell keeps
    /// the process group's id from being reused until then.
    Kill {
        /// Which job.
        job: JobId,
        /// Which attempt of it.
        attempt: u32,
    },
}

/// What becomes of a job one of whose attempts has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// There will be another attempt, not before `at`. Its subjects wait for it.
    Again {
        /// The earliest moment of the next attempt.
        at: Timestamp,
    },
    /// The job is over and its subjects are free.
    Finished(Finished<T>),
}

/// A job that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished<T> {
    /// What the job was submitted with.
    pub payload: T,
    /// How its last attempt ended.
    pub ended: Ended,
    /// How many attempts there were.
    pub attempts: u32,
    /// Whether the last attempt was sent SIGTERM because it took too long.
    pub timed_out: bool,
    /// Whether this is a failure for the caller to keep (a dead letter): the last of several allowed attempts failed,
    /// or the hook never became a process. Without configured retries an exit status or a signal is not a failure.
    pub gave_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waits for subjects that older jobs hold.
    Blocked,
    /// In the ready list.
    Ready,
    /// The shell was told to start it.
    Starting,
    /// It is a process.
    Running,
    /// It is a process that was sent SIGTERM.
    Terminating,
    /// Waits before another attempt, and holds its subjects.
    Resting,
}

#[derive(Clone, Copy, Debug)]
enum Deadline {
    Hang(JobId),
    Kill(JobId, u32),
    Retry(JobId),
}

/// The moment of a deadline, and a number that keeps equal moments apart in the order in which they were set.
type DeadlineKey = (Timestamp, u64);

#[derive(Debug)]
struct Job<K, T> {
    payload: T,
    subjects: Vec<K>,
    /// Subjects in whose queue an older job stands before this one.
    blockers: usize,
    phase: Phase,
    /// Attempts so far.
    attempt: u32,
    /// Failed attempts that used up one of the configured retries.
    failures: u32,
    /// Attempts in a row that the system refused for want of something.
    refusals: u32,
    /// The deadline to cancel when an attempt ends.
    hang: Option<DeadlineKey>,
    at: Timestamp,
}

/// The queue, the running jobs and their deadlines. `K` names a subject, `T` is whatever a job is started with.
#[derive(Debug)]
pub struct Schedule<K, T> {
    limits: Limits,
    jobs: HashMap<JobId, Job<K, T>>,
    /// For every subject with a job: its jobs by age. The first holds the subject or is the next to.
    subjects: HashMap<K, VecDeque<JobId>>,
    ready: VecDeque<JobId>,
    signals: VecDeque<(Signal, JobId, u32)>,
    deadlines: BTreeMap<DeadlineKey, Deadline>,
    /// Nothing is started before this moment: the system was short of something that every hook needs.
    pause: Option<Timestamp>,
    running: usize,
    queued: usize,
    next_job: u64,
    next_deadline: u64,
    counters: Counters,
}

#[derive(Clone, Copy, Debug)]
enum Signal {
    Terminate,
    Kill,
}

impl<K: Clone + Eq + Hash, T: Clone> Schedule<K, T> {
    /// An empty schedule.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            jobs: HashMap::new(),
            subjects: HashMap::new(),
            ready: VecDeque::new(),
            signals: VecDeque::new(),
            deadlines: BTreeMap::new(),
            pause: None,
            running: 0,
            queued: 0,
            next_job: 0,
            next_deadline: 0,
            counters: Counters::default(),
        }
    }

    /// Queues a job about `subjects` (a repeated one counts once). `at` is when its event happened.
    ///
    /// # Errors
    ///
    /// Gives the payload back when [`Limits::max_queued`] jobs are waiting; this is counted as dropped.
    pub fn handle_invocation(
        &mut self,
        at: Timestamp,
        subjects: impl IntoIterator<Item = K>,
        payload: T,
    ) -> Result<JobId, T> {
        if self.is_full() {
            self.counters.dropped += 1;
            return Err(payload);
        }
        let id = JobId(self.next_job);
        self.next_job += 1;
        let mut held = Vec::new();
        let mut blockers = 0;
        for subject in subjects {
            let queue = self.subjects.entry(subject.clone()).or_default();
            // Only this call appends, so a subject that was named twice has this job at its end already.
            if queue.back() == Some(&id) {
                continue;
            }
            blockers += usize::from(!queue.is_empty());
            queue.push_back(id);
            held.push(subject);
        }
        let phase = if blockers == 0 { Phase::Ready } else { Phase::Blocked };
        if phase == Phase::Ready {
            self.ready.push_back(id);
        }
        let job = Job {
            payload,
            subjects: held,
            blockers,
            phase,
            attempt: 0,
            failures: 0,
            refusals: 0,
            hang: None,
            at,
        };
        self.jobs.insert(id, job);
        self.counters.accepted += 1;
        self.note_queued();
        Ok(id)
    }

    /// The next thing for the shell to do. Only the `handle_*` calls change the answer from `None`.
    pub fn poll_command(&mut self) -> Option<Command<T>> {
        match self.signals.pop_front() {
            Some((Signal::Terminate, job, attempt)) => return Some(Command::Terminate { job, attempt }),
            Some((Signal::Kill, job, attempt)) => return Some(Command::Kill { job, attempt }),
            None => {}
        }
        if self.pause.is_some() || self.running >= self.limits.places() {
            return None;
        }
        let id = self.ready.pop_front()?;
        let job = self.jobs.get_mut(&id)?;
        job.phase = Phase::Starting;
        job.attempt = job.attempt.saturating_add(1);
        self.running += 1;
        self.queued -= 1;
        Some(Command::Start { job: id, attempt: job.attempt, payload: job.payload.clone() })
    }

    /// The attempt has become a process. Its time runs from `now`.
    pub fn handle_started(&mut self, id: JobId, now: Timestamp) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.phase == Phase::Starting) else { return };
        job.phase = Phase::Running;
        job.refusals = 0;
        self.counters.started += 1;
        if job.attempt == 1 {
            self.counters.longest_wait = self.counters.longest_wait.max(now.since(job.at));
        }
        if let Some(timeout) = self.limits.hang() {
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
            Phase::Blocked | Phase::Ready | Phase::Resting => return None,
        };
        if job.phase == Phase::Starting && !matches!(ended, Ended::CouldNotStart(_)) {
            self.counters.started += 1;
        }
        if let Some(key) = job.hang.take() {
            self.deadlines.remove(&key);
        }
        self.running -= 1;
        self.counters.count(ended);

        let failed = timed_out || !ended.is_success();
        let again = if ended.is_transient() && job.refusals + 1 < START_ATTEMPTS {
            job.refusals += 1;
            job.phase = Phase::Ready;
            self.ready.push_front(id);
            let at = now + limits::doubled(FIRST_START_DELAY, job.refusals, LONGEST_START_DELAY);
            // Whatever this hook lacked the next one would lack too, so all wait and none uses up its attempts.
            let at = self.pause.map_or(at, |pause| pause.max(at));
            self.pause = Some(at);
            Some(at)
        } else if failed && job.failures < self.limits.retries {
            job.failures += 1;
            job.refusals = 0;
            job.phase = Phase::Resting;
            let at = now + self.limits.retry_wait(job.failures);
            self.set_deadline(at, Deadline::Retry(id));
            Some(at)
        } else {
            None
        };
        if let Some(at) = again {
            self.counters.retried += 1;
            self.note_queued();
            return Some(Verdict::Again { at });
        }

        let job = self.release(id)?;
        let never_ran = matches!(ended, Ended::CouldNotStart(_));
        let gave_up = failed && (never_ran || self.limits.retries > 0);
        self.counters.gave_up += u64::from(gave_up);
        let attempts = job.attempt;
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
                    let alive = |job: &Job<K, T>| job.phase == Phase::Terminating && job.attempt == attempt;
                    self.counters.killed += u64::from(self.jobs.get(&id).is_some_and(alive));
                }
                Deadline::Retry(id) => {
                    if let Some(job) = self.jobs.get_mut(&id) {
                        job.phase = Phase::Ready;
                        self.ready.push_back(id);
                    }
                }
            }
        }
    }

    /// When [`Schedule::handle_timeout`] is next to be called. Only `handle_*` calls change the answer.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let first = self.deadlines.first_key_value().map(|(key, _)| key.0);
        match (first, self.pause) {
            (Some(first), Some(pause)) => Some(first.min(pause)),
            (first, pause) => first.or(pause),
        }
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Jobs that wait, for whatever.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Jobs that the shell was told to start and has not seen end.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Whether the next job would be refused.
    pub fn is_full(&self) -> bool {
        self.queued >= self.limits.waiting_room()
    }

    /// Whether nothing waits, runs or is still to be killed.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.deadlines.is_empty() && self.signals.is_empty()
    }

    /// What the jobs that are not over were submitted with, in no order.
    pub fn unfinished(&self) -> impl Iterator<Item = &T> {
        self.jobs.values().map(|job| &job.payload)
    }

    fn note_queued(&mut self) {
        self.queued += 1;
        self.counters.queued_peak = self.counters.queued_peak.max(self.queued);
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
        let attempt = job.attempt;
        self.counters.timed_out += 1;
        self.signals.push_back((Signal::Terminate, id, attempt));
        // Never cancelled: children may ignore the SIGTERM that ends the leader of their group.
        self.set_deadline(now + self.limits.kill_delay, Deadline::Kill(id, attempt));
    }

    /// Removes a job and lets the next one of each of its subjects come forward.
    fn release(&mut self, id: JobId) -> Option<Job<K, T>> {
        let job = self.jobs.remove(&id)?;
        for subject in &job.subjects {
            let Some(queue) = self.subjects.get_mut(subject) else { continue };
            queue.pop_front();
            let Some(&next) = queue.front() else {
                self.subjects.remove(subject);
                continue;
            };
            if let Some(next_job) = self.jobs.get_mut(&next) {
                next_job.blockers -= 1;
                if next_job.blockers == 0 {
                    next_job.phase = Phase::Ready;
                    self.ready.push_back(next);
                }
            }
        }
        Some(job)
    }
}
