//! Starting one process: exactly this program, these arguments, this environment.
//!
//! `posix_spawn` rather than `std::process::Command`, which sorts the environment; scripts see it in Kea's order.
//! It also does not copy the page tables of a large daemon, and it says why `execve` failed.
//!
//! What a hook gets:
//!
//! | thing | value |
//! |---|---|
//! | program | `execve` of the resolved path: no shell, no search in PATH |
//! | argv\[0\] | the name as configured |
//! | environment | the invocation's, in order, then `OBSERVER_ATTEMPT`; nothing of ours |
//! | stdin | `/dev/null` |
//! | stdout, stderr | ours, or `/dev/null` ([`Output`]) |
//! | other descriptors | none |
//! | signals | every one at its default, none blocked |
//! | process group | its own, so that one signal reaches it and its children |
//! | session, working directory, umask, user, groups, capabilities, priority | ours, as Kea's scripts have the server's |

use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

use super::program::Program;
use crate::dialect::invocation::Invocation;

/// Where a hook's standard output and standard error go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Where ours go, as in Kea: under systemd, the journal.
    #[default]
    Ours,
    /// Nowhere, as the Solaris event hook has it.
    Null,
}

/// The first descriptor that is not one of the three standard ones.
const FIRST_OTHER_DESCRIPTOR: libc::c_uint = 3;

/// Marks every descriptor from 3 on close-on-exec, so that no program started later inherits it.
///
/// Everything this crate opens is marked from the start. This is for what our own parent left open and for what a
/// library forgot, so call it first thing in `main`; [`Launcher::spawn`] repeats it before every hook.
///
/// # Errors
///
/// When the kernel has no `close_range` (before 5.11) and `/proc/self/fd` cannot be read either.
pub fn seal_descriptors() -> io::Result<()> {
    // SAFETY: close_range with CLOSE_RANGE_CLOEXEC takes three numbers, and only sets a flag on descriptors.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST_OTHER_DESCRIPTOR,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result == 0 { Ok(()) } else { seal_descriptors_one_by_one() }
}

fn seal_descriptors_one_by_one() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Ok(descriptor) = entry?.file_name().to_string_lossy().parse::<libc::c_int>() else { continue };
        if descriptor.cast_unsigned() >= FIRST_OTHER_DESCRIPTOR {
            // SAFETY: F_SETFD sets a flag; a descriptor that was closed meanwhile answers EBADF, which is as good.
            unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// Makes sure that the ends of our children are kept for us: a parent that ignores SIGCHLD hands that down to us.
pub(super) fn keep_statuses() {
    // SAFETY: both structures are plain data for which all zeroes is a value; SIG_DFL runs no code of ours.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        let known = libc::sigaction(libc::SIGCHLD, std::ptr::null(), &mut old) == 0;
        if known && (old.sa_sigaction == libc::SIG_IGN || old.sa_flags & libc::SA_NOCLDWAIT != 0) {
            let default: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGCHLD, &default, std::ptr::null_mut());
        }
    }
}

/// Every signal there is, the two that the C library keeps for itself included: `sigfillset` leaves those out, and
/// `posix_spawn` would then start the hook with them ignored.
fn every_signal() -> SigSet {
    // SAFETY: sigset_t is an array of bits; every combination of them is a set of signals.
    unsafe {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        set.as_mut_ptr().write_bytes(0xff, 1);
        SigSet::from_sigset_t_unchecked(set.assume_init())
    }
}

/// Starts one program again and again.
#[derive(Debug)]
pub struct Launcher {
    program: Program,
    output: Output,
    null: File,
}

impl Launcher {
    /// Opens what every hook will need.
    ///
    /// # Errors
    ///
    /// When `/dev/null` cannot be opened.
    pub fn new(program: Program, output: Output) -> io::Result<Self> {
        let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        Ok(Self { program, output, null })
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Starts the program. `attempt` becomes `OBSERVER_ATTEMPT`, 1 for the first.
    ///
    /// Returns once `execve` has succeeded, which on a slow file system can take its time: not for the event loop.
    ///
    /// # Errors
    ///
    /// What `clone` or `execve` said.
    pub fn spawn(&self, invocation: &Invocation, attempt: u32) -> Result<Pid, Errno> {
        let null = self.null.as_raw_fd();
        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_dup2(null, libc::STDIN_FILENO)?;
        if self.output == Output::Null {
            actions.add_dup2(null, libc::STDOUT_FILENO)?;
            actions.add_dup2(null, libc::STDERR_FILENO)?;
        }

        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_pgroup(Pid::from_raw(0))?;
        attributes.set_sigdefault(&every_signal())?;
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
        )?;

        let mut arguments = vec![self.program.name()];
        arguments.extend(invocation.arguments.iter());
        let attempt = CString::new(format!("OBSERVER_ATTEMPT={attempt}")).map_err(|_| Errno::EINVAL)?;
        let environment: Vec<&CStr> =
            invocation.environment.iter().chain(std::iter::once(attempt.as_c_str())).collect();

        // A failure here means an old kernel without /proc; what we opened ourselves is marked in any case.
        let _ = seal_descriptors();
        posix_spawn(self.program.path(), &actions, &attributes, &arguments, &environment)
    }
}
