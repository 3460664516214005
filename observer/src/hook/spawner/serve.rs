//! The spawner's end: orders are carried out as far as they are in order.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::MsgFlags;
use nix::unistd::Pid;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{error, warn};

use super::super::crew::{Crew, Tool};
use super::super::schedule::{Ended, Step};
use super::super::spec::{Mode, Spec};
use super::super::worker::{self, Report, Run, Work};
use super::channel::{self, Incoming};
use super::message::{Course, Order, With, Word};
use crate::clock::Clock;
use crate::config::file::Text;
use crate::dialect::invocation::{Invocation, Strings};
use crate::dialect::{DialectName, vocabulary};

/// How many processes may have ended and not been collected: those of hooks that were told to end stay until they would be
/// killed.
const ZOMBIES: usize = 4_096;
/// How many hooks there may be, with those of earlier configurations that have not done their work.
const TOOLS: usize = 4_096;

/// What a spawner knows from its own reading.
#[derive(Debug)]
pub struct Rules {
    /// The hooks in their order, and whose words their calls have.
    pub hooks: Vec<(Spec, DialectName)>,
    /// The most processes of calls side by side.
    pub most: usize,
    /// The configuration file, where there is one.
    pub text: Option<Text>,
}

/// Serves an observer until it ends. `read` reads the configuration; the result says whether the observer ended as it
/// should.
///
/// # Errors
///
/// When the system has no room for it.
pub async fn serve(socket: OwnedFd, read: impl FnMut() -> Result<Rules, String>) -> Result<bool> {
    // Who ends the observer ends us, by the end of the socket; a terminal tells both.
    for ignored in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGPIPE] {
        // SAFETY: no code of ours runs in a handler. Hooks have every signal at its default.
        unsafe { signal(ignored, SigHandler::SigIgn) }.context("signals cannot be ignored")?;
    }
    attend(socket, read).await
}

/// The same without regard to signals.
pub(super) async fn attend(socket: OwnedFd, read: impl FnMut() -> Result<Rules, String>) -> Result<bool> {
    let clock = Clock::new();
    let (crew, reports) = Crew::new(clock).context("no threads for hooks")?;
    // SAFETY: the descriptor is open, and the same, for as long as the event loop has it.
    let socket = unsafe { AsyncFd::register(socket) }.context("the observer cannot be heard")?;
    let desk = Desk {
        read,
        hooks: Vec::new(),
        most: 0,
        crew,
        clock,
        tools: HashMap::new(),
        runs: HashMap::new(),
        running: 0,
        words: Vec::new(),
    };
    desk.run(&socket, reports).await
}

/// The state of a spawner.
struct Desk<R> {
    read: R,
    /// As they were read last.
    hooks: Vec<(Spec, DialectName)>,
    /// As many processes as an observer has reason to order, by the most generous of the configurations that were read.
    most: usize,
    crew: Crew,
    clock: Clock,
    tools: HashMap<Tool, Told>,
    /// Those that were ordered and are not over, and those whose process was not collected.
    runs: HashMap<Run, Stage>,
    /// How many of these are not over.
    running: usize,
    /// What is to be said.
    words: Vec<Word>,
}

/// How a hook is told of events.
struct Told {
    hook: Arc<str>,
    mode: Mode,
    dialect: DialectName,
}

/// How far an order has come.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Ordered,
    Running(Pid),
    Zombie(Pid),
}

