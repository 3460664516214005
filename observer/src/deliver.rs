//! What is done with events: hooks are started for each, or each call is printed.

mod held;
mod keep;

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Arc;

use crate::clock::Clock;
use crate::dialect::Loss;
use crate::dispatch::{Dispatch, Dispatched, Route};
use crate::frame::RingPlace;
use crate::hook::{Call, Hooks, Limits, Progress, Refusal, Refused, Spec, Tried};
use crate::render;
use crate::store::{CallId, Counters, Gap, Report, StoredCall};
use crate::time::Timestamp;
use crate::tracker::{LeaseChange, LeaseEvent, Subject};

use held::Held;
use keep::{Asked, Submission};

pub use keep::Keep;

/// The receiving end of the events.
#[derive(Debug)]
pub struct Delivery {
    dispatch: Dispatch,
    /// The number of the next event that a hook is told of.
    next_event: u64,
    outlet: Outlet,
    /// Those of the hooks.
    limits: Limits,
    clock: Clock,
    /// What is kept over restarts.
    keep: Option<Box<Keep>>,
    /// All leases are to be appended again.
    wants_leases: bool,
    /// Ends of leases that may not be, where they are held back.
    held: Option<Held>,
}

#[derive(Debug)]
enum Outlet {
    /// Each call starts a hook. The tag is the number of the event and the place of the call.
    Hooks(Box<Hooks<Subject, CallId>>),
    /// Each call is a line of JSON on standard output, with the name of its hook if somebody gave it one.
    Print { out: BufWriter<Stdout>, named: bool },
}

impl Delivery {
    /// Tells these hooks, which have these limits. Those of `dispatch` are the same, in the same order.
    pub fn to_hooks(dispatch: Dispatch, hooks: Hooks<Subject, CallId>, limits: Limits, clock: Clock) -> Self {
        Self::new(dispatch, first_event(clock), Outlet::Hooks(Box::new(hooks)), limits, clock)
    }

    /// Prints every call that would be made; with the hook's name, where hooks have names.
    pub fn to_stdout(dispatch: Dispatch, named: bool, clock: Clock) -> Self {
        let out = BufWriter::new(io::stdout());
        Self::new(dispatch, 1, Outlet::Print { out, named }, Limits::default(), clock)
    }

    fn new(dispatch: Dispatch, next_event: u64, outlet: Outlet, limits: Limits, clock: Clock) -> Self {
        Self { dispatch, next_event, outlet, limits, clock, keep: None, wants_leases: false, held: None }
    }

    /// Stores from now on what events come to before it is done, and gives the hooks back what they remember. Events are
    /// numbered from `next_event`.
    pub fn set_keep(&mut self, mut keep: Keep, next_event: u64) {
        keep.set_hooks(self.dispatch.routes());
        for (hook, key, value) in keep.memories() {
            self.dispatch.recall(hook, key, value);
        }
        self.next_event = next_event;
        self.keep = Some(Box::new(keep));
    }

    /// Makes calls that an earlier life did not finish, or that somebody wants again, in their order. They are in memory
    /// already, so none of them is refused, however many there are.
    pub fn handle_stored(&mut self, calls: Vec<StoredCall>) {
        if calls.is_empty() {
            return;
        }
        let (Outlet::Hooks(hooks), Some(keep)) = (&mut self.outlet, &mut self.keep) else { return };
        let now = self.clock.now();
        let all =
            Limits { max_queued: usize::MAX, max_queued_per_subject: usize::MAX, ..self.limits.clone() };
        hooks.set_limits(all);
        for of_event in calls.chunk_by(|a, b| a.id.event == b.id.event) {
            let Some(first) = of_event.first() else { continue };
            let mut submission = Submission { at: first.at, event: first.id.event, calls: Vec::new() };
            for call in of_event {
                let Some(hook) = keep.place(&call.hook) else {
                    keep.bury(call.id, call.tried.attempts, "no hook of this name is configured", now);
                    continue;
                };
                keep.handle_stored(call);
                submission.calls.push(Call {
                    hook,
                    subjects: call.subjects.clone(),
                    tag: call.id,
                    tried: call.tried,
                    invocation: Arc::clone(&call.invocation),
                });
            }
            submit(hooks, Some(keep), submission, now);
        }
        hooks.set_limits(self.limits.clone());
    }

