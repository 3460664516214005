//! Whatever passes, in whatever order: some things always hold.

use std::sync::Arc;

use dhcp_observer::config::{ServerConfig, Subnet4};
use dhcp_observer::dialect::invocation::Invocation;
use dhcp_observer::frame::{Direction, Interface};
use dhcp_observer::tracker::network::Kind;
use dhcp_observer::tracker::{Answers, Limits};

use crate::config::{subnets4, threshold};
use crate::story::{Packet, START, Story};
use crate::wire4::{self, Dhcp4, ip};
use crate::wire6::{self, Dhcp6};

/// Marsaglia's xorshift: enough to be unlike what a person would write, and the same every time.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    pub fn one_in(&mut self, limit: u64) -> bool {
        self.below(limit) == 0
    }

    pub fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[usize::try_from(self.below(among.len() as u64)).unwrap()].clone()
    }

    pub fn small(&mut self, limit: u8) -> u8 {
        u8::try_from(self.below(u64::from(limit))).unwrap()
    }
}

/// A frame and when it passes, in milliseconds after the start.
pub struct Step {
    pub at: i64,
    pub frame: Vec<u8>,
    pub direction: Direction,
}

const LIFETIMES: [u32; 7] = [0, 1, 30, 30, 600, 3_600, u32::MAX];

