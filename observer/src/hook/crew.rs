//! Processes of hooks, started by threads of this process: a place for each that runs, and what each hook is started with.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::foreman::Foreman;
use super::schedule::{Ended, Step};
use super::spawn::{Launcher, keep_statuses};
use super::spec::Spec;
use super::worker::{Order, Report, Run, Work};
use crate::clock::Clock;

/// What a hook's processes are started with: a name for a hook that was made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Tool(pub(super) u32);

/// What stands behind a [`Tool`].
#[derive(Debug)]
struct Means {
    launcher: Arc<Launcher>,
    /// The worker of an isolated hook, which is no other hook's; its namespaces go with the hook.
    worker: Option<Sender<Order>>,
}

/// The workers.
#[derive(Debug)]
pub(super) struct Crew {
    clock: Clock,
    foreman: Foreman,
    tools: HashMap<Tool, Means>,
    next_tool: u32,
    places: Vec<Sender<Order>>,
    idle: Vec<usize>,
    busy: HashMap<Run, usize>,
    reports: mpsc::UnboundedSender<Report>,
}

impl Crew {
    /// Nobody yet, and where reports will come. Processes will have what the calling thread has at this moment.
    ///
    /// # Errors
    ///
    /// When the system has no room for another thread.
    pub(super) fn new(clock: Clock) -> io::Result<(Self, mpsc::UnboundedReceiver<Report>)> {
        keep_statuses();
        let (reports, reported) = mpsc::unbounded_channel();
        let crew = Self {
            clock,
            foreman: Foreman::start()?,
            tools: HashMap::new(),
            next_tool: 0,
            places: Vec::new(),
            idle: Vec::new(),
            busy: HashMap::new(),
            reports,
        };
        Ok((crew, reported))
    }

    /// Makes ready to start processes of a hook.
    ///
    /// # Errors
    ///
    /// When `/dev/null` cannot be opened, or there are no namespaces for an isolated hook.
    pub(super) fn prepare(&mut self, spec: &Spec) -> io::Result<Tool> {
        let launcher = Arc::new(Launcher::new(spec)?);
        let isolated = spec.attributes.isolated;
        let worker = isolated.then(|| self.foreman.isolated_worker(self.clock, self.reports.clone()));
        let means = Means { launcher, worker: worker.transpose()? };
        let tool = Tool(self.next_tool);
        self.next_tool += 1;
        self.tools.insert(tool, means);
        Ok(tool)
    }

    /// Starts no more processes of this hook.
    pub(super) fn retire(&mut self, tool: Tool) {
        self.tools.remove(&tool);
    }

    /// Starts a process. Whatever comes of that is reported.
    pub(super) fn start(&mut self, run: Run, tool: Tool, work: Work) {
        if let Err(errno) = self.try_start(run, tool, work) {
            let ended = Ended::CouldNotStart(Step::Process, errno);
            // Nobody to tell is nobody to care.
            let _ = self.reports.send(Report::Ended { run, ended, at: self.clock.now() });
        }
    }

    fn try_start(&mut self, run: Run, tool: Tool, work: Work) -> Result<(), Errno> {
        let means = self.tools.get(&tool).ok_or(Errno::ENOENT)?;
        let order = Order { run, launcher: Arc::clone(&means.launcher), work };
        // A worker goes away only when it panics; then its place is not used again.
        if let Some(orders) = &means.worker {
            return orders.send(order).map_err(|_| Errno::ESRCH);
        }
        let place = self.place()?;
        let sent = self.places.get(place).is_some_and(|orders| orders.send(order).is_ok());
        self.busy.extend(sent.then_some((run, place)));
        if sent { Ok(()) } else { Err(Errno::EAGAIN) }
    }

    /// A worker without an order, a new one if there is none.
    fn place(&mut self) -> Result<usize, Errno> {
        if let Some(place) = self.idle.pop() {
            return Ok(place);
        }
        let worker = self.foreman.worker(self.clock, self.reports.clone());
        let orders = worker.map_err(|error| error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw))?;
        self.places.push(orders);
        Ok(self.places.len() - 1)
    }

    /// Says that the report of an end was heard: its worker has nothing to do.
    pub(super) fn ended(&mut self, run: Run) {
        self.idle.extend(self.busy.remove(&run));
    }

    /// How many there are that are nobody's own.
    #[cfg(test)]
    pub(super) const fn workers(&self) -> usize {
        self.places.len()
    }

    /// Signals the process group of a process that has not been collected, so that the id is still its own.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub(super) fn signal(&self, process: Pid, signal: Signal) -> Result<(), Errno> {
        self.foreman.signal(process, signal)
    }
}
