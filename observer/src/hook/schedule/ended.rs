//! How one attempt to run a hook ended.

use serde::{Deserialize, Serialize};
use std::fmt;

use nix::errno::Errno;

/// How one attempt to run a hook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status, 0 to 255.
    Exited(i32),
    /// This signal killed it.
    Signalled(i32),
    /// It never ran: what the kernel refused, and why.
    CouldNotStart(Step, Errno),
    /// The long-lived process of a stream has acknowledged the event.
    Acknowledged,
    /// It ran, but its status is lost because something else in this process collected it.
    Unknown,
}

/// The steps on the way to a process, of which any may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// A thread, a pipe or a process for it.
    Process,
    /// Its standard input, output and error.
    Descriptors,
    /// The interface in its own namespaces.
    Isolation,
    /// Its scheduling class.
    Scheduling,
    /// Its nice level.
    Nice,
    /// Its user and groups.
    Credentials,
    /// Its working directory.
    Directory,
    /// The program itself.
    Program,
}

impl Ended {
    /// Whether the hook ran, or the event was taken, and success was reported.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Exited(0) | Self::Acknowledged)
    }

    /// Whether it never became a process.
    pub const fn never_ran(self) -> bool {
        matches!(self, Self::CouldNotStart(..))
    }

    /// Whether the same attempt may well succeed a little later because only the system was short of something.
    ///
    /// Besides processes, memory and descriptors that is ETXTBSY: somebody has the script open for writing just now.
    pub const fn is_transient(self) -> bool {
        use Errno::{EAGAIN, EINTR, EMFILE, ENFILE, ENOMEM, ETXTBSY};
        matches!(self, Self::CouldNotStart(_, EAGAIN | ENOMEM | EMFILE | ENFILE | ETXTBSY | EINTR))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signalled(signal) => write!(f, "killed by signal {signal}"),
            Self::CouldNotStart(step, errno) => {
                write!(f, "could not start: {} ({errno:?})", step.why(*errno))
            }
            Self::Acknowledged => f.write_str("acknowledged the event"),
            Self::Unknown => f.write_str("ended with a status that was lost"),
        }
    }
}

impl Step {
    fn why(self, errno: Errno) -> String {
        let of_program = match errno {
            Errno::ENOENT => "the script, or the interpreter in its #! line, does not exist",
            Errno::EACCES => {
                "no execute permission for the hook's user on the script, its interpreter or a directory above it \
                 (or a noexec mount, or a security module such as AppArmor)"
            }
            Errno::ENOEXEC => "it is not an executable format: its first line must begin with #!",
            Errno::E2BIG => "the environment is larger than the kernel accepts",
            Errno::ETXTBSY => "the script is open for writing",
            other => other.desc(),
        };
        let what = match self {
            _ if errno == Errno::EAGAIN => {
                return "too many processes (RLIMIT_NPROC or the pids limit of the control group)".to_owned();
            }
            Self::Program => return of_program.to_owned(),
            Self::Process => "no process for it",
            Self::Descriptors => "its standard input and output",
            Self::Isolation => "the interface in its own network namespace",
            Self::Scheduling => "its scheduling class",
            Self::Nice => "its nice level; a negative one needs CAP_SYS_NICE",
            Self::Credentials => "its user and groups; changing them needs CAP_SETUID and CAP_SETGID",
            Self::Directory => "its working directory cannot be entered by its user",
        };
        format!("{what}: {}", errno.desc())
    }
}