fn v4(dice: &mut Dice) -> (Dhcp4, Dhcp4) {
    let mut client = wire4::client(dice.small(6));
    if dice.one_in(3) {
        client = client.client_id(&[1, dice.small(3)]);
    }
    if dice.one_in(3) {
        client = client.with(12, dice.pick(&[&b"one"[..], b"two", b"h-192-0-2-3"]));
    }
    let address = dice.pick(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.4", "203.0.113.5"]);
    let query = match dice.below(10) {
        0 => client.discover(),
        1 => client.select(address),
        2 => client.reboot(address),
        3..=5 => client.renew(address),
        6 => client.rebind(address),
        7 => client.release(address),
        8 => client.decline(address),
        _ => client.inform(address),
    };
    let mut answer = match dice.below(8) {
        0 => query.nak(),
        1 | 2 => query.offer(address),
        3 => query.ack_inform(),
        _ => query.ack(address),
    };
    answer = answer.lifetime(dice.pick(&LIFETIMES));
    if dice.one_in(3) {
        answer = answer.with(12, dice.pick(&[&b"one"[..], b"two", b"h-192-0-2-3"]));
    }
    if dice.one_in(4) {
        answer = answer.without(1);
    }
    (query, answer)
}

fn v6(dice: &mut Dice) -> (Dhcp6, Dhcp6) {
    let client = wire6::client(dice.small(4));
    let associations = |dice: &mut Dice| {
        let mut options = Vec::new();
        for _ in 0..dice.below(3) {
            let (iaid, valid) = (u32::from(dice.small(3)), dice.pick(&LIFETIMES));
            let last = dice.small(5);
            options.push(match dice.below(3) {
                0 => wire6::pd(
                    iaid,
                    vec![wire6::prefix(&format!("2001:db8:f0{last}::"), 56, valid / 2, valid)],
                ),
                1 => wire6::na(iaid, vec![wire6::status(3)]),
                _ => wire6::na(iaid, vec![wire6::address(&format!("2001:db8:1::{last}"), valid / 2, valid)]),
            });
        }
        options
    };
    let options = associations(dice);
    let query = match dice.below(9) {
        0 => client.solicit(options).with((14, vec![])),
        1 | 2 => client.request(options),
        3 | 4 => client.renew(options),
        5 => client.rebind(options),
        6 => client.release(options),
        7 => client.decline(options),
        _ => client.confirm(options),
    };
    let query = if dice.one_in(3) { query.relayed("2001:db8:9::1", vec![]) } else { query };
    let options = associations(dice);
    let answer = if dice.one_in(6) { query.advertise(options) } else { query.reply(options) };
    let answer = if dice.one_in(3) { answer.with((14, vec![])).with(wire6::fqdn(&["h"])) } else { answer };
    (query, answer)
}

fn script(dice: &mut Dice) -> Vec<Step> {
    exchanges(dice, 400, &[0, 1, 400, 5_000, 40_000, 1_000_000])
}

/// So many exchanges of all kinds, with one of these pauses before each, in milliseconds.
pub fn exchanges(dice: &mut Dice, count: usize, pauses: &[i64]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = 0;
    for _ in 0..count {
        at += dice.pick(pauses);
        let frames = if dice.one_in(2) {
            let (query, answer) = v4(dice);
            [query.frame(), answer.frame()]
        } else {
            let (query, answer) = v6(dice);
            [query.frame(), answer.frame()]
        };
        for (mut frame, direction) in frames.into_iter().zip([Direction::In, Direction::Out]) {
            if dice.one_in(8) {
                continue;
            }
            if dice.one_in(10) {
                let place = usize::try_from(dice.below(frame.len() as u64)).unwrap();
                frame[place] = dice.small(255);
            }
            let direction = if dice.one_in(20) { Direction::Unknown } else { direction };
            // Some come with a stamp from before.
            let back = if dice.one_in(20) { 3_000 } else { 0 };
            for _ in 0..=u8::from(dice.one_in(8)) {
                steps.push(Step { at: at - back, frame: frame.clone(), direction });
            }
            at += i64::try_from(dice.below(1_500)).unwrap();
        }
    }
    steps
}

pub fn server(dice: &mut Dice) -> ServerConfig {
    let mut config = if dice.one_in(2) {
        ServerConfig::default()
    } else {
        let subnet = |id, prefix, shared: Option<&str>| Subnet4 {
            shared_network: shared.map(Into::into),
            match_client_id: id != 2,
            cache: threshold(0.5),
            ..Subnet4::new(id, ip(prefix), 24)
        };
        subnets4(vec![subnet(1, "192.0.2.0", Some("n")), subnet(2, "198.51.100.0", Some("n"))])
    };
    let timers = &mut config.dhcp4.expired_leases;
    timers.reclaim_timer_wait_time = dice.pick(&[0, 10]);
    timers.hold_reclaimed_time = dice.pick(&[0, 60, 3_600]);
    timers.flush_reclaimed_timer_wait_time = dice.pick(&[0, 25]);
    config.dhcp6.expired_leases = *timers;
    config.dhcp4.decline_probation_period = dice.pick(&[0, 50, 86_400]);
    config.dhcp6.decline_probation_period = config.dhcp4.decline_probation_period;
    config.dhcp6.cache = threshold(0.5);
    config
}

const LIMITS: Limits = Limits { leases: 8, exchanges: 16 };

/// Plays a script. `restless` looks at the clock more often than it has to.
fn play(config: &ServerConfig, steps: &[Step], restless: bool) -> Vec<Invocation> {
    play_watching(&[], config, steps, restless)
}

/// The same with events that are not about leases.
fn play_watching(kinds: &[Kind], config: &ServerConfig, steps: &[Step], restless: bool) -> Vec<Invocation> {
    let interface = Arc::new(Interface { index: Some(1), name: "x".into() });
    let mut story = Story::tapping(config.clone(), Answers::Out, LIMITS).watching(kinds);
    let (mut calls, mut latest) = (Vec::new(), 0);
    for step in steps {
        if restless {
            while let Some(due) = story.deadline().filter(|due| *due <= step.at * 1_000_000) {
                story.at_nanos(due - 1).at_nanos(due).at_nanos(due);
            }
        }
        // Frames bring the time with them; only now and then does anybody look at the clock.
        story.stamp(step.at).pass_bytes(&interface, &step.frame, step.direction);
        latest = latest.max(step.at);
        if restless {
            story.at_millis(latest);
            assert!(story.deadline().is_none_or(|due| due > latest * 1_000_000));
        }
        let counters = story.counters();
        assert!(counters.leases4 <= 8 && counters.leases6 <= 8);
        assert!(counters.deadlines <= 1_024 + 2 * (counters.leases4 + counters.leases6));
        calls.extend(story.calls().0);
    }
    story.at_millis(latest + 10_000_000_000);
    calls.extend(story.calls().0);
    calls
}

fn number(call: &Invocation, name: &str) -> Option<i64> {
    std::str::from_utf8(call.variable(name)?).unwrap().parse().ok()
}

#[test]
fn replay_is_the_same_story_however_often_the_clock_is_looked_at() {
    let mut total = 0;
    for seed in 1..=150 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let config = server(&mut dice);
        let steps = script(&mut dice);
        let calls = play(&config, &steps, false);
        assert!(calls == play(&config, &steps, false), "seed {seed}: the same frames, another story");
        let restless = play(&config, &steps, true);
        for (index, (call, other)) in calls.iter().zip(&restless).enumerate() {
            assert_eq!(call, other, "seed {seed}, call {index}");
        }
        assert_eq!(calls.len(), restless.len(), "seed {seed}");
        check(&calls, config.dhcp4.expired_leases.reclaim_timer_wait_time != 0, seed);
        total += calls.len();
    }
    assert!(total > 30_000, "{total} calls are too few to tell anything");
}