    /// What hooks were not told of; see [`Dispatch::losses`].
    pub fn losses(&self) -> Vec<(&str, Vec<Loss>)> {
        self.dispatch.losses()
    }

    /// Tells other hooks from now on, without losing what is under way; see [`Dispatch::replace`] and [`Hooks::replace`].
    ///
    /// # Errors
    ///
    /// As [`Hooks::replace`].
    pub fn replace(&mut self, routes: Vec<Route>, specs: Vec<Spec>, limits: Limits) -> io::Result<()> {
        if let Outlet::Hooks(hooks) = &mut self.outlet {
            if let Some(keep) = &mut self.keep {
                // Those that wait for the store belong to the hooks of before, which bring them to their end.
                let now = self.clock.now();
                for submission in keep.take_waiting() {
                    submit(hooks, Some(keep), submission, now);
                }
            }
            hooks.replace(specs)?;
            hooks.set_limits(limits.clone());
            self.limits = limits;
        }
        self.dispatch.replace(routes);
        if let Some(keep) = &mut self.keep {
            keep.set_hooks(self.dispatch.routes());
        }
        Ok(())
    }

    /// How many leases the filters of a hook remember.
    pub fn set_lease_limit(&mut self, limit: usize) {
        self.dispatch.set_lease_limit(limit);
    }

    /// Whether a hook wants to be told messages for which no server calls one.
    pub fn wants_heard(&self) -> bool {
        self.dispatch.wants_heard()
    }

    /// Takes in one event. A call that finds the queue full is dropped and counted by [`Hooks::counters`].
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn handle_event(&mut self, event: &LeaseEvent) -> io::Result<()> {
        if self.held.as_mut().is_none_or(|held| held.admit(event)) {
            self.dispatch.handle_event(event);
        }
        self.pump()
    }

    /// Has the ends of leases held back that may have been renewed while frames were missed.
    pub fn hold_ends(&mut self) {
        self.held = Some(Held::default());
    }

    /// Says when this life began: calls of what happened before are marked as late.
    pub fn set_start(&mut self, start: Timestamp) {
        self.dispatch.set_start(start);
    }

