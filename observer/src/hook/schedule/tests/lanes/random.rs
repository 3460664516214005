//! Random worlds, and what must always hold in them, by a model that only knows what was submitted and what is over.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A linear congruential generator: enough for choosing, and the same in every run.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn chance(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

/// A call that was accepted.
#[derive(Clone, Debug)]
struct Known {
    event: u32,
    lane: usize,
    subjects: BTreeSet<u64>,
    began: bool,
    over: bool,
}

/// What the model knows. Calls are numbered in the order of their submission.
struct Model {
    seed: u64,
    rules: Vec<LaneRules>,
    calls: Vec<Known>,
}

impl Model {
    fn is_independent(&self, lane: usize) -> bool {
        self.rules[lane].independent
    }

    /// Whether a call may begin now: rules (a), (b) and (c).
    #[track_caller]
    fn check_begin(&self, number: usize) {
        let seed = self.seed;
        let call = &self.calls[number];
        assert!(!call.over, "seed {seed}: {number} is over");
        for (older, other) in self.calls[..number].iter().enumerate() {
            let handed = self.rules[other.lane].discipline == Discipline::Handed;
            let done = other.over || handed && other.began;
            let related = other.lane == call.lane && !other.subjects.is_disjoint(&call.subjects);
            assert!(done || !related, "seed {seed}: {number} before {older} of the same subject");
            let earlier = other.event == call.event
                && other.lane < call.lane
                && !self.is_independent(call.lane)
                && !self.is_independent(other.lane);
            assert!(other.over || !earlier, "seed {seed}: {number} before {older} of an earlier hook");
        }
    }
}

fn some_rules(random: &mut Lcg) -> LaneRules {
    LaneRules {
        limits: LaneLimits {
            max_parallel: 1 + random.below(4) as usize,
            timeout: (!random.chance(3)).then(|| Duration::from_secs(1 + random.below(20))),
            kill_delay: Duration::from_secs(random.below(4)),
            retries: random.below(3) as u32,
            retry_delay: Duration::from_millis(random.below(3000)),
        },
        independent: random.chance(4),
        discipline: if random.chance(4) { Discipline::Handed } else { Discipline::Serial },
    }
}

/// An attempt under way.
struct Active {
    number: usize,
    attempt: u32,
    running: bool,
}

