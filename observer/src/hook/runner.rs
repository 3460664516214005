//! The facade for the event loop: a [`Schedule`], what each hook's mode needs, and the workers that carry it all out.

mod child;
mod durations;
mod lane;
mod process;
mod progress;
#[cfg(test)]
mod tests;
mod wires;
mod withdraw;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::hash::Hash;
use std::io;
use std::task::{Context, Poll};

use child::Child;
use durations::HookDurations;
use lane::{Lane, Task};
pub use progress::{Call, Progress, Refused};
use tokio::sync::mpsc;

use super::crew::Crew;
use super::schedule::{Counters, LaneId, Limits, Schedule};
use super::spawner::Spawner;
use super::spec::Spec;
use super::staff::Staff;
use super::worker::{Report, Run};
use crate::clock::Clock;
use crate::status;
use crate::time::Timestamp;

/// Runs hooks: submit calls, await [`Hooks::progress`], call [`Hooks::handle_timeout`] when it is due.
///
/// `K` names a subject (a lease, a client); `I` is the caller's own tag for a call, such as its row in the store.
///
/// Processes inherit user, capabilities, priority and working directory of the thread that makes this, as they are at that
/// moment; what it gives up later, hooks keep. Dropping it leaves running hooks alone.
pub struct Hooks<K, I> {
    schedule: Schedule<K, Task<I>>,
    /// Those of the configuration and those that still have work from an earlier one.
    lanes: Vec<Lane<I>>,
    /// The lanes of the configuration in its order.
    order: Vec<LaneId>,
    children: HashMap<Run, Child<I>>,
    clock: Clock,
    staff: Staff,
    /// Ends of what could not even be ordered.
    unstarted: VecDeque<Report>,
    /// At most one Started and one Ended per place are on their way, for a place is used again only after its Ended was
    /// taken.
    reports: mpsc::UnboundedReceiver<Report>,
    /// What happened and was not told yet.
    news: VecDeque<Progress<I>>,
    durations: HookDurations,
}

impl<K, I> fmt::Debug for Hooks<K, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("order", &self.order).finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash, I: Clone> Hooks<K, I> {
    /// Makes ready to run these hooks, in this order. No process is started yet.
    ///
    /// # Errors
    ///
    /// When `/dev/null` cannot be opened, there is no room for a thread, or there are no namespaces for an isolated hook.
    pub fn new(specs: Vec<Spec>, limits: Limits, clock: Clock) -> io::Result<Self> {
        let (crew, reports) = Crew::new(clock)?;
        Self::with_staff(specs, limits, clock, Staff::Threads(crew), reports)
    }

    /// The same with processes that a spawner starts, which has read the same hooks in the same order.
    ///
    /// # Errors
    ///
    /// As [`Hooks::new`], and when the spawner has ended.
    pub fn with_spawner(
        specs: Vec<Spec>,
        limits: Limits,
        clock: Clock,
        spawner: Spawner,
    ) -> io::Result<Self> {
        let (link, reports) = spawner.hire(clock);
        Self::with_staff(specs, limits, clock, Staff::Process(link), reports)
    }

    fn with_staff(
        specs: Vec<Spec>,
        limits: Limits,
        clock: Clock,
        staff: Staff,
        reports: mpsc::UnboundedReceiver<Report>,
    ) -> io::Result<Self> {
        let mut hooks = Self {
            schedule: Schedule::new(limits),
            lanes: Vec::new(),
            order: Vec::new(),
            children: HashMap::new(),
            clock,
            staff,
            unstarted: VecDeque::new(),
            reports,
            news: VecDeque::new(),
            durations: HookDurations::default(),
        };
        hooks.replace(specs)?;
        Ok(hooks)
    }

