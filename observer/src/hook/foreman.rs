//! The thread that keeps the privileges which hooks need and the event loop gives up.
//!
//! Capabilities belong to threads. Workers, and so the processes that they start, have those of the thread by which they
//! were made; so they are made here, by a thread that is begun before the event loop gives anything up. Signals go this way
//! too: a process that runs as another user can only be signalled with CAP_KILL.
//!
//! The event loop waits for each answer. That keeps the order of a signal and of the collecting of its process, after which
//! the process id may be somebody else's.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::sync::mpsc::UnboundedSender;

use super::worker::{self, Order, Report};
use crate::clock::Clock;

/// It starts threads and makes a system call; they have stacks of their own.
const STACK: usize = 128 * 1024;

/// What is to be done, and where to say how it went.
enum Errand {
    Worker(Kind, Clock, UnboundedSender<Report>, SyncSender<io::Result<Sender<Order>>>),
    Signal(Pid, Signal, SyncSender<Result<(), Errno>>),
}

/// Which worker.
enum Kind {
    Plain,
    Isolated,
}

/// The way to the thread, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Foreman {
    errands: Sender<Errand>,
}

impl Foreman {
    /// Starts the thread. It has what the calling thread has at this moment.
    ///
    /// # Errors
    ///
    /// When the system has no room for another thread.
    pub(super) fn start() -> io::Result<Self> {
        let (errands, orders) = channel();
        let thread = thread::Builder::new().name("hook foreman".to_owned()).stack_size(STACK);
        thread.spawn(move || serve(&orders))?;
        Ok(Self { errands })
    }

    /// A worker; see [`worker::start`].
    ///
    /// # Errors
    ///
    /// When the system has no room for another thread.
    pub(super) fn worker(&self, clock: Clock, reports: UnboundedSender<Report>) -> io::Result<Sender<Order>> {
        self.made(Kind::Plain, clock, reports)
    }

    /// A worker whose processes are in namespaces that are theirs alone; see [`worker::start_isolated`].
    ///
    /// # Errors
    ///
    /// When the system has no room for another thread, or the thread cannot be taken apart from the machine.
    pub(super) fn isolated_worker(
        &self,
        clock: Clock,
        reports: UnboundedSender<Report>,
    ) -> io::Result<Sender<Order>> {
        self.made(Kind::Isolated, clock, reports)
    }

    fn made(&self, kind: Kind, clock: Clock, reports: UnboundedSender<Report>) -> io::Result<Sender<Order>> {
        let made = self.ask(|answer| Errand::Worker(kind, clock, reports, answer));
        made.unwrap_or_else(|| Err(Errno::ESRCH.into()))
    }

    /// Signals a process group whose leader has not been collected.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub(super) fn signal(&self, group: Pid, signal: Signal) -> Result<(), Errno> {
        self.ask(|answer| Errand::Signal(group, signal, answer)).unwrap_or(Err(Errno::ESRCH))
    }

    /// `None` when the thread is gone, which it is only after a panic.
    fn ask<T>(&self, errand: impl FnOnce(SyncSender<T>) -> Errand) -> Option<T> {
        let (answer, answered) = sync_channel(1);
        self.errands.send(errand(answer)).ok()?;
        answered.recv().ok()
    }
}

fn serve(errands: &Receiver<Errand>) {
    for errand in errands {
        // Whoever asks waits for the answer, or is gone.
        match errand {
            Errand::Worker(Kind::Plain, clock, reports, answer) => {
                let _ = answer.send(worker::start(clock, reports));
            }
            Errand::Worker(Kind::Isolated, clock, reports, answer) => {
                let _ = answer.send(worker::start_isolated(clock, reports));
            }
            Errand::Signal(group, signal, answer) => {
                let _ = answer.send(killpg(group, signal));
            }
        }
    }
}
