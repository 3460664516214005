//! Several hooks: who waits for whom.

use super::*;

mod random;

fn rules(limits: LaneLimits) -> LaneRules {
    LaneRules { limits, independent: false, discipline: Discipline::Serial }
}

const ROOMY: Limits = Limits { max_running: 100, max_queued: 1000, max_queued_per_subject: 100 };

type Calls<'a> = &'a [(usize, &'a str)];

/// Submits events, each a list of lanes with subjects (`+` before the lane number 10 and above is no such thing: lanes
/// are 0, 1, 2, and 3 is independent), and says who is started in each round, in which all that runs ends.
#[track_caller]
fn check_rounds(events: &[Calls<'_>], rounds: &[&[&str]]) {
    let mut schedule = Schedule::new(ROOMY);
    let lanes: Vec<_> = (0..4)
        .map(|lane| schedule.add_lane(LaneRules { independent: lane == 3, ..rules(LIMITS) }, None))
        .collect();
    for (number, calls) in events.iter().enumerate() {
        let calls = calls
            .iter()
            .map(|(lane, subjects)| (lanes[*lane], subjects.chars().collect(), format!("{number}.{lane}")));
        assert!(schedule.handle_event(at(0), calls).is_empty());
    }
    let mut seen = Vec::new();
    loop {
        let mut round = Vec::new();
        while let Some(Command::Start { job, payload, .. }) = schedule.poll_command() {
            schedule.handle_started(job, at(1));
            round.push((payload, job));
        }
        if round.is_empty() {
            break;
        }
        round.sort();
        for (_, job) in &round {
            schedule.handle_ended(*job, at(2), Ended::Exited(0)).unwrap();
        }
        seen.push(round.into_iter().map(|(payload, _)| payload).collect::<Vec<_>>());
    }
    assert_eq!(seen, rounds);
    assert!(schedule.is_idle() && schedule.subjects.is_empty() && schedule.events.is_empty());
}

#[test]
fn a_later_hook_waits_for_the_earlier_ones_of_the_same_event() {
    check_rounds(&[&[(0, "a"), (1, "a"), (2, "a")]], &[&["0.0"], &["0.1"], &["0.2"]]);
    // Hooks of other events go on meanwhile.
    check_rounds(
        &[&[(0, "a"), (1, "a")], &[(0, "a"), (1, "a")], &[(0, "b")]],
        &[&["0.0", "2.0"], &["0.1", "1.0"], &["1.1"]],
    );
    // Several calls for one hook: the next hook waits for all of them.
    check_rounds(&[&[(0, "a"), (0, "b"), (1, "ab")]], &[&["0.0", "0.0"], &["0.1"]]);
    check_rounds(&[&[(0, "a"), (0, "a"), (1, "a")]], &[&["0.0"], &["0.0"], &["0.1"]]);
}

#[test]
fn an_independent_hook_neither_waits_nor_is_waited_for() {
    check_rounds(&[&[(0, "a"), (1, "a"), (3, "a")]], &[&["0.0", "0.3"], &["0.1"]]);
    let mut schedule = Schedule::new(ROOMY);
    let first = schedule.add_lane(LaneRules { independent: true, ..rules(LIMITS) }, None);
    let second = schedule.add_lane(rules(LIMITS), None);
    schedule.handle_event(at(0), [(first, vec!["a"], 1), (second, vec!["a"], 2)]);
    assert_eq!(starts(&mut schedule, at(0)), [1, 2]);
}

#[test]
fn the_order_of_a_subject_is_fixed_when_an_event_comes() {
    // The second event has no call for the first hook, which is busy with the first: it must not overtake.
    check_rounds(&[&[(0, "a"), (1, "a")], &[(1, "a")]], &[&["0.0"], &["0.1"], &["1.1"]]);
    check_rounds(&[&[(0, "a"), (1, "ab")], &[(1, "b")], &[(1, "c")]], &[&["0.0", "2.1"], &["0.1"], &["1.1"]]);
}

#[test]
fn a_call_without_room_holds_up_nobody() {
    let mut schedule = Schedule::new(Limits { max_queued: 2, ..ROOMY });
    let lanes = [(); 2].map(|()| schedule.add_lane(rules(LIMITS), None));
    schedule.handle_event(at(0), [(lanes[0], vec!["a"], 0)]);
    // The first hook's part of the room is taken, the second one's is not.
    let refused = schedule.handle_event(at(0), [(lanes[0], vec!["b"], 1), (lanes[1], vec!["b"], 2)]);
    assert_eq!(refused, [(1, Refusal::Full)]);
    assert_eq!(starts(&mut schedule, at(0)), [0, 2]);
    let dropped = lanes.map(|lane| schedule.lane_counters(lane).unwrap().dropped);
    assert_eq!((dropped, schedule.counters().dropped), ([1, 0], 1));
}

#[test]
fn one_subject_cannot_fill_the_queue() {
    let limits = Limits { max_running: 1, max_queued: 10, max_queued_per_subject: 3 };
    let mut schedule = schedule(limits, LIMITS);
    let mut refused = 0;
    for number in 0..20 {
        refused += usize::from(schedule.handle_invocation(at(0), ["noisy"], number).is_err());
        starts(&mut schedule, at(0));
    }
    // One runs, three wait.
    assert_eq!((refused, schedule.queued()), (16, 3));
    assert_eq!(schedule.handle_invocation(at(0), ["quiet", "noisy"], 90), Err(90));
    assert!(schedule.handle_invocation(at(0), ["quiet"], 91).is_ok());
    let counters = schedule.counters();
    assert_eq!((counters.dropped_subject, counters.dropped), (17, 0));
}

#[test]
fn a_quiet_subject_waits_for_one_of_a_noisy_one_at_most() {
    let mut schedule = schedule(Limits { max_running: 1, ..ROOMY }, LIMITS);
    for number in 0..50 {
        schedule.handle_invocation(at(0), ["noisy"], number).unwrap();
    }
    assert_eq!(starts(&mut schedule, at(0)), [0]);
    schedule.handle_invocation(at(0), ["quiet"], 99).unwrap();
    assert!(schedule.handle_ended(JobId(0), at(1), Ended::Exited(0)).is_some());
    assert_eq!(starts(&mut schedule, at(1)), [99]);
}

#[test]
fn each_hook_has_its_own_limits() {
    let mut schedule = Schedule::new(ROOMY);
    let slow = LaneLimits { max_parallel: 1, timeout: Some(Duration::from_secs(5)), ..LIMITS };
    let slow = schedule.add_lane(rules(slow), None);
    let quick = schedule.add_lane(rules(LaneLimits { max_parallel: 2, ..LIMITS }), None);
    for number in 0..4 {
        schedule.handle_event(at(0), [(slow, vec![number], number)]);
        schedule.handle_event(at(0), [(quick, vec![number], 10 + number)]);
    }
    assert_eq!(starts(&mut schedule, at(0)), [0, 10, 11], "lanes take turns");
    schedule.handle_timeout(at(5));
    assert!(matches!(schedule.poll_command(), Some(Command::Terminate { job: JobId(0), .. })));
    assert_eq!(schedule.poll_command(), None);
    assert_eq!(schedule.lane_counters(slow).unwrap().timed_out, 1);
    assert_eq!(schedule.lane_counters(quick).unwrap().timed_out, 0);
}

#[test]
fn later_hooks_wait_for_retries_too() {
    let mut schedule = Schedule::new(ROOMY);
    let first = schedule.add_lane(rules(LaneLimits { retries: 1, ..LIMITS }), None);
    let second = schedule.add_lane(rules(LIMITS), None);
    schedule.handle_event(at(0), [(first, vec!["a"], 1), (second, vec!["a"], 2)]);
    assert_eq!(starts(&mut schedule, at(0)), [1]);
    assert_eq!(
        schedule.handle_ended(JobId(0), at(0), Ended::Exited(1)),
        Some(Verdict::Again { at: at(1), failures: 1 })
    );
    assert_eq!(starts(&mut schedule, at(0)), [0_u32; 0]);
    schedule.handle_timeout(at(1));
    assert_eq!(starts(&mut schedule, at(1)), [1]);
    schedule.handle_ended(JobId(0), at(1), Ended::Exited(1)).unwrap();
    assert_eq!(starts(&mut schedule, at(1)), [2], "a dead letter is an end too");
}

#[test]
fn what_is_handed_out_keeps_its_order_and_is_waited_for() {
    let mut schedule = Schedule::new(ROOMY);
    let handed = LaneRules { discipline: Discipline::Handed, ..rules(LIMITS) };
    let stream = schedule.add_lane(handed, None);
    let after = schedule.add_lane(rules(LIMITS), None);
    for number in 0..2 {
        schedule.handle_event(at(0), [(stream, vec!["a"], number), (after, vec!["a"], 10 + number)]);
    }
    assert_eq!(schedule.poll_command(), None);
    let (first, payload) = schedule.poll_handed(stream, at(3)).unwrap();
    assert_eq!(payload, 0);
    // The subject is free for the next at once.
    let (second, payload) = schedule.poll_handed(stream, at(3)).unwrap();
    assert_eq!(payload, 1);
    assert_eq!(schedule.poll_handed(stream, at(3)), None);
    assert_eq!(schedule.lane_counters(stream).unwrap().longest_wait, Duration::from_secs(3));
    // Acknowledged out of order: the later hook keeps to the order all the same.
    assert_eq!(schedule.handle_over(second, false), Some(1));
    assert_eq!(schedule.handle_over(second, false), None);
    assert_eq!(starts(&mut schedule, at(4)), [0_u32; 0]);
    assert_eq!(schedule.handle_over(first, false), Some(0));
    assert_eq!(starts(&mut schedule, at(4)), [10]);
    schedule.handle_ended(JobId(1), at(5), Ended::Exited(0)).unwrap();
    assert_eq!(starts(&mut schedule, at(5)), [11]);
    schedule.handle_ended(JobId(3), at(6), Ended::Exited(0)).unwrap();
    assert!(schedule.is_idle() && schedule.subjects.is_empty() && schedule.events.is_empty());
}

#[test]
fn a_successor_begins_when_its_predecessor_is_gone() {
    let mut schedule = Schedule::new(ROOMY);
    let old = schedule.add_lane(rules(LIMITS), None);
    schedule.handle_event(at(0), [(old, vec!["a"], 0)]);
    schedule.retire_lane(old);
    let new = schedule.add_lane(rules(LIMITS), Some(old));
    assert_eq!(schedule.handle_event(at(0), [(old, vec!["b"], 1)]), [(1, Refusal::NoHook)]);
    assert!(schedule.handle_event(at(0), [(new, vec!["a"], 2)]).is_empty());
    assert_eq!(starts(&mut schedule, at(0)), [0]);
    schedule.remove_lane(old);
    assert!(!schedule.is_lane_empty(old), "it has a job, so it stays");
    schedule.handle_ended(JobId(0), at(1), Ended::Exited(0)).unwrap();
    assert_eq!(starts(&mut schedule, at(1)), [0_u32; 0]);
    schedule.remove_lane(old);
    assert_eq!(starts(&mut schedule, at(1)), [2]);
    assert_eq!(schedule.counters().accepted, 2, "totals outlive their lanes");
}