    /// The hooks that are to be told at the start of the leases that there are are told of this one.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn announce(&mut self, hooks: &[usize], event: &LeaseEvent) -> io::Result<()> {
        for &hook in hooks {
            self.dispatch.announce(hook, event);
        }
        self.pump()
    }

    /// Lets every deadline of a dialect at or before `now` happen. The hooks' own deadlines are apart, because those are
    /// about processes, and a capture file has none.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn handle_timeout(&mut self, now: Timestamp) -> io::Result<()> {
        while let Some(event) = self.held.as_mut().and_then(|held| held.poll_due(now)) {
            self.dispatch.handle_event(&event);
        }
        self.dispatch.handle_timeout(now);
        self.pump()
    }

    /// The next moment at which [`Delivery::handle_timeout`] should be called.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let held = self.held.as_ref().and_then(|held| held.poll_timeout());
        [self.dispatch.poll_timeout(), held].into_iter().flatten().min()
    }

    /// Passes on what the events came to.
    fn pump(&mut self) -> io::Result<()> {
        while let Some(dispatched) = self.dispatch.poll_dispatched() {
            let number = self.next_event;
            self.next_event += 1;
            self.tell(number, dispatched)?;
        }
        while let Some((hook, memory)) = self.dispatch.poll_memory() {
            if let Some(keep) = &mut self.keep {
                keep.handle_memory(hook, memory);
            }
        }
        Ok(())
    }

    fn tell(&mut self, number: u64, dispatched: Dispatched) -> io::Result<()> {
        match &mut self.outlet {
            Outlet::Hooks(hooks) => match &mut self.keep {
                Some(keep) => keep.handle_dispatched(number, dispatched),
                None => {
                    let Dispatched { at, calls, .. } = dispatched;
                    let calls = calls.into_iter().enumerate().map(|(position, (hook, call))| Call {
                        hook,
                        subjects: call.subjects,
                        tag: call_id(number, position),
                        tried: Tried::default(),
                        invocation: Arc::new(call.invocation),
                    });
                    // The queue counts what it refuses, and the owner of the loop says so.
                    let _refused = hooks.submit(at, number, calls);
                }
            },
            Outlet::Print { out, named } => {
                for (hook, call) in dispatched.calls {
                    let route = self.dispatch.routes().nth(hook).filter(|_| *named);
                    let name = route.map(|route| route.name.as_str());
                    writeln!(out, "{}", render::invocation_json(name, &call.invocation))?;
                }
            }
        }
        Ok(())
    }

    /// Whether anything is kept: then changes of leases are to be given to [`Delivery::commit`].
    pub fn keeps(&self) -> bool {
        self.keep.is_some()
    }

    /// What is kept, for looking.
    pub fn keep(&self) -> Option<&Keep> {
        self.keep.as_deref()
    }

    /// Says that a frame or a deadline is done with: what it came to is stored as one change.
    pub fn commit(&mut self, leases: impl Iterator<Item = LeaseChange>, latest: Timestamp) {
        let Self { keep: Some(keep), held, .. } = self else { return };
        match held {
            None => keep.commit(leases, latest),
            Some(held) => {
                let returned = held.take_returned();
                let admitted = leases.filter_map(|change| held.admit_change(change));
                keep.commit(returned.into_iter().chain(admitted), latest);
            }
        }
    }

    /// Says up to where the ring is read, for what is committed from now on. `None` leaves it as it was.
    pub fn set_read_up_to(&mut self, place: Option<RingPlace>) {
        if let (Some(keep), Some(place)) = (&mut self.keep, place) {
            keep.set_read_up_to(place);
        }
    }

    /// Says that frames may have been missed in this time, as an earlier life has noted.
    pub fn recall_gap(&mut self, from: Timestamp, until: Timestamp) {
        self.dispatch.add_gap(from, until);
        if let Some(held) = &mut self.held {
            held.add_gap(from, until);
        }
    }

    /// Notes a time in which frames may have been missed.
    pub fn note_gap(&mut self, gap: Gap) {
        self.recall_gap(gap.from, gap.until);
        if let Some(keep) = &mut self.keep {
            keep.handle_gap(gap);
        }
    }

    /// Notes that nothing from before this moment is still to come.
    pub fn note_time(&mut self, latest: Timestamp) {
        if let Some(keep) = &mut self.keep {
            keep.note_time(latest);
        }
    }

    /// What filters and dialects had no room for, with its name.
    pub fn over_limit(&self) -> [(&'static str, u64); 2] {
        self.dispatch.over_limit()
    }

    /// Whether more may come in. If not, frames are to wait in the ring until [`Delivery::progress`] says something.
    pub fn has_room(&self) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep.has_room())
    }

    /// Changes that are not stored yet.
    pub fn pending(&self) -> usize {
        self.keep.as_ref().map_or(0, |keep| keep.pending())
    }

    /// Whether all leases are to be given to [`Delivery::append_leases`]; asked once.
    pub fn take_wants_leases(&mut self) -> bool {
        std::mem::take(&mut self.wants_leases)
    }

    /// Leases that were wanted again; `is_last` says that these are the last.
    pub fn append_leases(&mut self, mut leases: Vec<LeaseChange>, is_last: bool) {
        let Self { keep: Some(keep), held, .. } = self else { return };
        if let Some(held) = held {
            leases = leases.into_iter().filter_map(|change| held.admit_change(change)).collect();
            leases.extend(held.leases().filter(|_| is_last));
        }
        keep.append_leases(leases);
        if is_last {
            keep.complete();
        }
    }

    /// Writes out what was printed so far.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.outlet {
            Outlet::Hooks(_) => Ok(()),
            Outlet::Print { out, .. } => out.flush(),
        }
    }

    /// Waits until something has happened to a hook or in the store; for ever, where there are none. Can be cancelled
    /// without losing anything.
    pub async fn progress(&mut self) {
        let Self { outlet, keep, .. } = self;
        let hooks = async {
            match outlet {
                Outlet::Hooks(hooks) => hooks.progress().await,
                Outlet::Print { .. } => std::future::pending().await,
            }
        };
        let store = async {
            match keep {
                Some(keep) => keep.report().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            progress = hooks => self.handle_progress(&progress),
            report = store => self.handle_report(report),
        }
    }

    /// Takes in everything that has happened already.
    pub fn take_progress(&mut self) {
        while let Some(report) = self.keep.as_mut().and_then(|keep| keep.try_report()) {
            self.handle_report(report);
        }
        while let Some(progress) = self.hooks().and_then(|hooks| hooks.try_progress()) {
            self.handle_progress(&progress);
        }
    }

    /// Like [`Hooks::drain`], and waits for the store too: says whether there was anything to wait for.
    pub async fn drain(&mut self) -> bool {
        let Self { outlet, keep, .. } = self;
        let Outlet::Hooks(hooks) = outlet else { return false };
        let Some(keep) = keep.as_mut().filter(|keep| keep.pending() > 0) else {
            return match hooks.drain().await {
                Some(progress) => {
                    self.handle_progress(&progress);
                    true
                }
                None => false,
            };
        };
        let report = if hooks.is_idle() {
            keep.report().await
        } else {
            tokio::select! {
                report = keep.report() => report,
                Some(progress) = hooks.drain() => {
                    self.handle_progress(&progress);
                    return true;
                }
                else => return false,
            }
        };
        self.handle_report(report);
        true
    }

    fn handle_progress(&mut self, progress: &Progress<CallId>) {
        if let Some(keep) = &mut self.keep {
            keep.handle_progress(progress, self.clock.now());
        }
    }

    fn handle_report(&mut self, report: Report) {
        let now = self.clock.now();
        let (Outlet::Hooks(hooks), Some(keep)) = (&mut self.outlet, &mut self.keep) else { return };
        let Asked { ready, again, unwanted, leases } = keep.handle_report(report);
        for submission in ready {
            submit(hooks, Some(keep), submission, now);
        }
        if !unwanted.is_empty() {
            let waiting = keep.withdraw(&unwanted);
            let queued = hooks.withdraw(|call| unwanted.contains(call));
            keep.handle_unwanted(&unwanted, &waiting.into_iter().chain(queued).collect());
        }
        self.wants_leases |= leases;
        self.handle_stored(again);
    }

    /// Stores what there is and closes the database. Waits for the disk. Gives what was counted, where there was a store.
    pub fn close(&mut self) -> Option<Counters> {
        self.keep.take().map(|keep| keep.close())
    }

    /// Lets what is due for hooks happen.
    pub fn handle_hooks(&mut self, now: Timestamp) {
        // A hook whose end has not been heard of would count as hanging.
        self.take_progress();
        if let Some(hooks) = self.hooks() {
            hooks.handle_timeout(now);
        }
    }

    /// The hooks, where there are any.
    pub fn hooks(&mut self) -> Option<&mut Hooks<Subject, CallId>> {
        match &mut self.outlet {
            Outlet::Hooks(hooks) => Some(hooks),
            Outlet::Print { .. } => None,
        }
    }
}

