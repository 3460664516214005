//! The thread behind one process: starts it, waits for it, reports.
//!
//! Orders and reports are plain messages: a worker shares nothing else with the owner of all state, so that both could be
//! in different processes.
//!
//! The worker waits with WNOWAIT and leaves the process a zombie. Only the owner of all state collects it, after it has
//! heard of the end; until then neither the process id nor the group id can be given to anybody else.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::feed;
use super::isolation::Isolation;
use super::schedule::{Ended, JobId, LaneId, Step};
use super::spawn::{Failure, Launcher};
use crate::clock::Clock;
use crate::dialect::invocation::Invocation;
use crate::time::Timestamp;

/// Enough for building an argument list; the child has a stack of its own.
const STACK: usize = 256 * 1024;

/// One process or the attempt to start it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Run {
    /// An attempt of a job, by the schedule's count.
    Job(JobId, u32),
    /// A life of a stream, or a batch, by its own count.
    Lane(LaneId, u32),
}

/// What a worker is told to run.
#[derive(Debug)]
pub(super) struct Order {
    /// For the report.
    pub(super) run: Run,
    /// Which program, as whom and how.
    pub(super) launcher: Arc<Launcher>,
    /// With what.
    pub(super) work: Work,
}

/// With what a program is run.
#[derive(Debug)]
pub(super) enum Work {
    /// One call.
    Call {
        /// Arguments and environment.
        invocation: Arc<Invocation>,
        /// What the hook is told as `OBSERVER_EVENT_ID`.
        event: u64,
        /// What the hook is told as `OBSERVER_ATTEMPT`.
        attempt: u32,
    },
    /// These lines on its standard input.
    Batch(Vec<u8>),
    /// A standard input and output whose other ends the owner has.
    Stream(OwnedFd, OwnedFd),
}

/// What a worker has to say. Every order brings at most one `Started`, then exactly one `Ended`.
#[derive(Debug)]
pub(super) enum Report {
    /// The order has become a process.
    Started {
        /// Which order.
        run: Run,
        /// The process, which is also its process group.
        pid: Pid,
        /// When.
        at: Timestamp,
    },
    /// The process has ended and is a zombie, or there never was one.
    Ended {
        /// Which order.
        run: Run,
        /// How.
        ended: Ended,
        /// When.
        at: Timestamp,
    },
}

/// Starts a worker and returns where to send its orders. It ends when that is dropped.
///
/// # Errors
///
/// When the system has no room for another thread.
pub(super) fn start(clock: Clock, reports: mpsc::UnboundedSender<Report>) -> io::Result<Sender<Order>> {
    let (sender, orders) = channel();
    thread::Builder::new()
        .name("hook".to_owned())
        .stack_size(STACK)
        .spawn(move || work(clock, &orders, &reports, None))?;
    Ok(sender)
}

/// Starts a worker whose processes are in namespaces that are theirs alone, and waits until it has these.
///
/// # Errors
///
/// When the system has no room for another thread, or the thread cannot be taken apart from the machine.
pub(super) fn start_isolated(
    clock: Clock,
    reports: mpsc::UnboundedSender<Report>,
) -> io::Result<Sender<Order>> {
    let (sender, orders) = channel();
    let (tell, told) = channel();
    thread::Builder::new().name("hook-isolated".to_owned()).stack_size(STACK).spawn(move || {
        // A thread that was taken apart half of the way ends, and what it has with it.
        let isolation = match Isolation::of_this_thread() {
            Ok(isolation) => isolation,
            Err(error) => return tell.send(Err(error)).unwrap_or_default(),
        };
        if tell.send(Ok(())).is_ok() {
            work(clock, &orders, &reports, Some(&isolation));
        }
    })?;
    match told.recv() {
        Ok(Ok(())) => Ok(sender),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Err(io::Error::other("isolated hook: its thread has ended")),
    }
}

