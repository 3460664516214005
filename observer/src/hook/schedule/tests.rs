use std::cell::Cell;
use std::hash::Hasher;

use nix::errno::Errno;

use super::*;
use std::time::Duration;

mod lanes;

const SHARED: Limits = Limits { max_running: 2, max_queued: 100, max_queued_per_subject: 100 };
const LIMITS: LaneLimits = LaneLimits {
    max_parallel: usize::MAX,
    timeout: Some(Duration::from_secs(60)),
    kill_delay: Duration::from_secs(3),
    retries: 0,
    retry_delay: Duration::from_secs(1),
};

/// A schedule with one lane.
fn schedule<K: Clone + Eq + Hash, T: Clone>(shared: Limits, limits: LaneLimits) -> Schedule<K, T> {
    let mut schedule = Schedule::new(shared);
    schedule.add_lane(LaneRules { limits, independent: false, discipline: Discipline::Serial }, None);
    schedule
}

impl<K: Clone + Eq + Hash, T: Clone> Schedule<K, T> {
    /// An event with a call for the first lane alone.
    fn handle_invocation(
        &mut self,
        at: Timestamp,
        subjects: impl IntoIterator<Item = K>,
        payload: T,
    ) -> Result<JobId, T> {
        let id = JobId(self.next_job);
        let refused = self.handle_event(at, [(LaneId(0), subjects.into_iter().collect(), payload)]).pop();
        refused.map_or(Ok(id), |(payload, _)| Err(payload))
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn millis(millis: i64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

/// Starts everything that may be started, and says what.
fn starts<K: Clone + Eq + Hash>(schedule: &mut Schedule<K, u32>, now: Timestamp) -> Vec<u32> {
    let mut started = Vec::new();
    while let Some(command) = schedule.poll_command() {
        match command {
            Command::Start { job, payload, .. } => {
                schedule.handle_started(job, now);
                started.push(payload);
            }
            other => panic!("{other:?}"),
        }
    }
    started
}

/// Submits jobs 0, 1, … about `subjects` and, with unlimited places, checks who runs together: each round starts all that
/// may start and then ends all of it.
#[track_caller]
fn check_rounds(jobs: &[&str], rounds: &[&[u32]]) {
    let mut schedule = schedule(Limits { max_running: 1000, ..SHARED }, LIMITS);
    let mut ids = Vec::new();
    for (number, subjects) in jobs.iter().enumerate() {
        ids.push(schedule.handle_invocation(at(0), subjects.chars(), number as u32).unwrap());
    }
    let mut seen = Vec::new();
    loop {
        let round = starts(&mut schedule, at(1));
        if round.is_empty() {
            break;
        }
        for &number in &round {
            schedule.handle_ended(ids[number as usize], at(2), Ended::Exited(0)).unwrap();
        }
        seen.push(round);
    }
    assert_eq!(seen, rounds);
    assert!(schedule.is_idle());
    assert!(schedule.subjects.is_empty());
}

#[test]
fn who_runs_beside_whom() {
    check_rounds(&["a", "b", "c"], &[&[0, 1, 2]]);
    check_rounds(&["a", "a", "a"], &[&[0], &[1], &[2]]);
    check_rounds(&["a", "a", "b"], &[&[0, 2], &[1]]);
    check_rounds(&["", "a", "", "a", ""], &[&[0, 1, 2, 4], &[3]]);
    // Several subjects: waits for all, holds all.
    check_rounds(&["a", "b", "ab", "a", "b"], &[&[0, 1], &[2], &[3, 4]]);
    // A job that waits for one subject already holds the others: later jobs do not overtake it.
    check_rounds(&["a", "ab", "b", "c"], &[&[0, 3], &[1], &[2]]);
    // Opposite orders of the same subjects, which with locks taken one by one would be a deadlock.
    check_rounds(&["ab", "ba", "ab"], &[&[0], &[1], &[2]]);
    check_rounds(&["ab", "bc", "ca"], &[&[0], &[1], &[2]]);
    // A subject named twice does not wait for itself.
    check_rounds(&["aa", "aba", "a"], &[&[0], &[1], &[2]]);
}

#[test]
fn never_more_than_the_limit_run() {
    let mut schedule = schedule(SHARED, LIMITS);
    let ids: Vec<_> = (0..5).map(|n| schedule.handle_invocation(at(0), [n], n).unwrap()).collect();
    assert_eq!(starts(&mut schedule, at(0)), [0, 1]);
    assert_eq!((schedule.running(), schedule.queued()), (2, 3));
    schedule.handle_ended(ids[1], at(1), Ended::Exited(0));
    assert_eq!(starts(&mut schedule, at(1)), [2]);
    assert_eq!(starts(&mut schedule, at(9)), [0_u32; 0]);
}

/// What waited for its subject is older than what came after it and waits for nothing.
#[test]
fn one_at_a_time_is_in_the_order_of_the_events() {
    let mut schedule = schedule::<&str, u32>(SHARED, LaneLimits { max_parallel: 1, ..LIMITS });
    let jobs = (0..).zip(["a", "a", "b", "a", "b"]);
    let ids: Vec<_> =
        jobs.map(|(number, subject)| schedule.handle_invocation(at(0), [subject], number).unwrap()).collect();
    for (number, id) in (0..).zip(ids) {
        assert_eq!(starts(&mut schedule, at(1)), [number]);
        schedule.handle_ended(id, at(1), Ended::Exited(0)).unwrap();
    }
    assert!(schedule.is_idle());
}

#[test]
fn a_full_queue_refuses_the_newest_and_counts_it() {
    let mut schedule = schedule(Limits { max_running: 1, max_queued: 2, ..SHARED }, LIMITS);
    assert!(schedule.handle_invocation(at(0), ["a"], 0).is_ok());
    assert!(schedule.handle_invocation(at(0), ["a"], 1).is_ok());
    assert_eq!(schedule.handle_invocation(at(0), ["b"], 2), Err(2));
    assert_eq!(starts(&mut schedule, at(0)), [0]);
    assert!(schedule.handle_invocation(at(0), ["b"], 3).is_ok());
    assert_eq!(schedule.handle_invocation(at(0), [], 4), Err(4));
    let counters = schedule.counters();
    assert_eq!((counters.accepted, counters.dropped, counters.queued_peak), (3, 2, 2));
}

#[test]
fn a_hook_that_hangs_is_terminated_then_killed() {
    let mut schedule = schedule(SHARED, LIMITS);
    let id = schedule.handle_invocation(at(0), ["a"], 0).unwrap();
    assert_eq!(schedule.poll_timeout(), None);
    assert_eq!(starts(&mut schedule, at(10)), [0]);
    assert_eq!(schedule.poll_timeout(), Some(at(70)));
    schedule.handle_timeout(at(69));
    assert_eq!(schedule.poll_command(), None);
    schedule.handle_timeout(at(70));
    schedule.handle_timeout(at(70));
    assert_eq!(schedule.poll_command(), Some(Command::Terminate { job: id, attempt: 1 }));
    assert_eq!(schedule.poll_command(), None);
    assert_eq!(schedule.poll_timeout(), Some(at(73)));
    schedule.handle_timeout(at(73));
    assert_eq!(schedule.poll_command(), Some(Command::Kill { job: id, attempt: 1 }));
    assert_eq!(schedule.poll_command(), None);
    assert!(!schedule.is_idle());
    let verdict = schedule.handle_ended(id, at(73), Ended::Signalled(9));
    let ended = Ended::Signalled(9);
    let finished = Finished { payload: 0, ended, attempts: 1, timed_out: true, gave_up: false };
    assert_eq!(verdict, Some(Verdict::Finished(finished)));
    assert!(schedule.is_idle());
    let counters = schedule.counters();
    assert_eq!((counters.timed_out, counters.killed, counters.signalled), (1, 1, 1));
    assert_eq!(counters.longest_wait, Duration::from_secs(10));
}

#[test]
fn children_that_outlive_a_terminated_leader_are_still_killed() {
    let mut schedule = schedule(SHARED, LIMITS);
    let first = schedule.handle_invocation(at(0), ["a"], 0).unwrap();
    schedule.handle_invocation(at(0), ["a"], 1).unwrap();
    starts(&mut schedule, at(0));
    schedule.handle_timeout(at(60));
    assert_eq!(schedule.poll_command(), Some(Command::Terminate { job: first, attempt: 1 }));
    schedule.handle_ended(first, at(61), Ended::Signalled(15)).unwrap();
    // The next of the subject does not wait for them.
    assert_eq!(starts(&mut schedule, at(61)), [1]);
    assert_eq!(schedule.poll_timeout(), Some(at(63)));
    schedule.handle_timeout(at(63));
    assert_eq!(schedule.poll_command(), Some(Command::Kill { job: first, attempt: 1 }));
    assert_eq!(schedule.counters().killed, 0, "the hook itself was not");
}

#[test]
fn no_timeout_means_never() {
    for timeout in [None, Some(Duration::ZERO)] {
        let mut schedule = schedule(SHARED, LaneLimits { timeout, ..LIMITS });
        schedule.handle_invocation(at(0), ["a"], 0).unwrap();
        starts(&mut schedule, at(0));
        assert_eq!(schedule.poll_timeout(), None);
        schedule.handle_timeout(Timestamp::MAX);
        assert_eq!(schedule.poll_command(), None);
    }
}

#[test]
fn a_hook_that_ended_in_time_leaves_no_deadline() {
    let mut schedule = schedule(SHARED, LIMITS);
    let id = schedule.handle_invocation(at(0), ["a"], 0).unwrap();
    starts(&mut schedule, at(0));
    schedule.handle_ended(id, at(1), Ended::Exited(7)).unwrap();
    assert_eq!(schedule.poll_timeout(), None);
    assert_eq!(schedule.counters().non_zero, 1);
}

#[test]
fn calls_that_make_no_sense_change_nothing() {
    let mut schedule = schedule(SHARED, LIMITS);
    let id = schedule.handle_invocation(at(0), ["a"], 0).unwrap();
    schedule.handle_started(id, at(0));
    assert_eq!(schedule.handle_ended(id, at(0), Ended::Exited(0)), None, "it was not started");
    schedule.handle_timeout(Timestamp::MAX);
    starts(&mut schedule, at(0));
    schedule.handle_started(id, at(50));
    assert_eq!(schedule.poll_timeout(), Some(at(60)), "a second start does not move the deadline");
    assert!(schedule.handle_ended(id, at(1), Ended::Exited(0)).is_some());
    let before = schedule.counters();
    assert_eq!(schedule.handle_ended(id, at(1), Ended::Exited(0)), None);
    schedule.handle_started(id, at(1));
    schedule.handle_timeout(Timestamp::MAX);
    assert_eq!(schedule.poll_command(), None);
    assert_eq!(schedule.counters(), before);
    assert!(schedule.is_idle());
}

/// Runs one job whose attempts end as told and returns (attempts, gave up, the waits between them in ms).
fn attempts(retries: u32, endings: &[Ended]) -> (u32, bool, Vec<u128>) {
    let mut schedule = schedule(SHARED, LaneLimits { retries, ..LIMITS });
    let id = schedule.handle_invocation(at(0), ["a"], 0).unwrap();
    schedule.handle_invocation(at(0), ["a"], 1).unwrap();
    let mut now = at(0);
    let mut waits = Vec::new();
    for (number, &ended) in endings.iter().enumerate() {
        let command = schedule.poll_command();
        assert_eq!(
            command,
            Some(Command::Start { lane: LaneId(0), job: id, attempt: number as u32 + 1, payload: 0 })
        );
        assert_eq!(schedule.poll_command(), None, "the subject is held");
        if !matches!(ended, Ended::CouldNotStart(..)) {
            schedule.handle_started(id, now);
        }
        match schedule.handle_ended(id, now, ended).unwrap() {
            Verdict::Again { at, .. } => {
                assert_eq!(schedule.poll_command(), None, "not yet, nor the next of the subject");
                assert_eq!(schedule.poll_timeout(), Some(at));
                waits.push(at.since(now).as_millis());
                now = at;
                schedule.handle_timeout(now);
            }
            Verdict::Finished(finished) => {
                assert_eq!(number + 1, endings.len(), "finished early");
                assert_eq!(starts(&mut schedule, now), [1], "the subject is free");
                return (finished.attempts, finished.gave_up, waits);
            }
        }
    }
    panic!("still not finished, after {waits:?}");
}

#[test]
fn what_runs_again_and_when() {
    use Ended::{CouldNotStart, Exited, Signalled};
    let busy = CouldNotStart(Step::Program, Errno::EAGAIN);
    let gone = CouldNotStart(Step::Program, Errno::ENOENT);
    assert_eq!(attempts(0, &[Exited(0)]), (1, false, vec![]));
    assert_eq!(attempts(0, &[Exited(7)]), (1, false, vec![]));
    assert_eq!(attempts(0, &[Signalled(11)]), (1, false, vec![]));
    assert_eq!(attempts(0, &[gone]), (1, true, vec![]));
    assert_eq!(attempts(0, &[busy, busy, Exited(1)]), (3, false, vec![100, 200]));
    assert_eq!(attempts(2, &[Exited(1), Exited(0)]), (2, false, vec![1000]));
    assert_eq!(attempts(2, &[Exited(1), Signalled(9), Exited(3)]), (3, true, vec![1000, 2000]));
    assert_eq!(attempts(1, &[gone, Exited(0)]), (2, false, vec![1000]));
    // What the system refused uses up no retry.
    assert_eq!(attempts(1, &[busy, Exited(1), busy, Exited(0)]), (4, false, vec![100, 1000, 100]));
    let (count, gave_up, waits) = attempts(0, &[busy; START_ATTEMPTS as usize]);
    assert_eq!((count, gave_up), (START_ATTEMPTS, true));
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
}

#[test]
fn while_the_system_is_short_of_processes_nobody_is_started() {
    let mut schedule = schedule(SHARED, LIMITS);
    let id = schedule.handle_invocation(at(0), ["a"], 0).unwrap();
    schedule.handle_invocation(at(0), ["b"], 1).unwrap();
    assert!(matches!(schedule.poll_command(), Some(Command::Start { payload: 0, .. })));
    schedule.handle_ended(id, at(0), Ended::CouldNotStart(Step::Process, Errno::ENOMEM)).unwrap();
    assert_eq!(schedule.poll_command(), None);
    assert_eq!(schedule.queued(), 2);
    schedule.handle_timeout(millis(99));
    assert_eq!(schedule.poll_command(), None);
    schedule.handle_timeout(millis(100));
    assert_eq!(starts(&mut schedule, millis(100)), [0, 1]);
    assert_eq!(schedule.counters().could_not_start, 1);
}

#[test]
fn a_late_kill_names_its_own_attempt() {
    let mut schedule = schedule(SHARED, LaneLimits { retries: 1, ..LIMITS });
    let id = schedule.handle_invocation(at(0), ["a"], 0).unwrap();
    starts(&mut schedule, at(0));
    schedule.handle_timeout(at(60));
    assert_eq!(schedule.poll_command(), Some(Command::Terminate { job: id, attempt: 1 }));
    let verdict = schedule.handle_ended(id, at(60), Ended::Exited(0));
    assert_eq!(
        verdict,
        Some(Verdict::Again { at: at(61), failures: 1 }),
        "an orderly exit on SIGTERM is still a failure"
    );
    schedule.handle_timeout(at(61));
    assert_eq!(
        schedule.poll_command(),
        Some(Command::Start { lane: LaneId(0), job: id, attempt: 2, payload: 0 })
    );
    schedule.handle_started(id, at(61));
    schedule.handle_timeout(at(63));
    assert_eq!(schedule.poll_command(), Some(Command::Kill { job: id, attempt: 1 }));
    assert_eq!(schedule.counters().killed, 0);
}

/// A key that counts how often it is hashed or compared: the schedule's work on subjects.
#[derive(Clone, Debug)]
struct Counted(u32);

thread_local!(static STEPS: Cell<u64> = const { Cell::new(0) });

fn step() {
    STEPS.with(|steps| steps.set(steps.get() + 1));
}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        step();
        self.0.hash(state);
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        step();
        self.0 == other.0
    }
}

impl Eq for Counted {}

#[test]
fn a_burst_costs_the_same_per_job_whatever_its_size() {
    const JOBS: u32 = 100_000;
    for subjects in [1, 10, JOBS] {
        STEPS.with(|steps| steps.set(0));
        let shared = Limits { max_queued: JOBS as usize, max_queued_per_subject: usize::MAX - 1, ..SHARED };
        let mut schedule = schedule(shared, LIMITS);
        for job in 0..JOBS {
            schedule.handle_invocation(at(0), [Counted(job % subjects)], job).unwrap();
        }
        let mut commands = 0;
        let mut polls = 0;
        let mut last = vec![None; subjects as usize];
        loop {
            let mut running = Vec::new();
            loop {
                polls += 1;
                let Some(Command::Start { job, payload, .. }) = schedule.poll_command() else { break };
                schedule.handle_started(job, at(1));
                running.push((job, payload));
            }
            if running.is_empty() {
                break;
            }
            for (job, payload) in running {
                commands += 1;
                let last = &mut last[(payload % subjects) as usize];
                assert!(*last < Some(payload));
                *last = Some(payload);
                schedule.handle_ended(job, at(2), Ended::Exited(0)).unwrap();
            }
        }
        assert_eq!(commands, JOBS);
        assert!(polls <= 2 * JOBS + 1, "{polls}");
        assert!(schedule.is_idle());
        // Growing tables hash again and full tables compare a little more, but no job walks a queue.
        let steps = STEPS.with(Cell::get);
        assert!(steps < u64::from(JOBS) * 20, "{subjects} subjects: {steps} steps");
    }
}

#[test]
fn a_subject_that_never_rests_delays_another_by_the_one_job_that_runs() {
    let shared = Limits { max_running: 1, max_queued: 10_000, max_queued_per_subject: 1_024 };
    let mut schedule = schedule(shared, LIMITS);
    let mut noisy = Vec::new();
    for number in 0..2_000 {
        noisy.extend(schedule.handle_invocation(at(0), ["noisy"], number));
    }
    // What is too much is refused by name, and leaves room for others.
    let counters = schedule.counters();
    assert_eq!((counters.accepted, counters.dropped_subject, counters.dropped), (1_025, 975, 0));
    assert_eq!(starts(&mut schedule, at(0)), [0]);
    for turn in 0..100 {
        let quiet = 10_000 + turn;
        let id = schedule.handle_invocation(at(1), ["quiet"], quiet).unwrap();
        assert!(starts(&mut schedule, at(1)).is_empty());
        schedule.handle_ended(noisy[turn as usize], at(2), Ended::Exited(0)).unwrap();
        assert_eq!(starts(&mut schedule, at(2)), [quiet]);
        schedule.handle_ended(id, at(3), Ended::Exited(0)).unwrap();
        assert_eq!(starts(&mut schedule, at(3)), [turn + 1]);
    }
}