    /// Has these hooks, in this order, from now on. One that is as it was goes on as it is, its process included. What was
    /// submitted to one that is gone or different is brought to its end by the old rules; a different one of the same name
    /// begins when that is done, so that the order of each subject holds.
    ///
    /// # Errors
    ///
    /// When `/dev/null` cannot be opened, or there are no namespaces for an isolated hook; then everything is as it was.
    pub fn replace(&mut self, specs: Vec<Spec>) -> io::Result<()> {
        let mut fresh = Vec::new();
        let mut order = Vec::new();
        for (place, spec) in specs.into_iter().enumerate() {
            let kept = self.order.iter().find(|id| self.lane(**id).is_some_and(|lane| lane.spec == spec));
            order.push(kept.copied());
            if kept.is_some() {
                continue;
            }
            match self.staff.prepare(place, &spec) {
                Ok(tool) => fresh.push((spec, tool)),
                Err(error) => {
                    fresh.into_iter().for_each(|(_, tool)| self.staff.retire(tool));
                    return Err(error);
                }
            }
        }
        for id in std::mem::take(&mut self.order) {
            if !order.contains(&Some(id)) {
                self.retire(id);
            }
        }
        let mut fresh = fresh.into_iter();
        for kept in order {
            let id = match kept {
                Some(id) => Some(id),
                None => fresh.next().map(|(spec, tool)| {
                    // The latest of that name, if it is still there.
                    let before = self.lanes.iter().rev().find(|lane| lane.spec.name == spec.name);
                    let before = before.map(|lane| lane.id);
                    let lane = Lane::new(&mut self.schedule, spec, tool, before);
                    let id = lane.id;
                    self.lanes.push(lane);
                    id
                }),
            };
            self.order.extend(id);
        }
        self.pump();
        Ok(())
    }

    /// Changes what all hooks share.
    pub fn set_limits(&mut self, limits: Limits) {
        self.schedule.set_limits(limits);
        self.pump();
    }

    /// Queues the calls of one event, starting what may start. `at` is when it happened, `event` its number.
    ///
    /// Gives back the calls for which there was no room, or no hook. This is counted as dropped, and the caller must say so
    /// loudly; the others go on without them.
    pub fn submit(
        &mut self,
        at: Timestamp,
        event: u64,
        calls: impl IntoIterator<Item = Call<K, I>>,
    ) -> Vec<Refused<I>> {
        let mut calls: Vec<_> = calls.into_iter().collect();
        calls.sort_by_key(|call| call.hook);
        let order = &self.order;
        let jobs = calls.into_iter().map(|call| {
            let Call { hook, subjects, tag, tried, invocation } = call;
            let lane = order.get(hook).copied().unwrap_or(LaneId::NONE);
            (lane, subjects, tried, Task { hook, tag, event, tried, invocation })
        });
        let refused = self.schedule.handle_event_again(at, jobs);
        self.pump();
        let give_back = |(task, refusal): (Task<I>, _)| {
            let Task { hook, tag, invocation, .. } = task;
            Refused { hook, tag, invocation, refusal }
        };
        refused.into_iter().map(give_back).collect()
    }

    /// The next thing that happened. Waits for ever while nothing runs. Safe to cancel: nothing is lost.
    ///
    /// Meanwhile [`Hooks::poll_timeout`] may come nearer without news, when a process without a call of its own starts: look
    /// at it every second or so all the same.
    pub async fn progress(&mut self) -> Progress<I> {
        poll_fn(|context| self.poll_progress(context)).await
    }

    fn poll_progress(&mut self, context: &mut Context<'_>) -> Poll<Progress<I>> {
        loop {
            if let Some(news) = self.try_progress() {
                return Poll::Ready(news);
            }
            // Closed when a spawner has ended, which its own word tells.
            if let Poll::Ready(Some(report)) = self.reports.poll_recv(context) {
                self.apply(report);
                continue;
            }
            if !self.poll_wires(context) {
                return Poll::Pending;
            }
        }
    }

    /// The next thing that happened, if it has already.
    pub fn try_progress(&mut self) -> Option<Progress<I>> {
        loop {
            if let Some(news) = self.news.pop_front() {
                self.durations.note(&news, self.clock.now());
                return Some(news);
            }
            let unstarted = self.unstarted.pop_front();
            if let Some(report) = unstarted.or_else(|| self.reports.try_recv().ok()) {
                self.apply(report);
            } else if !self.serve_wires() {
                return None;
            }
        }
    }

    /// For shutdown: lets running and queued hooks end, keeping their deadlines itself. Call it until it says `None`.
    ///
    /// When everything is done, long-lived processes have their standard input closed and are waited for, until their kill
    /// delay has passed twice at most. One that fails again and again is not waited for:
    /// [`Hooks::unfinished`] says what that leaves.
    ///
    /// Safe to cancel, so the caller can give up at a second signal or after a time of its own.
    pub async fn drain(&mut self) -> Option<Progress<I>> {
        loop {
            if let Some(news) = self.try_progress() {
                return Some(news);
            }
            if self.schedule.is_idle() {
                self.close_streams();
            }
            if self.is_idle() || self.is_stuck() {
                return None;
            }
            let due = self.poll_timeout();
            let wait = due.map(|due| due.since(self.clock.now())).unwrap_or_default();
            tokio::select! {
                () = self.stirring() => {}
                () = tokio::time::sleep(wait), if due.is_some() => self.handle_timeout(self.clock.now()),
            }
        }
    }

