//! The event hook's promise, against random traffic: loss, doubles, disorder, restarts, filters that come and go, floods
//! over the limit. Each lease has (BOUND EXTEND* (DROP | EXPIRE | RELEASE))* and nothing else.

use std::collections::BTreeMap;

use dhcp_observer::config::KeaVersion;
use dhcp_observer::dialect::Call;
use dhcp_observer::dialect::eventhook::EventHook;
use dhcp_observer::tracker::Limits;

use crate::listener::{Listener, subject, variable};
use crate::random::{Dice, Step, exchanges, server};

const STORIES: u64 = if cfg!(debug_assertions) { 3_000 } else { 30_000 };

fn dice(seed: u64) -> Dice {
    Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed))
}

/// What the program believes: a state machine of its own, as the manual page would have it.
#[derive(Default)]
struct Program {
    /// Whose each bound lease is.
    bound: BTreeMap<String, String>,
    said: BTreeMap<&'static str, usize>,
    latest: i64,
}

fn owner(call: &Call) -> String {
    // A lease of DHCPv6 is an identity association's; of DHCPv4 a client's, which may have one name or the other.
    [variable(call, "LEASE6_DUID"), variable(call, "LEASE6_IAID"), variable(call, "LEASE6_TYPE")].join(" ")
}

impl Program {
    #[track_caller]
    fn is_called(&mut self, call: &Call, seed: u64) {
        let lease = subject(call);
        let arguments: Vec<_> = call.invocation.arguments.iter().collect();
        assert_eq!(arguments.len(), 2);
        assert_eq!(arguments[1].to_str().unwrap(), call.word);
        let held = self.bound.get(&lease);
        match call.word {
            "BOUND" => {
                assert_eq!(held, None, "seed {seed}: bound twice: {call:#?}");
                self.bound.insert(lease, owner(call));
            }
            "EXTEND" => assert_eq!(held, Some(&owner(call)), "seed {seed}: extended: {call:#?}"),
            "DROP" | "EXPIRE" | "RELEASE" => {
                assert_eq!(held, Some(&owner(call)), "seed {seed}: ended: {call:#?}");
                self.bound.remove(&lease);
            }
            word => panic!("seed {seed}: {word}"),
        }
        *self.said.entry(call.word).or_default() += 1;
        let at = call.invocation.at.as_nanos();
        assert!(at >= self.latest, "seed {seed}: time runs back: {call:#?}");
        self.latest = at;
        let mut names: Vec<_> = call.invocation.variables().map(|(name, _)| name.to_vec()).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "seed {seed}: a variable twice: {call:#?}");
    }
}

fn event_hook(limit: usize) -> EventHook {
    EventHook::new(KeaVersion::default(), limit)
}

/// Neighbours change places here and there.
fn disorder(dice: &mut Dice, steps: &mut [Step]) {
    for index in 1..steps.len() {
        if dice.one_in(12) {
            steps.swap(index - 1, index);
        }
    }
}

/// Plays one story, and gives how often each event was told.
fn play(seed: u64, limit: usize) -> BTreeMap<&'static str, usize> {
    let mut dice = dice(seed);
    let config = server(&mut dice);
    let count = usize::try_from(20 + dice.below(40)).unwrap();
    let mut steps = exchanges(&mut dice, count, &[0, 1, 1, 400, 400, 2_000, 5_000, 40_000, 1_000_000]);
    disorder(&mut dice, &mut steps);
    let limits = Limits { leases: if dice.one_in(2) { 8 } else { 3 }, exchanges: 16 };
    let mut hook = Listener::with(config, limits, event_hook(limit));
    let (mut program, mut latest) = (Program::default(), 0);
    // What had been written down, and what the program had been told, when the observer was last sure of it.
    let mut sure = hook.memory.clone();
    let mut unsure = Vec::new();
    for step in &steps {
        latest = latest.max(step.at);
        hook.at_millis(step.at).pass(&step.frame, step.direction);
        unsure.append(&mut hook.calls);
        if dice.one_in(15) {
            hook.wanted = !hook.wanted;
        }
        if dice.one_in(60) {
            hook.announce();
            unsure.append(&mut hook.calls);
        }
        if dice.one_in(3) {
            // A call and what is remembered of it are written together.
            unsure.drain(..).for_each(|call| program.is_called(&call, seed));
            sure.clone_from(&hook.memory);
        }
        if dice.one_in(40) {
            // A crash: what was not written never happened.
            unsure.clear();
            hook.memory.clone_from(&sure);
            let knows_leases = dice.one_in(2);
            hook.restart(event_hook(limit), knows_leases);
            // An extension that was lost with the crash leaves the end where it was, which may be long ago.
            program.latest = 0;
        }
        if dice.one_in(80) {
            let (now, interface) = (hook.now(), hook.interface());
            hook.dialect.stop(now, dice.one_in(2).then_some(&*interface));
            hook.drain();
            unsure.append(&mut hook.calls);
        }
        assert!(hook.memory.len() <= limit, "seed {seed}: more is remembered than the limit");
    }
    // Every lease that can run out does, and those that cannot are dropped when the hook is removed.
    hook.at_millis(latest + 10_000_000_000);
    unsure.append(&mut hook.calls);
    unsure.drain(..).for_each(|call| program.is_called(&call, seed));
    let now = hook.now();
    hook.dialect.stop(now, None);
    hook.drain();
    for call in hook.calls.drain(..) {
        assert_eq!(variable(&call, "OBSERVER_DROP_REASON"), "stopped", "seed {seed}: {call:#?}");
        program.is_called(&call, seed);
    }
    assert!(program.bound.is_empty(), "seed {seed}: owed an end: {:?}", program.bound);
    assert!(hook.memory.is_empty(), "seed {seed}: remembered for nothing");
    assert_eq!(hook.dialect.poll_timeout(), None);
    program.said
}

#[test]
fn whatever_passes_every_lease_has_one_beginning_and_one_end() {
    let mut said = BTreeMap::<&str, usize>::new();
    for seed in 1..=STORIES {
        for (word, count) in play(seed, if seed % 3 == 0 { 2 } else { 1_000 }) {
            *said.entry(word).or_default() += count;
        }
    }
    for word in ["BOUND", "EXTEND", "EXPIRE", "DROP", "RELEASE"] {
        assert!(said.get(word).is_some_and(|count| *count > 100), "too few to tell anything: {said:?}");
    }
    println!("{STORIES} stories: {said:?}");
}
