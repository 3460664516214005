use std::time::Duration;

use super::*;
use crate::hook::schedule::Step;
use nix::errno::Errno;

const LIMITS: LaneLimits = LaneLimits {
    max_parallel: 1,
    timeout: Some(Duration::from_secs(60)),
    kill_delay: Duration::from_secs(3),
    retries: 0,
    retry_delay: Duration::from_secs(1),
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// A stream with these events in flight, each call named like its event.
fn stream(limits: LaneLimits, events: &[u64]) -> Stream<u64> {
    let mut stream = Stream::new(limits, 100);
    for &event in events {
        stream.handle_call(event, event, Tried::default());
    }
    stream
}

/// Starts the process that is asked for, and gives its life.
fn start(stream: &mut Stream<u64>, now: Timestamp) -> u32 {
    let Some(Command::Start { life }) = stream.poll_command(now) else { panic!("nothing to start") };
    assert_eq!(stream.poll_command(now), None, "one at a time");
    assert_eq!(stream.poll_line(now), None, "there is nobody yet");
    stream.handle_started(life);
    life
}

/// Everything that the process is told now: calls and attempts.
fn told(stream: &mut Stream<u64>, now: Timestamp) -> Vec<(u64, u32)> {
    std::iter::from_fn(|| stream.poll_line(now).map(|(call, attempt)| (*call, attempt))).collect()
}

fn acknowledged(stream: &mut Stream<u64>, line: &str, now: Timestamp) -> Option<u64> {
    stream.handle_line(line.as_bytes(), now).map(|flight| flight.call)
}

#[test]
fn what_the_process_was_not_told_can_be_taken_back() {
    let mut stream = stream(LIMITS, &[10, 20]);
    let life = start(&mut stream, at(0));
    assert_eq!(told(&mut stream, at(0)), [(10, 1), (20, 1)]);
    for event in [30, 40, 50] {
        stream.handle_call(event, event, Tried::default());
    }
    assert_eq!(stream.withdraw(|call| [20, 30, 50].contains(call)), [30, 50], "it knows of 20");
    assert_eq!(told(&mut stream, at(0)), [(40, 1)]);
    // The next process is told again of what is left; while there is none, everything can be taken back.
    assert!(stream.handle_ended(life, at(1), Ended::Exited(1)).unwrap().again.is_some());
    assert_eq!(stream.withdraw(|call| *call == 10), [10]);
    stream.handle_timeout(at(100));
    start(&mut stream, at(100));
    assert_eq!(told(&mut stream, at(100)), [(20, 2), (40, 2)]);
    assert_eq!(acknowledged(&mut stream, "", at(101)), Some(20));
    assert_eq!(acknowledged(&mut stream, "", at(101)), Some(40));
    assert!(stream.is_idle() && stream.flights.is_empty() && stream.by_event.is_empty());
}

#[test]
fn a_line_acknowledges_the_oldest_or_the_event_that_it_names() {
    let mut stream = stream(LIMITS, &[10, 20, 30, 40, 50]);
    start(&mut stream, at(0));
    assert_eq!(told(&mut stream, at(0)), [(10, 1), (20, 1), (30, 1), (40, 1), (50, 1)]);
    assert_eq!(acknowledged(&mut stream, "ok", at(1)), Some(10));
    assert_eq!(acknowledged(&mut stream, "40", at(1)), Some(40));
    assert_eq!(acknowledged(&mut stream, "40", at(1)), None, "once");
    assert_eq!(acknowledged(&mut stream, "10", at(1)), None, "it has its acknowledgement");
    assert_eq!(acknowledged(&mut stream, "99999999999999999999999", at(1)), None);
    assert_eq!(acknowledged(&mut stream, "", at(1)), Some(20));
    assert_eq!(acknowledged(&mut stream, "30 done", at(1)), Some(30));
    assert_eq!(acknowledged(&mut stream, "x", at(1)), Some(50));
    assert_eq!(acknowledged(&mut stream, "x", at(1)), None);
    assert!(stream.is_idle() && stream.flights.is_empty() && stream.by_event.is_empty());
    assert_eq!(stream.poll_timeout(), None);
}

#[test]
fn several_calls_of_one_event_are_acknowledged_by_age() {
    let mut stream = Stream::new(LIMITS, 100);
    for call in ["first", "second"] {
        stream.handle_call(7, call, Tried::default());
    }
    let Some(Command::Start { life }) = stream.poll_command(at(0)) else { panic!() };
    stream.handle_started(life);
    while stream.poll_line(at(0)).is_some() {}
    let mut next = || stream.handle_line(b"7", at(0)).map(|flight| flight.call);
    assert_eq!([next(), next(), next()], [Some("first"), Some("second"), None]);
}

#[test]
fn what_the_process_was_not_told_cannot_be_acknowledged() {
    let mut stream = stream(LIMITS, &[1, 2]);
    start(&mut stream, at(0));
    assert_eq!(acknowledged(&mut stream, "x", at(0)), None);
    assert_eq!(stream.poll_line(at(0)), Some((&1, 1)));
    assert_eq!(acknowledged(&mut stream, "2", at(0)), None);
    assert_eq!(acknowledged(&mut stream, "1", at(0)), Some(1));
    assert_eq!(acknowledged(&mut stream, "x", at(0)), None);
    assert_eq!(told(&mut stream, at(0)), [(2, 1)]);
}

#[test]
fn the_window_bounds_what_is_in_flight() {
    let mut stream = Stream::new(LIMITS, 2);
    stream.handle_call(1, 1_u64, Tried::default());
    assert!(stream.has_room());
    stream.handle_call(2, 2, Tried::default());
    assert!(!stream.has_room());
    start(&mut stream, at(0));
    told(&mut stream, at(0));
    acknowledged(&mut stream, "2", at(0)).unwrap();
    assert!(stream.has_room());
}

#[test]
fn a_process_that_dies_is_followed_by_one_that_is_told_again_in_order() {
    let mut stream = stream(LIMITS, &[1, 2, 3, 4]);
    let life = start(&mut stream, at(0));
    for event in 1..=3 {
        assert_eq!(stream.poll_line(at(0)), Some((&event, 1)));
    }
    acknowledged(&mut stream, "2", at(0)).unwrap();
    let left = stream.handle_ended(life, at(5), Ended::Signalled(11)).unwrap();
    let expected = Left { gave_up: vec![], told: 3, again: Some(at(6)), timed_out: false };
    assert_eq!(left, expected);
    assert_eq!(stream.oldest(left.told).map(|flight| flight.call).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(stream.poll_command(at(5)), None);
    assert_eq!(stream.poll_timeout(), Some(at(6)));
    stream.handle_timeout(at(6));
    start(&mut stream, at(6));
    assert_eq!(told(&mut stream, at(6)), [(1, 2), (3, 2), (4, 1)]);
    assert_eq!(stream.handle_ended(life, at(7), Ended::Exited(0)), None, "that life is over");
}

#[test]
fn lives_that_acknowledge_nothing_are_farther_and_farther_apart() {
    let mut stream = stream(LIMITS, &[1, 2]);
    let mut now = at(0);
    let mut waits = Vec::new();
    for round in 0..6 {
        let life = start(&mut stream, now);
        told(&mut stream, now);
        if round == 3 {
            acknowledged(&mut stream, "ok", now).unwrap();
        }
        let left = stream.handle_ended(life, now, Ended::Exited(1)).unwrap();
        let again = left.again.unwrap();
        waits.push(again.since(now).as_secs());
        now = again;
        stream.handle_timeout(now);
    }
    assert_eq!(waits, [1, 2, 4, 1, 2, 4]);
}

#[test]
fn a_process_that_acknowledges_nothing_is_ended() {
    let mut stream = stream(LIMITS, &[1, 2]);
    let life = start(&mut stream, at(0));
    assert_eq!(stream.poll_timeout(), None, "it was told of nothing yet");
    told(&mut stream, at(0));
    assert_eq!(stream.poll_timeout(), Some(at(60)));
    // Each acknowledgement gives it time again, however long the others have waited.
    acknowledged(&mut stream, "1", at(50)).unwrap();
    assert_eq!(stream.poll_timeout(), Some(at(110)));
    stream.handle_timeout(at(110));
    assert_eq!(stream.poll_command(at(110)), Some(Command::Signal(Signal::Terminate(life))));
    assert_eq!(stream.poll_command(at(110)), None);
    stream.handle_timeout(at(113));
    assert_eq!(stream.poll_command(at(113)), Some(Command::Signal(Signal::Kill(life))));
    let left = stream.handle_ended(life, at(113), Ended::Signalled(9)).unwrap();
    assert_eq!((left.timed_out, left.again), (true, Some(at(114))));
}

#[test]
fn the_kill_of_an_old_life_does_not_touch_the_next_one() {
    let limits = LaneLimits { retry_delay: Duration::from_millis(1), ..LIMITS };
    let mut stream = stream(limits, &[1]);
    let first = start(&mut stream, at(0));
    told(&mut stream, at(0));
    stream.handle_timeout(at(60));
    assert_eq!(stream.poll_command(at(60)), Some(Command::Signal(Signal::Terminate(first))));
    stream.handle_ended(first, at(60), Ended::Signalled(15)).unwrap();
    stream.handle_timeout(at(61));
    let second = start(&mut stream, at(61));
    assert_ne!(first, second);
    stream.handle_timeout(at(63));
    assert_eq!(stream.poll_command(at(63)), Some(Command::Signal(Signal::Kill(first))));
}

#[test]
fn only_the_oldest_uses_up_its_retries() {
    let limits = LaneLimits { retries: 1, ..LIMITS };
    let mut stream = stream(limits, &[1, 2, 3]);
    let mut now = at(0);
    let mut gave_up = Vec::new();
    for _ in 0..4 {
        let life = start(&mut stream, now);
        told(&mut stream, now);
        let left = stream.handle_ended(life, now, Ended::Exited(1)).unwrap();
        gave_up.push(left.gave_up.iter().map(|flight| (flight.call, flight.attempts)).collect::<Vec<_>>());
        now = left.again.unwrap();
        stream.handle_timeout(now);
    }
    assert_eq!(gave_up, [vec![], vec![(1, 2)], vec![], vec![(2, 4)]]);
    start(&mut stream, now);
    assert_eq!(told(&mut stream, now), [(3, 5)]);
}

#[test]
fn calls_that_were_tried_in_an_earlier_life_have_fewer_retries_left() {
    let mut stream = Stream::new(LaneLimits { retries: 2, ..LIMITS }, 100);
    for (event, failures) in [(1, 2), (2, 1), (3, 0)] {
        stream.handle_call(event, event, Tried { attempts: 9, failures });
    }
    let mut now = at(0);
    let mut gave_up = Vec::new();
    while !stream.is_empty() {
        let life = start(&mut stream, now);
        told(&mut stream, now);
        let left = stream.handle_ended(life, now, Ended::Exited(1)).unwrap();
        gave_up.push(left.gave_up.iter().map(|flight| flight.call).collect::<Vec<_>>());
        now = left.again.unwrap_or(now);
        stream.handle_timeout(now);
    }
    assert_eq!(gave_up, [vec![1], vec![], vec![2], vec![], vec![], vec![3]]);
}

#[test]
fn a_program_that_is_not_there_uses_up_retries_and_a_busy_system_does_not() {
    let limits = LaneLimits { retries: 1, ..LIMITS };
    for (errno, given_up) in [(Errno::ENOENT, 1), (Errno::EAGAIN, 0)] {
        let mut stream = stream(limits.clone(), &[1, 2]);
        let mut now = at(0);
        let mut gave_up = 0;
        for _ in 0..2 {
            let Some(Command::Start { life }) = stream.poll_command(now) else { panic!() };
            let left = stream.handle_ended(life, now, Ended::CouldNotStart(Step::Program, errno)).unwrap();
            gave_up += left.gave_up.len();
            now = left.again.unwrap();
            stream.handle_timeout(now);
        }
        assert_eq!(gave_up, given_up, "{errno}");
    }
}

#[test]
fn one_that_closes_its_ends_gets_the_kill_delay_to_end() {
    let mut stream = stream(LIMITS, &[1, 2]);
    let life = start(&mut stream, at(0));
    assert_eq!(stream.poll_line(at(0)), Some((&1, 1)));
    stream.handle_deaf(at(10));
    assert_eq!(stream.poll_line(at(10)), None);
    assert_eq!(stream.poll_timeout(), Some(at(13)));
    stream.handle_timeout(at(13));
    assert_eq!(stream.poll_command(at(13)), Some(Command::Signal(Signal::Terminate(life))));
}

#[test]
fn at_the_end_its_input_is_closed_after_the_last_acknowledgement() {
    let mut stream = stream(LIMITS, &[1]);
    let life = start(&mut stream, at(0));
    told(&mut stream, at(0));
    stream.close();
    assert_eq!(stream.poll_command(at(0)), None, "an event is in flight");
    acknowledged(&mut stream, "ok", at(1)).unwrap();
    assert_eq!(stream.poll_command(at(1)), Some(Command::CloseInput));
    assert_eq!(stream.poll_command(at(1)), None);
    assert!(!stream.is_gone());
    assert_eq!(stream.poll_timeout(), Some(at(4)));
    let left = stream.handle_ended(life, at(2), Ended::Exited(0)).unwrap();
    assert_eq!((left.again, left.timed_out), (None, false));
    assert!(stream.is_gone());
}

#[test]
fn one_of_an_earlier_configuration_fails_three_times_and_no_more() {
    let mut stream = stream(LIMITS, &[1, 2]);
    stream.lose_patience();
    let mut now = at(0);
    let mut gave_up = Vec::new();
    for _ in 0..3 {
        assert!(!stream.is_hopeless());
        let life = start(&mut stream, now);
        told(&mut stream, now);
        let left = stream.handle_ended(life, now, Ended::Exited(1)).unwrap();
        gave_up.push(left.gave_up.len());
        now = left.again.unwrap_or(now);
        stream.handle_timeout(now);
    }
    assert_eq!(gave_up, [0, 0, 2]);
    assert!(stream.is_empty());
}
