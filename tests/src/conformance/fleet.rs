//! Many scenarios, a few at a time.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::conformance::run::{Outcome, run};
use crate::conformance::scenario::Scenario;
use crate::wait;

/// A scenario that has been played.
pub struct Played {
    /// Which.
    pub scenario: Scenario,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Plays the scenarios on this many threads, and tells of each as soon as it has ended.
///
/// Most of a scenario is waiting for deadlines of whole seconds, so there may be more threads than processors.
pub fn play(scenarios: &[Scenario], side_by_side: usize, mut tell: impl FnMut(&Played)) -> Result<Vec<Played>> {
    let queue: Mutex<VecDeque<Scenario>> = Mutex::new(scenarios.iter().copied().collect());
    let (done, ended) = mpsc::channel();
    std::thread::scope(|scope| {
        for number in 0..side_by_side.min(scenarios.len()) {
            let (queue, done) = (&queue, done.clone());
            let work = move || {
                // A function of its own, because `while let` would keep the lock for as long as its body runs.
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(scenario) = next() {
                    let start: Instant = wait::now();
                    let outcome = run(&scenario);
                    let took = wait::now() - start;
                    // Nobody listens any more only if the other end has panicked.
                    let _ = done.send(Played { scenario, outcome, took });
                }
            };
            Builder::new().name(format!("stage {number}")).spawn_scoped(scope, work).context("cannot start a thread")?;
        }
        drop(done);
        Ok(ended.iter().inspect(&mut tell).collect())
    })
}