/// Lets a random world happen to a schedule and checks after every step what must always hold.
fn live_through(seed: u64) {
    const EVENTS: u32 = 50;
    let mut random = Lcg(seed);
    let shared = Limits {
        max_running: 1 + random.below(6) as usize,
        max_queued: 8 + random.below(90) as usize,
        max_queued_per_subject: 2 + random.below(10) as usize,
    };
    let lane_count = 1 + random.below(4) as usize;
    let rules: Vec<_> = (0..lane_count).map(|_| some_rules(&mut random)).collect();
    let subject_count = 1 + random.below(8);
    let mut schedule: Schedule<u64, usize> = Schedule::new(shared.clone());
    let lanes: Vec<_> = rules.iter().map(|rules| schedule.add_lane(rules.clone(), None)).collect();
    let mut model = Model { seed, rules, calls: Vec::new() };
    let mut now = at(0);
    let (mut submitted, mut refused, mut finished, mut withdrawn) = (0, 0, 0, 0);
    let mut active: BTreeMap<JobId, Active> = BTreeMap::new();
    let mut handed: Vec<(JobId, usize)> = Vec::new();
    let mut terminated: BTreeSet<(JobId, u32)> = BTreeSet::new();
    let mut steps = 0;
    loop {
        steps += 1;
        assert!(steps < 1_000_000, "seed {seed} does not come to an end");
        let draining = submitted >= EVENTS;
        if draining && schedule.is_idle() {
            break;
        }
        if random.chance(12) {
            // Somebody wants some calls no more.
            let (of, which) = (2 + random.below(4) as usize, random.below(2) as usize);
            let is_unwanted = |number: &usize| number % of == which;
            let taken: BTreeSet<usize> = schedule.withdraw(is_unwanted).into_iter().collect();
            let begun = |number: &usize| {
                active.values().any(|attempt| attempt.number == *number)
                    || handed.iter().any(|(_, other)| other == number)
            };
            let waiting =
                (0..model.calls.len()).filter(|number| !model.calls[*number].over && !begun(number));
            assert_eq!(taken, waiting.filter(is_unwanted).collect(), "seed {seed}");
            for number in taken {
                model.calls[number].over = true;
                withdrawn += 1;
            }
        }
        match random.below(10) {
            0..=3 if !draining => {
                // Some lanes have a call, in order, some have two.
                let mut calls = Vec::new();
                for (lane, id) in lanes.iter().enumerate() {
                    for _ in 0..[0, 1, 1, 2][random.below(4) as usize] {
                        let subjects: BTreeSet<_> =
                            (0..random.below(4)).map(|_| random.below(subject_count)).collect();
                        let known = Known { event: submitted, lane, subjects, began: false, over: false };
                        let number = model.calls.len() + calls.len();
                        calls.push((*id, known, number));
                    }
                }
                let waiting = |lane: usize, model: &Model| {
                    model.calls.iter().filter(|call| call.lane == lane && !call.began && !call.over).count()
                };
                let before: Vec<_> = (0..lane_count).map(|lane| waiting(lane, &model)).collect();
                let jobs = calls
                    .iter()
                    .map(|(id, known, number)| (*id, known.subjects.iter().copied().collect(), *number));
                let given = schedule.handle_event(now, jobs.collect::<Vec<_>>());
                refused += given.len() as u64;
                let names: BTreeMap<usize, Refusal> = given.into_iter().collect();
                for (_, mut known, number) in calls {
                    // One that was refused is as good as over, and nobody waits for it.
                    known.over = names.contains_key(&number);
                    if names.get(&number) == Some(&Refusal::Full) {
                        let share = shared.max_queued / lane_count;
                        // Retries wait too, so more may wait than have not begun.
                        assert!(
                            schedule.lane_load(lanes[known.lane]).0 >= share,
                            "seed {seed}: refused too early"
                        );
                    }
                    model.calls.push(known);
                }
                for (lane, before) in before.into_iter().enumerate() {
                    let share = shared.max_queued / lane_count;
                    assert!(
                        waiting(lane, &model) <= share.max(before),
                        "seed {seed}: more than a share wait"
                    );
                }
                submitted += 1;
            }
            0..=5 => {
                now = match schedule.poll_timeout().filter(|_| random.chance(2)) {
                    Some(next) => now.max(next),
                    None => now + Duration::from_millis(random.below(500)),
                };
                schedule.handle_timeout(now);
                assert!(
                    schedule.poll_timeout().is_none_or(|next| next > now),
                    "seed {seed}: a deadline is left"
                );
            }
            6 if !handed.is_empty() => {
                let (job, number) = handed.swap_remove(random.below(handed.len() as u64) as usize);
                assert_eq!(schedule.handle_over(job, random.chance(5)), Some(number));
                model.calls[number].over = true;
                finished += 1;
            }
            _ => {
                let nth = random.below(active.len().max(1) as u64) as usize;
                let Some((&job, attempt)) = active.iter_mut().nth(nth) else { continue };
                let ended = match random.below(6) {
                    0 if !attempt.running => Ended::CouldNotStart(Step::Program, Errno::EAGAIN),
                    1 if !attempt.running => Ended::CouldNotStart(Step::Program, Errno::ENOENT),
                    2 => Ended::Exited(1),
                    3 => Ended::Signalled(9),
                    _ => Ended::Exited(0),
                };
                if !attempt.running && !ended.never_ran() {
                    schedule.handle_started(job, now);
                    attempt.running = true;
                } else {
                    let number = attempt.number;
                    active.remove(&job);
                    match schedule.handle_ended(job, now, ended).unwrap() {
                        Verdict::Again { at, .. } => assert!(at >= now, "seed {seed}"),
                        Verdict::Finished(_) => {
                            model.calls[number].over = true;
                            finished += 1;
                        }
                    }
                }
            }
        }
        while let Some(command) = schedule.poll_command() {
            match command {
                Command::Start { lane, job, attempt, payload: number } => {
                    assert_eq!(lane, lanes[model.calls[number].lane], "seed {seed}");
                    model.check_begin(number);
                    model.calls[number].began = true;
                    assert!(active.insert(job, Active { number, attempt, running: false }).is_none());
                }
                Command::Terminate { job, attempt } => {
                    assert_eq!(active[&job].attempt, attempt, "seed {seed}");
                    assert!(terminated.insert((job, attempt)), "seed {seed}: twice");
                }
                Command::Kill { job, attempt } => {
                    assert!(
                        terminated.remove(&(job, attempt)),
                        "seed {seed}: killed before it was terminated"
                    );
                }
            }
        }
        // Something takes what is handed out, though not always at once.
        for (place, lane) in lanes.iter().enumerate() {
            while !random.chance(4) {
                let Some((job, number)) = schedule.poll_handed(*lane, now) else { break };
                assert_eq!(model.rules[place].discipline, Discipline::Handed);
                assert_eq!(model.calls[number].lane, place);
                model.check_begin(number);
                model.calls[number].began = true;
                handed.push((job, number));
            }
        }
        assert!(active.len() <= shared.max_running, "seed {seed}");
        assert_eq!(schedule.running(), active.len(), "seed {seed}");
        for (place, rules) in model.rules.iter().enumerate() {
            let of_lane = active.values().filter(|attempt| model.calls[attempt.number].lane == place).count();
            assert!(of_lane <= rules.limits.max_parallel, "seed {seed}: too many of lane {place}");
            for subject in 0..subject_count {
                let waiting = model.calls.iter().filter(|call| {
                    call.lane == place && !call.began && !call.over && call.subjects.contains(&subject)
                });
                assert!(
                    waiting.count() <= shared.max_queued_per_subject + 1,
                    "seed {seed}: one subject crowds"
                );
            }
        }
    }
    let total = schedule.counters();
    let accepted = model.calls.len() as u64 - refused;
    assert_eq!(
        (finished + withdrawn, total.accepted),
        (accepted, accepted),
        "seed {seed}: every accepted call ends"
    );
    assert_eq!(total.withdrawn, withdrawn, "seed {seed}");
    assert_eq!(total.dropped + total.dropped_subject, refused, "seed {seed}: every refusal has a name");
    assert!(model.calls.iter().all(|call| call.over));
    let ends = total.succeeded + total.non_zero + total.signalled + total.could_not_start + total.unknown;
    assert_eq!(total.started, ends - total.could_not_start, "seed {seed}");
    let by_lane = lanes.iter().map(|lane| schedule.lane_counters(*lane).unwrap());
    let sum = by_lane.fold([0; 6], |sum, lane| {
        let counts =
            [lane.accepted, lane.dropped, lane.dropped_subject, lane.started, lane.retried, lane.gave_up];
        std::array::from_fn(|place| sum[place] + counts[place])
    });
    let all =
        [total.accepted, total.dropped, total.dropped_subject, total.started, total.retried, total.gave_up];
    assert_eq!(sum, all, "seed {seed}: lanes add up");
    assert!(terminated.is_empty(), "seed {seed}: a SIGTERM without its SIGKILL");
    assert!(
        schedule.subjects.is_empty() && schedule.events.is_empty() && schedule.queued() == 0,
        "seed {seed}"
    );
}

#[test]
fn in_three_hundred_random_worlds_order_and_limits_hold_and_everything_ends() {
    for seed in 0..300 {
        live_through(seed);
    }
}
