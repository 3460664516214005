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

fn take(batches: &mut Batches<u32>, now: Timestamp, call: u32) {
    batches.handle_call(now, call, Tried::default());
}

/// The calls of the present batch, and which attempt of each this is.
fn present(batches: &Batches<u32>) -> Vec<(u32, u32)> {
    batches.present().iter().map(|member| (member.call, member.attempts.made)).collect()
}

/// What is over, whether each is a dead letter, and when there will be another process.
fn ended(
    batches: &mut Batches<u32>,
    life: u32,
    now: Timestamp,
    ended: Ended,
) -> (Vec<(u32, bool)>, Option<Timestamp>) {
    let verdict = batches.handle_ended(life, now, ended).unwrap();
    (verdict.over.iter().map(|(member, gave_up)| (member.call, *gave_up)).collect(), verdict.again)
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
    (0..3).for_each(|call| take(&mut batches, at(0), call));
    let life = start(&mut batches, at(0));
    take(&mut batches, at(1), 3);
    assert_eq!(batches.withdraw(|call| [1, 3].contains(call)), [3], "a process has 1");
    assert_eq!(batches.poll_timeout(), Some(at(60)), "nothing is left to be handed over at 11");
    // Between two attempts there is no process.
    assert_eq!(ended(&mut batches, life, at(2), Ended::Exited(1)), (vec![], Some(at(3))));
    assert_eq!(batches.withdraw(|call| *call == 1), [1]);
    assert_eq!(present(&batches), [(0, 1), (2, 1)]);
    assert_eq!(batches.withdraw(|_| true), [0, 2]);
    assert_eq!((batches.poll_timeout(), batches.poll_command()), (None, None));
    assert!(batches.is_idle());
    // It goes on as new.
    (4..7).for_each(|call| take(&mut batches, at(2), call));
    start(&mut batches, at(2));
    assert_eq!(present(&batches), [(4, 1), (5, 1), (6, 1)]);
}

#[test]
fn a_batch_is_closed_when_it_is_full() {
    let mut batches = batches(LIMITS);
    for call in 0..2 {
        take(&mut batches, at(0), call);
    }
    assert_eq!(batches.poll_command(), None);
    take(&mut batches, at(1), 2);
    assert!(!batches.has_room());
    let life = start(&mut batches, at(1));
    assert_eq!(present(&batches), [(0, 1), (1, 1), (2, 1)]);
    // The next one is gathered meanwhile, and waits for its turn.
    assert!(batches.has_room());
    for call in 3..6 {
        take(&mut batches, at(2), call);
    }
    assert_eq!(batches.poll_command(), None);
    let over = ended(&mut batches, life, at(3), Ended::Exited(0));
    assert_eq!(over, (vec![(0, false), (1, false), (2, false)], None));
    let life = start(&mut batches, at(3));
    assert_eq!(present(&batches), [(3, 1), (4, 1), (5, 1)]);
    batches.handle_ended(life, at(4), Ended::Exited(1)).unwrap();
    assert!(batches.is_idle());
    assert_eq!(batches.poll_timeout(), None);
}

#[test]
fn a_batch_is_closed_when_its_first_call_has_waited_long_enough() {
    let mut batches = batches(LIMITS);
    take(&mut batches, at(0), 0);
    take(&mut batches, at(9), 1);
    assert_eq!(batches.poll_timeout(), Some(at(10)));
    batches.handle_timeout(at(9));
    assert_eq!(batches.poll_command(), None);
    batches.handle_timeout(at(10));
    start(&mut batches, at(10));
    assert_eq!(present(&batches), [(0, 1), (1, 1)]);
    take(&mut batches, at(11), 2);
    assert_eq!(batches.poll_timeout(), Some(at(21)));
}

#[test]
fn a_batch_that_fails_is_tried_again_whole() {
    let mut batches = batches(LaneLimits { retries: 1, ..LIMITS });
    for call in 0..5 {
        if batches.has_room() {
            take(&mut batches, at(0), call);
        }
    }
    let life = start(&mut batches, at(0));
    assert_eq!(ended(&mut batches, life, at(1), Ended::Exited(1)), (vec![], Some(at(2))));
    assert_eq!(batches.poll_command(), None);
    batches.handle_timeout(at(2));
    let life = start(&mut batches, at(2));
    assert_eq!(present(&batches), [(0, 2), (1, 2), (2, 2)]);
    let over = ended(&mut batches, life, at(3), Ended::Signalled(9));
    assert_eq!(over, (vec![(0, true), (1, true), (2, true)], None));
}

#[test]
fn calls_that_were_tried_in_an_earlier_life_have_fewer_retries_left() {
    let mut batches = batches(LaneLimits { retries: 2, ..LIMITS });
    for (call, failures) in [(0, 0), (1, 1), (2, 2)] {
        batches.handle_call(at(0), call, Tried { attempts: 9, failures });
    }
    let life = start(&mut batches, at(0));
    // Who has failed once before waits for twice as long, and the other one with it.
    assert_eq!(ended(&mut batches, life, at(0), Ended::Exited(1)), (vec![(2, true)], Some(at(2))));
    batches.handle_timeout(at(2));
    let life = start(&mut batches, at(2));
    assert_eq!(present(&batches), [(0, 2), (1, 2)]);
    assert_eq!(ended(&mut batches, life, at(2), Ended::Exited(1)), (vec![(1, true)], Some(at(4))));
    batches.handle_timeout(at(4));
    let life = start(&mut batches, at(4));
    assert_eq!(present(&batches), [(0, 3)]);
    assert_eq!(ended(&mut batches, life, at(4), Ended::Exited(0)), (vec![(0, false)], None));
    assert!(batches.is_idle());
}

#[test]
fn a_batch_that_hangs_is_ended() {
    let mut batches = batches(LIMITS);
    take(&mut batches, at(0), 0);
    batches.handle_timeout(at(10));
    let life = start(&mut batches, at(10));
    batches.handle_timeout(at(70));
    assert_eq!(batches.poll_command(), Some(Command::Signal(Signal::Terminate(life))));
    let verdict = batches.handle_ended(life, at(71), Ended::Signalled(15)).unwrap();
    assert!(verdict.timed_out && verdict.again.is_none() && verdict.over.iter().all(|(_, gave_up)| !gave_up));
    assert!(!batches.is_idle(), "its children may be there");
    batches.handle_timeout(at(73));
    assert_eq!(batches.poll_command(), Some(Command::Signal(Signal::Kill(life))));
    assert!(batches.is_idle());
}

#[test]
fn a_busy_system_uses_up_no_retry() {
    let mut batches = batches(LIMITS);
    for call in 0..3 {
        take(&mut batches, at(0), call);
    }
    let Some(Command::Start { life }) = batches.poll_command() else { panic!() };
    let refused = Ended::CouldNotStart(Step::Process, Errno::EAGAIN);
    let (over, Some(again)) = ended(&mut batches, life, at(0), refused) else { panic!() };
    assert_eq!(over, []);
    batches.handle_timeout(again);
    let life = start(&mut batches, again);
    let over = ended(&mut batches, life, again, Ended::Exited(0));
    assert_eq!(over, (vec![(0, false), (1, false), (2, false)], None));
}
