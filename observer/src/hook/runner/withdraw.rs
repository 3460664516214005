//! Calls that nobody wants any more.

use std::hash::Hash;

use super::Hooks;
use super::lane::{Engine, Ride};

impl<K: Clone + Eq + Hash, I: Clone> Hooks<K, I> {
    /// Takes back the calls that are not wanted, as far as no process has been started for them or told of them. Gives their
    /// tags. Nothing more is heard of them; what waited for them goes on.
    pub fn withdraw(&mut self, is_unwanted: impl Fn(&I) -> bool) -> Vec<I> {
        let tasks = self.schedule.withdraw(|task| is_unwanted(&task.tag));
        let mut withdrawn: Vec<I> = tasks.into_iter().map(|task| task.tag).collect();
        let is_unwanted = |ride: &Ride<I>| is_unwanted(&ride.task.tag);
        for lane in &mut self.lanes {
            let rides = match &mut lane.engine {
                Engine::Exec => continue,
                Engine::Batch(batches) => batches.withdraw(is_unwanted),
                Engine::Stream(stream, _) => stream.withdraw(is_unwanted),
            };
            for Ride { job, task } in rides {
                self.schedule.handle_over(job, false);
                self.schedule.count(lane.id, |counters| counters.withdrawn += 1);
                withdrawn.push(task.tag);
            }
        }
        self.pump();
        withdrawn
    }
}