/// A call's name.
fn call_id(event: u64, position: usize) -> CallId {
    // There are 256 hooks at most, and as many calls of each for one event as it has leases.
    CallId { event, position: u16::try_from(position).unwrap_or(u16::MAX) }
}

/// Hands the calls of an event to the hooks. What they do not take stays in the store as a dead letter; the queue counts it,
/// and the owner of the loop says so.
fn submit(
    hooks: &mut Hooks<Subject, CallId>,
    keep: Option<&mut Keep>,
    submission: Submission,
    now: Timestamp,
) {
    let Submission { at, event, calls } = submission;
    let refused = hooks.submit(at, event, calls);
    let Some(keep) = keep else { return };
    for Refused { tag, refusal, .. } in refused {
        let why = match refusal {
            Refusal::Full => "not tried: too many calls of this hook waited",
            Refusal::SubjectFull => "not tried: too many calls of this hook about one lease waited",
            Refusal::NoHook => "no hook of this name is configured",
        };
        keep.bury(tag, 0, why, now);
    }
}

/// Numbers of events never repeat, not even after a restart: they begin with the wall clock in microseconds, and there is
/// less than one event in each.
fn first_event(clock: Clock) -> u64 {
    u64::try_from(clock.now().as_nanos() / 1_000).unwrap_or(1)
}
