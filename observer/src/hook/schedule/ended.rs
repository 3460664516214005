//! How one attempt to run a hook ended.

use std::fmt;

use nix::errno::Errno;

/// How one attempt to run a hook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status, 0 to 255.
    Exited(i32),
    /// This signal killed it.
    Signalled(i32),
    /// It never ran: why the kernel refused.
    CouldNotStart(Errno),
    /// It ran, but its status is lost because something else in this process collected it.
    Unknown,
}

impl Ended {
    /// Whether the hook ran and reported success.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Exited(0))
    }

    /// Whether the same attempt may well succeed a little later because only the system was short of something.
    ///
    /// Besides processes, memory and descriptors that is ETXTBSY: somebody has the script open for writing just now.
    pub const fn is_transient(self) -> bool {
        use Errno::{EAGAIN, EINTR, EMFILE, ENFILE, ENOMEM, ETXTBSY};
        matches!(self, Self::CouldNotStart(EAGAIN | ENOMEM | EMFILE | ENFILE | ETXTBSY | EINTR))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signalled(signal) => write!(f, "killed by signal {signal}"),
            Self::CouldNotStart(errno) => {
                let why = match errno {
                    Errno::ENOENT => "the script, or the interpreter in its #! line, does not exist",
                    Errno::EACCES => {
                        "no execute permission for us on the script, its interpreter or a directory above \
                         (or a noexec mount, or a security module such as AppArmor)"
                    }
                    Errno::ENOEXEC => "it is not an executable format: its first line must begin with #!",
                    Errno::E2BIG => "the environment is larger than the kernel accepts",
                    Errno::EAGAIN => {
                        "too many processes (RLIMIT_NPROC or the pids limit of the control group)"
                    }
                    Errno::ETXTBSY => "the script is open for writing",
                    other => other.desc(),
                };
                write!(f, "could not start: {why} ({errno:?})")
            }
            Self::Unknown => f.write_str("ended with a status that was lost"),
        }
    }
}
