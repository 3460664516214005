//! The facade for the event loop: a [`Schedule`] and the workers that carry out its commands.

mod child;
mod progress;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use child::Child;
use nix::errno::Errno;
use nix::sys::signal::Signal;
pub use progress::{Progress, Refused};
use tokio::sync::mpsc;
use tracing::error;

use super::program::Program;
use super::schedule::{Command, Counters, Ended, Limits, Schedule, Verdict};
use super::spawn::{Launcher, Output, keep_statuses};
use super::worker::{self, Order, Report, Run};
use crate::clock::Clock;
use crate::dialect::invocation::Invocation;
use crate::time::Timestamp;

#[derive(Clone, Debug)]
struct Task<I> {
    tag: I,
    /// Attempts before this schedule, by an earlier life of the daemon.
    earlier_attempts: u32,
    invocation: Arc<Invocation>,
}

/// Runs hooks: submit invocations, await [`Hooks::progress`], call [`Hooks::handle_timeout`] when it is due.
///
/// `K` names a subject (a lease, a client); `I` is the caller's own tag for an invocation, such as an event id.
///
/// Threads and processes inherit user, capabilities, priority and working directory of the thread that calls this, so
/// make it after those are settled. Dropping it leaves running hooks alone.
pub struct Hooks<K, I> {
    schedule: Schedule<K, Task<I>>,
    children: HashMap<Run, Child<I>>,
    launcher: Arc<Launcher>,
    clock: Clock,
    places: Vec<Sender<Order>>,
    idle: Vec<usize>,
    report_sender: mpsc::Sender<Report>,
    reports: mpsc::Receiver<Report>,
}

impl<K, I> fmt::Debug for Hooks<K, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("launcher", &self.launcher).finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash, I: Clone> Hooks<K, I> {
    /// Makes ready to run `program`. Nothing is started yet.
    ///
    /// # Errors
    ///
    /// When `/dev/null` cannot be opened.
    pub fn new(program: Program, output: Output, limits: Limits, clock: Clock) -> io::Result<Self> {
        keep_statuses();
        // At most one Started and one Ended per place are on their way, for a place is used again only after its
        // Ended was taken; so a worker never waits here and neither do we.
        let (report_sender, reports) = mpsc::channel(2 * limits.max_running.max(1));
        Ok(Self {
            schedule: Schedule::new(limits),
            children: HashMap::new(),
            launcher: Arc::new(Launcher::new(program, output)?),
            clock,
            places: Vec::new(),
            idle: Vec::new(),
            report_sender,
            reports,
        })
    }

    /// Queues a hook about `subjects`, starting it at once if it may. `at` is when its event happened.
    ///
    /// `earlier_attempts` is 0 for a new event, and how often it was tried before for one that an earlier life of the
    /// daemon left behind.
    ///
    /// # Errors
    ///
    /// Gives everything back when the queue is full; this is counted as dropped, and the caller must say so loudly.
    pub fn submit(
        &mut self,
        at: Timestamp,
        subjects: impl IntoIterator<Item = K>,
        tag: I,
        earlier_attempts: u32,
        invocation: impl Into<Arc<Invocation>>,
    ) -> Result<(), Refused<I>> {
        let task = Task { tag, earlier_attempts, invocation: invocation.into() };
        self.schedule
            .handle_invocation(at, subjects, task)
            .map_err(|task| Refused { tag: task.tag, invocation: task.invocation })?;
        self.pump();
        Ok(())
    }

    /// The next thing that happened. Waits for ever while nothing runs. Safe to cancel: nothing is lost.
    pub async fn progress(&mut self) -> Progress<I> {
        loop {
            match self.reports.recv().await {
                Some(report) => {
                    if let Some(progress) = self.apply(report) {
                        return progress;
                    }
                }
                // Not while we hold a sender ourselves.
                None => std::future::pending().await,
            }
        }
    }

    /// The next thing that happened, if it has already.
    pub fn try_progress(&mut self) -> Option<Progress<I>> {
        while let Ok(report) = self.reports.try_recv() {
            if let Some(progress) = self.apply(report) {
                return Some(progress);
            }
        }
        None
    }

    /// For shutdown: lets running and queued hooks end, keeping their deadlines itself. Call it until it says `None`.
    ///
    /// Safe to cancel, so the caller can give up at a second signal or after a time of its own.
    pub async fn drain(&mut self) -> Option<Progress<I>> {
        while !self.is_idle() {
            let Some(due) = self.poll_timeout() else { return Some(self.progress().await) };
            let wait = due.since(self.clock.now());
            tokio::select! {
                progress = self.progress() => return Some(progress),
                () = tokio::time::sleep(wait) => self.handle_timeout(self.clock.now()),
            }
        }
        None
    }