impl<R: FnMut() -> Result<Rules, String>> Desk<R> {
    async fn run(
        mut self,
        socket: &AsyncFd<OwnedFd>,
        mut reports: UnboundedReceiver<Report>,
    ) -> Result<bool> {
        let mut incoming = Incoming::default();
        loop {
            tokio::select! {
                guard = socket.readable() => {
                    let mut guard = guard?;
                    match incoming.read(socket.as_fd(), MsgFlags::MSG_DONTWAIT) {
                        Ok(true) => {}
                        Ok(false) => return Ok(false),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => guard.clear_ready(),
                        Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                        Err(error) => return Err(error.into()),
                    }
                }
                Some(report) = reports.recv() => self.handle_report(&report),
            }
            loop {
                let Some(octets) = incoming.take().context("an order that cannot be")? else { break };
                let order: Order<'_> =
                    postcard::from_bytes(octets).context("an order that cannot be understood")?;
                if matches!(order, Order::Finish) {
                    return Ok(true);
                }
                let piped = matches!(order, Order::Start { with: With::Stream, .. });
                let job = self.handle_order(order);
                let pipes = if piped { incoming.descriptor().zip(incoming.descriptor()) } else { None };
                if let Some((run, tool, work)) = job {
                    let work = work.or(pipes.map(|(stdin, stdout)| Work::Stream(stdin, stdout)));
                    self.start(run, tool, work);
                }
                // Of a message that has none.
                while incoming.descriptor().is_some() {}
            }
            for word in self.words.drain(..) {
                // The observer reads all the time, and what it has not read yet is little: this does not wait long.
                match channel::send(socket.as_fd(), &word, &[]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    fn start(&mut self, run: Run, tool: Tool, work: Option<Work>) {
        let Some(work) = work else { return self.refuse(run, Errno::EBADF) };
        if self.running >= self.most || self.runs.len() >= self.most.saturating_add(ZOMBIES) {
            error!(most = self.most, "refused: more processes than the configuration has a use for");
            return self.refuse(run, Errno::EAGAIN);
        }
        if self.runs.contains_key(&run) {
            return self.refuse(run, Errno::EEXIST);
        }
        self.runs.insert(run, Stage::Ordered);
        self.running += 1;
        self.crew.start(run, tool, work);
    }

    fn handle_report(&mut self, report: &Report) {
        match *report {
            Report::Started { run, pid, .. } => {
                self.runs.insert(run, Stage::Running(pid));
            }
            Report::Ended { run, .. } => {
                self.running = self.running.saturating_sub(1);
                self.crew.ended(run);
                match self.runs.remove(&run) {
                    Some(Stage::Running(pid) | Stage::Zombie(pid)) => {
                        self.runs.insert(run, Stage::Zombie(pid));
                    }
                    Some(Stage::Ordered) | None => {}
                }
            }
        }
        self.words.push(Word::of_report(report, self.clock));
    }

    /// What is to be started for it, if anything is; without work, with the pipes that came with it.
    fn handle_order(&mut self, order: Order<'_>) -> Option<(Run, Tool, Option<Work>)> {
        match order {
            Order::Read => {
                let read = (self.read)().map(|Rules { hooks, most, text }| {
                    // Streams and batches have a process each, and at a reload those of before may still run.
                    self.most = self.most.max(most.saturating_add(2 * (hooks.len() + self.hooks.len())));
                    self.hooks = hooks;
                    text
                });
                self.words.push(Word::Configuration(read));
            }
            Order::Prepare(place) => {
                let prepared = self.prepare(place);
                self.words.push(Word::Prepared(prepared));
            }
            Order::Retire(tool) => {
                self.tools.remove(&tool);
                self.crew.retire(tool);
            }
            Order::Start { run, tool, with } => match self.work(tool, with) {
                Ok(work) => return Some((run, tool, work)),
                Err(errno) => self.refuse(run, errno),
            },
            Order::Signal(run, number) => self.signal(run, number),
            // One that still runs stays known.
            Order::Collect(run) => {
                if let Some(Stage::Zombie(pid)) = self.runs.get(&run).copied() {
                    self.runs.remove(&run);
                    worker::collect(pid);
                }
            }
            // Whoever runs this has seen to it.
            Order::Finish => {}
        }
        None
    }

    fn prepare(&mut self, place: u32) -> Result<Tool, String> {
        let hook = usize::try_from(place).ok().and_then(|place| self.hooks.get(place));
        let (spec, dialect) = hook.ok_or("there is no such hook")?;
        if self.tools.len() >= TOOLS {
            return Err("too many hooks of earlier configurations are still there".to_owned());
        }
        let tool = self.crew.prepare(spec).map_err(|error| error.to_string())?;
        let told = Told { hook: Arc::from(spec.name.as_str()), mode: spec.mode, dialect: *dialect };
        self.tools.insert(tool, told);
        Ok(tool)
    }

    /// What a process is to be started with, if that is in order.
    fn work(&self, tool: Tool, with: With<'_>) -> Result<Option<Work>, Errno> {
        let Told { hook, mode, dialect } = self.tools.get(&tool).ok_or(Errno::ENOENT)?;
        match (mode, with) {
            (Mode::Stream { .. }, With::Stream) => Ok(None),
            (Mode::Batch { .. }, With::Batch(lines)) => Ok(Some(Work::Batch(lines.into_owned()))),
            (Mode::Exec, With::Call { arguments, environment, event, attempt }) => {
                let arguments = Strings::from_block(&arguments);
                let environment = Strings::from_block(&environment);
                let is_strange = |word: &&CStr| !vocabulary::has(*dialect, word.to_bytes());
                if let Some(strange) = environment.iter().find(is_strange) {
                    error!(%hook, "refused: {strange:?} is no variable of this hook's dialect");
                    return Err(Errno::EPERM);
                }
                if !vocabulary::calls(*dialect, &arguments) {
                    error!(%hook, "refused: {arguments:?} are no arguments of this hook's dialect");
                    return Err(Errno::EPERM);
                }
                // The moment is of no account for a process.
                let invocation = Arc::new(Invocation { at: self.clock.now(), arguments, environment });
                Ok(Some(Work::Call { invocation, event, attempt }))
            }
            (mode, _) => {
                error!(%hook, "refused: an order that is not for a hook of mode {}", mode.name());
                Err(Errno::EPERM)
            }
        }
    }

    fn refuse(&mut self, run: Run, errno: Errno) {
        let ended = Course::from(Ended::CouldNotStart(Step::Process, errno));
        self.words.push(Word::Ended { run, ended, at: self.clock.boot_nanos(self.clock.now()) });
    }

    /// Only what was started here, and is not collected, can be meant, and only its end.
    fn signal(&self, run: Run, number: i32) {
        let Some(Stage::Running(process) | Stage::Zombie(process)) = self.runs.get(&run).copied() else {
            return;
        };
        let signal = [Signal::SIGTERM, Signal::SIGKILL].into_iter().find(|signal| *signal as i32 == number);
        let sent = signal.ok_or(Errno::EINVAL).and_then(|signal| self.crew.signal(process, signal));
        if let Err(errno) = sent {
            warn!(pid = process.as_raw(), number, %errno, "hook could not be signalled");
        }
    }
}