    /// Waits until something has happened, be it news or not. Take [`Hooks::try_progress`] to its end first, and again
    /// afterwards.
    async fn stirring(&mut self) {
        poll_fn(|context| {
            if let Poll::Ready(Some(report)) = self.reports.poll_recv(context) {
                self.apply(report);
                return Poll::Ready(());
            }
            if self.poll_wires(context) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// When [`Hooks::handle_timeout`] is next to be called.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let lanes = self.lanes.iter().filter_map(|lane| lane.poll_timeout());
        lanes.chain(self.schedule.poll_timeout()).min()
    }

    /// Sends the signals, closes the batches and starts the further attempts that are due at `now`.
    ///
    /// Take [`Hooks::try_progress`] to its end first: a hook whose end has not been heard of yet counts as hanging.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.schedule.handle_timeout(now);
        self.lanes.iter_mut().for_each(|lane| lane.handle_timeout(now));
        self.pump();
    }

    /// What has been counted in all.
    pub fn counters(&self) -> Counters {
        self.schedule.counters()
    }

    /// What has been counted of each hook of the configuration, in its order.
    pub fn counters_by_hook(&self) -> impl Iterator<Item = (&str, Counters)> {
        self.order.iter().filter_map(|id| {
            let counters = self.schedule.lane_counters(*id)?;
            Some((self.lane(*id)?.spec.name.as_str(), counters))
        })
    }

    /// How each hook of the configuration stands, in its order.
    pub fn status(&self) -> Vec<status::Hook> {
        let lanes = self.order.iter().filter_map(|id| Some((*id, self.lane(*id)?)));
        lanes
            .map(|(id, lane)| {
                let counters = self.schedule.lane_counters(id).unwrap_or_default();
                let (queued, running) = self.schedule.lane_load(id);
                status::Hook {
                    name: lane.spec.name.clone(),
                    mode: lane.spec.mode.name().to_owned(),
                    queued: queued as u64,
                    running: running as u64,
                    counts: counters.named().map(|(name, count)| (name.to_owned(), count)).collect(),
                    durations: self.durations.of(&lane.spec.name),
                }
            })
            .collect()
    }

    /// Calls that wait.
    pub fn queued(&self) -> usize {
        self.schedule.queued()
    }

    /// Whether every hook has at least half of its room in the queue left.
    pub fn has_room(&self) -> bool {
        self.schedule.has_room()
    }

    /// Processes that run for a call or a batch, and calls that wait for a stream's acknowledgement.
    pub fn running(&self) -> usize {
        self.schedule.running() + self.lanes.iter().map(Lane::running).sum::<usize>()
    }

    /// Whether nothing waits or runs, or is still to be killed. A long-lived process without work may be there.
    pub fn is_idle(&self) -> bool {
        self.schedule.is_idle() && self.news.is_empty() && self.lanes.iter().all(Lane::is_idle)
    }

    /// The tags of the calls that are not over, in no order: what giving up would leave undone.
    pub fn unfinished(&self) -> impl Iterator<Item = &I> {
        self.schedule.unfinished().map(|task| &task.tag)
    }

    fn lane(&self, id: LaneId) -> Option<&Lane<I>> {
        self.lanes.iter().find(|lane| lane.id == id)
    }

    fn lane_mut(&mut self, id: LaneId) -> Option<&mut Lane<I>> {
        self.lanes.iter_mut().find(|lane| lane.id == id)
    }

    fn retire(&mut self, id: LaneId) {
        self.schedule.retire_lane(id);
        if let Some(lane) = self.lane_mut(id) {
            lane.retire();
        }
    }
}

impl<K, I> Drop for Hooks<K, I> {
    /// Collects what has ended; workers collect the rest when it ends, for from here on nobody hears their reports.
    fn drop(&mut self) {
        self.reports.close();
        while let Ok(report) = self.reports.try_recv() {
            match report {
                Report::Started { run, pid, .. } => {
                    self.children.entry(run).and_modify(|child| child.pid = Some(pid));
                }
                Report::Ended { run, .. } => {
                    self.children.entry(run).and_modify(|child| child.ended = true);
                }
            }
        }
        for (run, child) in &self.children {
            if let (true, Some(pid)) = (child.ended, child.pid) {
                self.staff.collect(*run, pid);
            }
        }
    }
}
