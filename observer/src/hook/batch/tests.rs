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

fn batches(limits: LaneLimits) -> Batches<u32> {
    Batches::new(limits, 3, Duration::from_secs(10))
}

fn start(batches: &mut Batches<u32>, now: Timestamp) -> u32 {
    let Some(Command::Start { life }) = batches.poll_command() else { panic!("nothing to start") };
    assert_eq!(batches.poll_command(), None, "one at a time");
    batches.handle_started(life, now);
    life
}

#[test]
fn what_no_process_has_can_be_taken_back() {
    let mut batches = batches(LaneLimits { retries: 1, ..LIMITS });
    (0..3).for_each(|call| batches.handle_call(at(0), call));
    let life = start(&mut batches, at(0));
    batches.handle_call(at(1), 3);
    assert_eq!(batches.withdraw(|call| [1, 3].contains(call)), [3], "a process has 1");
    assert_eq!(batches.poll_timeout(), Some(at(60)), "nothing is left to be handed over at 11");
    // Between two attempts there is no process.
    assert_eq!(batches.handle_ended(life, at(2), Ended::Exited(1)), Some(Verdict::Again(at(3))));
    assert_eq!(batches.withdraw(|call| *call == 1), [1]);
    assert_eq!(batches.present().0, [0, 2]);
    assert_eq!(batches.withdraw(|_| true), [0, 2]);
    assert_eq!((batches.poll_timeout(), batches.poll_command()), (None, None));
    assert!(batches.is_idle());
    // It goes on as new.
    (4..7).for_each(|call| batches.handle_call(at(2), call));
    start(&mut batches, at(2));
    assert_eq!(batches.present(), (&[4, 5, 6][..], 1));
}

#[test]
fn a_batch_is_closed_when_it_is_full() {
    let mut batches = batches(LIMITS);
    for call in 0..2 {
        batches.handle_call(at(0), call);
    }
    assert_eq!(batches.poll_command(), None);
    batches.handle_call(at(1), 2);
    assert!(!batches.has_room());
    let life = start(&mut batches, at(1));
    assert_eq!(batches.present(), (&[0, 1, 2][..], 1));
    // The next one is gathered meanwhile, and waits for its turn.
    assert!(batches.has_room());
    for call in 3..6 {
        batches.handle_call(at(2), call);
    }
    assert_eq!(batches.poll_command(), None);
    let over = batches.handle_ended(life, at(3), Ended::Exited(0));
    assert_eq!(over, Some(Verdict::Over { calls: vec![0, 1, 2], timed_out: false, gave_up: false }));
    let life = start(&mut batches, at(3));
    assert_eq!(batches.present().0, [3, 4, 5]);
    batches.handle_ended(life, at(4), Ended::Exited(1)).unwrap();
    assert!(batches.is_idle());
    assert_eq!(batches.poll_timeout(), None);
}

#[test]
fn a_batch_is_closed_when_its_first_call_has_waited_long_enough() {
    let mut batches = batches(LIMITS);
    batches.handle_call(at(0), 0);
    batches.handle_call(at(9), 1);
    assert_eq!(batches.poll_timeout(), Some(at(10)));
    batches.handle_timeout(at(9));
    assert_eq!(batches.poll_command(), None);
    batches.handle_timeout(at(10));
    start(&mut batches, at(10));
    assert_eq!(batches.present().0, [0, 1]);
    batches.handle_call(at(11), 2);
    assert_eq!(batches.poll_timeout(), Some(at(21)));
}

#[test]
fn a_batch_that_fails_is_tried_again_whole() {
    let mut batches = batches(LaneLimits { retries: 1, ..LIMITS });
    for call in 0..5 {
        if batches.has_room() {
            batches.handle_call(at(0), call);
        }
    }
    let life = start(&mut batches, at(0));
    assert_eq!(batches.handle_ended(life, at(1), Ended::Exited(1)), Some(Verdict::Again(at(2))));
    assert_eq!(batches.poll_command(), None);
    batches.handle_timeout(at(2));
    let life = start(&mut batches, at(2));
    assert_eq!(batches.present(), (&[0, 1, 2][..], 2));
    let over = batches.handle_ended(life, at(3), Ended::Signalled(9));
    assert_eq!(over, Some(Verdict::Over { calls: vec![0, 1, 2], timed_out: false, gave_up: true }));
}

#[test]
fn a_batch_that_hangs_is_ended() {
    let mut batches = batches(LIMITS);
    batches.handle_call(at(0), 0);
    batches.handle_timeout(at(10));
    let life = start(&mut batches, at(10));
    batches.handle_timeout(at(70));
    assert_eq!(batches.poll_command(), Some(Command::Signal(Signal::Terminate(life))));
    let over = batches.handle_ended(life, at(71), Ended::Signalled(15));
    assert_eq!(over, Some(Verdict::Over { calls: vec![0], timed_out: true, gave_up: false }));
    assert!(!batches.is_idle(), "its children may be there");
    batches.handle_timeout(at(73));
    assert_eq!(batches.poll_command(), Some(Command::Signal(Signal::Kill(life))));
    assert!(batches.is_idle());
}

#[test]
fn a_busy_system_uses_up_no_retry() {
    let mut batches = batches(LIMITS);
    for call in 0..3 {
        batches.handle_call(at(0), call);
    }
    let Some(Command::Start { life }) = batches.poll_command() else { panic!() };
    let ended = Ended::CouldNotStart(Step::Process, Errno::EAGAIN);
    let Some(Verdict::Again(again)) = batches.handle_ended(life, at(0), ended) else { panic!() };
    batches.handle_timeout(again);
    let life = start(&mut batches, again);
    let over = batches.handle_ended(life, again, Ended::Exited(0));
    assert_eq!(over, Some(Verdict::Over { calls: vec![0, 1, 2], timed_out: false, gave_up: false }));
}
