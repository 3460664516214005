//! One hook as it is configured.

use std::ffi::CString;
use std::time::Duration;

use super::credentials::Credentials;
use super::program::Program;
use super::schedule::LaneLimits;
use super::spawn::Output;

/// One hook as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// What log lines, counters and the store call it; no two have the same.
    pub name: String,
    /// What is run.
    pub program: Program,
    /// Arguments before those of the call.
    pub arguments: Vec<CString>,
    /// How it is told of events.
    pub mode: Mode,
    /// Where its output goes. Of a stream that is standard error only: it acknowledges on standard output.
    pub output: Output,
    /// Neither waits for earlier hooks nor is waited for by later ones.
    pub independent: bool,
    /// How much at once and for how long.
    pub limits: LaneLimits,
    /// As whom and how its processes run.
    pub attributes: Attributes,
}

impl Spec {
    /// A hook with nothing said about it but its name and program.
    pub fn new(name: impl Into<String>, program: Program) -> Self {
        Self {
            name: name.into(),
            program,
            arguments: Vec::new(),
            mode: Mode::Exec,
            output: Output::Ours,
            independent: false,
            limits: LaneLimits::default(),
            attributes: Attributes::default(),
        }
    }
}

/// How a hook is told of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A process for each call, with its arguments and environment.
    Exec,
    /// One long-lived process reads a line of JSON for each call from its standard input, and acknowledges it with a line
    /// on its standard output.
    Stream {
        /// The most calls that may wait for their acknowledgement; 0 is taken as 1.
        window: usize,
    },
    /// A process for several calls, which it reads as lines of JSON from its standard input. Its exit status is that of
    /// all of them. Batches of a hook run one after the other.
    Batch {
        /// The most calls of one process; 0 is taken as 1.
        calls: usize,
        /// How long after the first call the process is started, if there are no more until then.
        wait: Duration,
    },
}

impl Mode {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Stream { .. } => "stream",
            Self::Batch { .. } => "batch",
        }
    }

    /// The window of a stream for which nothing else is said.
    pub const WINDOW: usize = 4_096;
}

/// As whom and how the processes of a hook run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// User and groups; `None`: ours.
    pub credentials: Option<Credentials>,
    /// The nice level, -20 to 19. One of 0 or more never makes a hook less nice than we are.
    pub nice: i32,
    /// The scheduling class.
    pub scheduling: Scheduling,
    /// The working directory; `None`: ours.
    pub directory: Option<CString>,
    /// `NAME=value` to add to the environment of the call, as long as it has no such variable itself. A stream or a batch
    /// has this as its environment, for calls come by another way.
    pub environment: Vec<CString>,
    /// In namespaces of their own, see [`isolation`](super::isolation). They are the same ones for all processes of the
    /// hook, which therefore run one after the other, whatever its limits say.
    pub isolated: bool,
}

/// The nice level of a hook for which nothing else is said: a burst of hooks must not take the server's processor time.
pub const POLITE: i32 = 10;

impl Default for Attributes {
    /// Ours, but polite.
    fn default() -> Self {
        Self {
            credentials: None,
            nice: POLITE,
            scheduling: Scheduling::Normal,
            directory: None,
            environment: Vec::new(),
            isolated: false,
        }
    }
}

/// The scheduling classes of sched(7) for which no privilege is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheduling {
    /// `SCHED_OTHER`.
    #[default]
    Normal,
    /// `SCHED_BATCH`: taken for a user of processor time, so it waits a little longer.
    Batch,
    /// `SCHED_IDLE`: runs when next to nothing else wants to.
    Idle,
}
