//! The thread behind one place: starts a process, waits for it, reports.
//!
//! The worker waits with WNOWAIT and leaves the process a zombie. Only the owner of all state collects it, after it has
//! heard of the end; until then neither the process id nor the group id can be given to anybody else.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::sync::mpsc;

use super::schedule::{Ended, JobId};
use super::spawn::Launcher;
use crate::clock::Clock;
use crate::dialect::invocation::Invocation;
use crate::time::Timestamp;

/// Enough for building an argument list; `posix_spawn` brings a stack of its own.
const STACK: usize = 256 * 1024;

/// One attempt of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// Which job.
    pub job: JobId,
    /// Which attempt of it, by the schedule's count.
    pub attempt: u32,
}

/// What a worker is told to run.
#[derive(Debug)]
pub struct Order {
    /// For the report.
    pub run: Run,
    /// What to run.
    pub invocation: Arc<Invocation>,
    /// What the hook is told as `OBSERVER_ATTEMPT`.
    pub shown_attempt: u32,
}

/// What a worker has to say. Every order brings at most one `Started`, then exactly one `Ended`.
#[derive(Debug)]
pub enum Report {
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
pub fn start(
    launcher: Arc<Launcher>,
    clock: Clock,
    reports: mpsc::Sender<Report>,
) -> io::Result<Sender<Order>> {
    let (sender, orders) = channel();
    thread::Builder::new()
        .name("hook".to_owned())
        .stack_size(STACK)
        .spawn(move || work(&launcher, clock, &orders, &reports))?;
    Ok(sender)
}

fn work(launcher: &Launcher, clock: Clock, orders: &Receiver<Order>, reports: &mpsc::Sender<Report>) {
    for Order { run, invocation, shown_attempt } in orders {
        let spawned = launcher.spawn(&invocation, shown_attempt);
        drop(invocation);
        let ended = match spawned {
            Err(errno) => Ended::CouldNotStart(errno),
            Ok(pid) => {
                // When the owner is gone there is nobody to tell, but the process is still waited for.
                let _ = reports.blocking_send(Report::Started { run, pid, at: clock.now() });
                await_end(pid)
            }
        };
        if reports.blocking_send(Report::Ended { run, ended, at: clock.now() }).is_err() {
            // Nor is there anybody else to collect it.
            if let Ok(pid) = spawned {
                collect(pid);
            }
            return;
        }
    }
}

/// Waits until a child has ended and leaves it a zombie.
fn await_end(pid: Pid) -> Ended {
    loop {
        // nix's waitid refuses the status of a process that a real-time signal has killed, so this is the C one.
        // SAFETY: siginfo_t is plain data for which all zeroes is a value, and waitid writes no more than one.
        let (result, info) = unsafe {
            let mut info: libc::siginfo_t = mem::zeroed();
            let id = pid.as_raw().cast_unsigned();
            let result = libc::waitid(libc::P_PID, id, &mut info, libc::WEXITED | libc::WNOWAIT);
            (result, info)
        };
        if result == 0 {
            // SAFETY: waitid has succeeded, so the fields of SIGCHLD are the ones that were written.
            let status = unsafe { info.si_status() };
            return match info.si_code {
                libc::CLD_EXITED => Ended::Exited(status),
                libc::CLD_KILLED | libc::CLD_DUMPED => Ended::Signalled(status),
                _ => Ended::Unknown,
            };
        }
        if Errno::last() != Errno::EINTR {
            return Ended::Unknown;
        }
    }
}

/// Collects a zombie. From here on its id may be given to somebody else. Never waits.
pub fn collect(pid: Pid) {
    // What it says is known already or of no use; a process that is not a zombie is left alone.
    let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
}