    /// When [`Hooks::handle_timeout`] is next to be called.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.schedule.poll_timeout()
    }

    /// Sends the signals and starts the further attempts that are due at `now`.
    ///
    /// Take [`Hooks::try_progress`] to its end first: a hook whose end has not been heard of yet counts as hanging.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.schedule.handle_timeout(now);
        self.pump();
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.schedule.counters()
    }

    /// Hooks that wait.
    pub fn queued(&self) -> usize {
        self.schedule.queued()
    }

    /// Hooks that run.
    pub fn running(&self) -> usize {
        self.schedule.running()
    }

    /// Whether nothing waits, runs or is still to be killed.
    pub fn is_idle(&self) -> bool {
        self.schedule.is_idle()
    }

    /// The tags of the hooks that are not over, in no order: what giving up would leave undone.
    pub fn unfinished(&self) -> impl Iterator<Item = &I> {
        self.schedule.unfinished().map(|task| &task.tag)
    }

    /// The program that is run.
    pub fn program(&self) -> &Program {
        self.launcher.program()
    }

    /// Carries out every command there is.
    fn pump(&mut self) {
        while let Some(command) = self.schedule.poll_command() {
            match command {
                Command::Start { job, attempt, payload } => self.start(Run { job, attempt }, payload),
                Command::Terminate { job, attempt } => self.terminate(Run { job, attempt }),
                Command::Kill { job, attempt } => self.kill(Run { job, attempt }),
            }
        }
    }

    fn start(&mut self, run: Run, task: Task<I>) {
        let shown_attempt = task.earlier_attempts.saturating_add(run.attempt);
        let order = Order { run, invocation: Arc::clone(&task.invocation), shown_attempt };
        let place = self.place();
        let mut child = Child {
            tag: task.tag,
            shown_attempt,
            invocation: task.invocation,
            place: None,
            pid: None,
            started: self.clock.now(),
            terminated: false,
            ended: false,
        };
        let refused = match place {
            Ok(place) => {
                child.place = Some(place);
                // A worker goes away only when it panics; then its place is not used again.
                let sent = self.places.get(place).is_some_and(|orders| orders.send(order).is_ok());
                if !sent {
                    child.place = None;
                }
                (!sent).then_some(Errno::EAGAIN)
            }
            Err(errno) => Some(errno),
        };
        self.children.insert(run, child);
        if let Some(errno) = refused {
            let report = Report::Ended { run, ended: Ended::CouldNotStart(errno), at: self.clock.now() };
            if self.report_sender.try_send(report).is_err() {
                error!("a hook's report found no room, which is a mistake in this program");
            }
        }
    }

    /// A worker without an order, a new one if there is none.
    fn place(&mut self) -> Result<usize, Errno> {
        if let Some(place) = self.idle.pop() {
            return Ok(place);
        }
        let sender = worker::start(Arc::clone(&self.launcher), self.clock, self.report_sender.clone())
            .map_err(|error| error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw))?;
        self.places.push(sender);
        Ok(self.places.len() - 1)
    }

    fn terminate(&mut self, run: Run) {
        let Some(child) = self.children.get_mut(&run) else { return };
        child.terminated = true;
        child.log_signal("hook took too long: SIGTERM to its process group");
        child.signal(Signal::SIGTERM);
    }

    fn kill(&mut self, run: Run) {
        let Some(child) = self.children.get_mut(&run) else { return };
        child.terminated = false;
        if !child.ended {
            child.log_signal("hook did not end on SIGTERM: SIGKILL to its process group");
        }
        child.signal(Signal::SIGKILL);
        if child.ended {
            self.forget(run);
        }
    }

    /// Collects the process of an attempt that has ended. After this no signal can be sent to it.
    fn forget(&mut self, run: Run) {
        if let Some(pid) = self.children.remove(&run).and_then(|child| child.pid) {
            worker::collect(pid);
        }
    }

    fn apply(&mut self, report: Report) -> Option<Progress<I>> {
        match report {
            Report::Started { run, pid, at } => {
                let child = self.children.get_mut(&run)?;
                child.pid = Some(pid);
                child.started = at;
                let (tag, attempt) = (child.tag.clone(), child.shown_attempt);
                self.schedule.handle_started(run.job, at);
                Some(Progress::Started { tag, attempt, pid: pid.as_raw(), at })
            }
            Report::Ended { run, ended, at } => {
                let child = self.children.get_mut(&run)?;
                child.ended = true;
                child.log_end(ended, at);
                self.idle.extend(child.place.take());
                let (tag, attempt, lingers) = (child.tag.clone(), child.shown_attempt, child.terminated);
                if !lingers {
                    self.forget(run);
                }
                let verdict = self.schedule.handle_ended(run.job, at, ended);
                self.pump();
                Some(match verdict? {
                    Verdict::Again { at: next } => Progress::Again { tag, attempt, ended, next },
                    Verdict::Finished(finished) => Progress::Finished {
                        tag,
                        attempt,
                        ended,
                        timed_out: finished.timed_out,
                        gave_up: finished.gave_up,
                        at,
                    },
                })
            }
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
        self.children
            .values()
            .filter(|child| child.ended)
            .filter_map(|child| child.pid)
            .for_each(worker::collect);
    }
}