#[test]
fn watching_for_more_is_as_steady_and_changes_no_word_about_leases() {
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for seed in 1..=40 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let config = server(&mut dice);
        let steps = script(&mut dice);
        let calls = play_watching(&Kind::ALL, &config, &steps, false);
        assert!(calls == play_watching(&Kind::ALL, &config, &steps, true), "seed {seed}: another story");
        assert!(calls.windows(2).all(|pair| pair[0].at <= pair[1].at), "seed {seed}: time runs back");
        let hook = |call: &Invocation| call.arguments.iter().next().unwrap().to_str().unwrap().to_owned();
        let (more, leases): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|call| hook(call).starts_with("observer_"));
        assert!(leases == play(&config, &steps, false), "seed {seed}: leases are told otherwise");
        for call in &more {
            let mut names: Vec<_> = call.variables().map(|(name, _)| name.to_vec()).collect();
            names.sort();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "seed {seed}: twice: {call:#?}");
            *seen.entry(hook(call)).or_default() += 1;
        }
    }
    // Answers never arrive there, and too few clients search.
    for hook in ["observer_unanswered", "observer_nak", "observer_conflict"] {
        assert!(seen.get(hook).is_some_and(|count| *count > 50), "{seen:?}");
    }
}

/// What holds for every story.
fn check(calls: &[Invocation], timer: bool, seed: u64) {
    let hook = |call: &Invocation| call.arguments.iter().next().unwrap().to_str().unwrap().to_owned();
    for pair in calls.windows(2) {
        assert!(pair[0].at <= pair[1].at, "seed {seed}: time runs back: {pair:#?}");
        // What was renewed, released or declined is also committed, with only such calls in between.
        let begun =
            ["_renew", "_rebind", "_release", "_decline"].iter().any(|end| hook(&pair[0]).ends_with(end));
        // An offer renews and commits nothing; whether a missed question was a DISCOVER nobody knows.
        let offered = matches!(pair[0].variable("QUERY4_TYPE"), Some(b"DHCPDISCOVER" | b""));
        if begun && !offered {
            assert_eq!(pair[0].at, pair[1].at, "seed {seed}: {pair:#?}");
        }
    }
    for (index, call) in calls.iter().enumerate() {
        let name = hook(call);
        if let Some(prefix) =
            ["lease4", "lease6"].into_iter().find(|family| name == format!("{family}_expire"))
        {
            let prefix = prefix.to_uppercase();
            let cltt = number(call, &format!("{prefix}_CLTT")).unwrap();
            let valid = number(call, &format!("{prefix}_VALID_LIFETIME")).unwrap();
            let end = (cltt + valid) * 1_000_000_000;
            if call.variable("OBSERVER_ESTIMATED").is_none() {
                assert!(call.at.as_nanos() >= end, "seed {seed}: early: {call:#?}");
                // A lease of no time at all ends when it begins, which is after its whole second.
                let late = call.at.as_nanos() - end;
                assert!(
                    !timer || late == 0 || (valid == 0 && late < 1_000_000_000),
                    "seed {seed}: late: {call:#?}"
                );
            }
            let declined = call.variable(&format!("{prefix}_STATE")) == Some(b"declined");
            let recovered = calls.get(index + 1).is_some_and(|next| hook(next).ends_with("_recover"));
            assert_eq!(declined, recovered, "seed {seed}: {call:#?}");
        }
        assert!(call.at.unix_seconds() >= START);
        let mut names: Vec<_> = call.variables().map(|(name, _)| name.to_vec()).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "seed {seed}: a variable twice: {call:#?}");
    }
}
