//! Starting one process: exactly this program, these arguments, this environment, and as whom and how it runs.
//!
//! `std::process::Command` sorts the environment; scripts see it in Kea's order. `posix_spawn` keeps the order but knows
//! neither users nor nice levels. So this does what `posix_spawn` does inside, with a few steps more: a child that shares
//! our memory, while the thread that made it stands still, takes on what the process is to have and becomes the program. It does
//! not copy the page tables of a large daemon, and it says which step failed, and why.
//!
//! What a hook gets:
//!
//! | thing | value |
//! |---|---|
//! | program | `execve` of the resolved path: no shell, no search in PATH |
//! | argv\[0\] | the name as configured; then the hook's own arguments, then those of the call |
//! | environment | the call's, in order, then `OBSERVER_EVENT_ID`, `OBSERVER_ATTEMPT` and what is configured for the hook; nothing of ours |
//! | stdin | `/dev/null`, or calls as lines of JSON |
//! | stdout, stderr | ours, or `/dev/null` ([`Output`]); of a stream, stdout is for acknowledgements |
//! | other descriptors | none |
//! | signals | every one at its default, none blocked |
//! | process group | its own, so that one signal reaches it and its children |
//! | user, groups, nice level, scheduling class, working directory | [`Attributes`] |
//! | capabilities | ours, as Kea's scripts have the server's; none in any set, and no way to get one (`no_new_privs`), when it names a user other than root |
//! | session, umask | ours |

mod child;

use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

use super::credentials::Credentials;
use super::schedule::{Ended, Step};
use super::spec::{Attributes, Spec};
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
/// library forgot, so call it first thing in `main`; the launcher repeats it before every hook.
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

/// Why there is no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) errno: Errno,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::CouldNotStart(failure.step, failure.errno)
    }
}

/// Starts one hook's program again and again.
#[derive(Debug)]
pub(super) struct Launcher {
    program: CString,
    /// argv up to where the call's arguments begin.
    arguments: Vec<CString>,
    attributes: Attributes,
    /// Its user and groups are ours.
    same_user: bool,
    output: Output,
    null: File,
}

impl Launcher {
    /// Opens what every process will need.
    ///
    /// # Errors
    ///
    /// When `/dev/null` cannot be opened.
    pub(super) fn new(spec: &Spec) -> io::Result<Self> {
        let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        let attributes = spec.attributes.clone();
        let same_user = attributes.credentials.as_ref().is_some_and(Credentials::are_ours);
        let name = spec.program.name().to_owned();
        let arguments = std::iter::once(name).chain(spec.arguments.iter().cloned()).collect();
        Ok(Self {
            program: spec.program.path().to_owned(),
            arguments,
            attributes,
            same_user,
            output: spec.output,
            null,
        })
    }

    /// Starts the program for one call, which is its `attempt`th, 1 for the first.
    ///
    /// Returns once `execve` has succeeded, which on a slow file system can take its time: not for the event loop.
    pub(super) fn call(&self, invocation: &Invocation, event: u64, attempt: u32) -> Result<Pid, Failure> {
        let number = |name: &str, value: u64| CString::new(format!("{name}={value}")).unwrap_or_default();
        let event = number("OBSERVER_EVENT_ID", event);
        let attempt = number("OBSERVER_ATTEMPT", u64::from(attempt));
        let added = self.attributes.environment.iter().filter(|added| {
            let name = added.to_bytes().split(|&octet| octet == b'=').next().unwrap_or_default();
            invocation.variables().all(|(own, _)| own != name)
        });
        let arguments = self.arguments.iter().map(CString::as_c_str).chain(invocation.arguments.iter());
        let own = [event.as_c_str(), attempt.as_c_str()];
        let environment = invocation.environment.iter().chain(own).chain(added.map(CString::as_c_str));
        self.start(arguments, environment, None, None)
    }

    /// Starts the program with its standard input and, where there is one, output as given.
    pub(super) fn piped(&self, stdin: RawFd, stdout: Option<RawFd>) -> Result<Pid, Failure> {
        let arguments = self.arguments.iter().map(CString::as_c_str);
        let environment = self.attributes.environment.iter().map(CString::as_c_str);
        self.start(arguments, environment, Some(stdin), stdout)
    }

    fn start<'a>(
        &self,
        arguments: impl Iterator<Item = &'a CStr>,
        environment: impl Iterator<Item = &'a CStr>,
        stdin: Option<RawFd>,
        stdout: Option<RawFd>,
    ) -> Result<Pid, Failure> {
        let null = self.null.as_raw_fd();
        let quiet = (self.output == Output::Null).then_some(null);
        let descriptors = [Some(stdin.unwrap_or(null)), stdout.or(quiet), quiet];
        // A failure here means an old kernel without /proc; what we opened ourselves is marked in any case.
        let _ = seal_descriptors();
        child::start(&self.program, arguments, environment, descriptors, &self.attributes, self.same_user)
    }
}