fn work(
    clock: Clock,
    orders: &Receiver<Order>,
    reports: &mpsc::UnboundedSender<Report>,
    isolation: Option<&Isolation>,
) {
    for Order { run, launcher, work } in orders {
        let provided = isolation.map_or(Ok(()), |isolation| provide(isolation, &work));
        let (spawned, lines) = match provided {
            Ok(()) => spawn(&launcher, work),
            Err(failure) => (Err(failure), None),
        };
        let ended = match spawned {
            Err(failure) => failure.into(),
            Ok(pid) => {
                // When the owner is gone there is nobody to tell, but the process is still waited for.
                let _ = reports.send(Report::Started { run, pid, at: clock.now() });
                if let Some((pipe, lines)) = lines {
                    feed::write_all(pipe, &lines, || has_ended(pid));
                }
                await_end(pid)
            }
        };
        if reports.send(Report::Ended { run, ended, at: clock.now() }).is_err() {
            // Nor is there anybody else to collect it.
            if let Ok(pid) = spawned {
                collect(pid);
            }
            return;
        }
    }
}

/// Makes the interface that a call is about, where calls say that as dhclient does.
fn provide(isolation: &Isolation, work: &Work) -> Result<(), Failure> {
    let Work::Call { invocation, .. } = work else { return Ok(()) };
    let interface = invocation.variables().find(|(name, _)| *name == b"interface");
    let Some((_, name)) = interface else { return Ok(()) };
    let name = String::from_utf8_lossy(name);
    isolation.provide_interface(&name).map_err(|error| {
        let errno = error.source.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw);
        Failure { step: Step::Isolation, errno }
    })
}

/// The pipe to a process, and what it is to read.
type Fed = (OwnedFd, Vec<u8>);

/// Starts the process; what it is still to be told comes back. The ends of pipes that are the process's are closed here.
fn spawn(launcher: &Launcher, work: Work) -> (Result<Pid, Failure>, Option<Fed>) {
    match work {
        Work::Call { invocation, event, attempt } => (launcher.call(&invocation, event, attempt), None),
        Work::Stream(stdin, stdout) => (launcher.piped(stdin.as_raw_fd(), Some(stdout.as_raw_fd())), None),
        Work::Batch(lines) => match feed::pipe() {
            Ok((stdin, ours)) => (launcher.piped(stdin.as_raw_fd(), None), Some((ours, lines))),
            Err(errno) => (Err(Failure { step: Step::Process, errno }), None),
        },
    }
}

/// Whether a child has ended, which leaves it a zombie; waits for that or does not.
fn status(pid: Pid, options: libc::c_int) -> Option<Ended> {
    loop {
        // nix's waitid refuses the status of a process that a real-time signal has killed, so this is the C one.
        // SAFETY: siginfo_t is plain data for which all zeroes is a value, and waitid writes no more than one.
        let (result, info) = unsafe {
            let mut info: libc::siginfo_t = mem::zeroed();
            let id = pid.as_raw().cast_unsigned();
            let result = libc::waitid(libc::P_PID, id, &mut info, libc::WEXITED | libc::WNOWAIT | options);
            (result, info)
        };
        if result == 0 {
            // SAFETY: waitid has succeeded, so the fields of SIGCHLD are the ones that were written, or all are zero.
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            return (pid != 0).then_some(match info.si_code {
                libc::CLD_EXITED => Ended::Exited(status),
                libc::CLD_KILLED | libc::CLD_DUMPED => Ended::Signalled(status),
                _ => Ended::Unknown,
            });
        }
        if Errno::last() != Errno::EINTR {
            return Some(Ended::Unknown);
        }
    }
}

fn await_end(pid: Pid) -> Ended {
    status(pid, 0).unwrap_or(Ended::Unknown)
}

fn has_ended(pid: Pid) -> bool {
    status(pid, libc::WNOHANG).is_some()
}

/// Collects a zombie. From here on its id may be given to somebody else. Never waits.
pub(super) fn collect(pid: Pid) {
    // What it says is known already or of no use; a process that is not a zombie is left alone.
    let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
}
