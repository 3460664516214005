//! What observer and spawner say to each other.

use std::borrow::Cow;

use nix::errno::Errno;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::super::crew::Tool;
use super::super::schedule::{Ended, Step};
use super::super::worker::{Report, Run};
use crate::clock::Clock;
use crate::config::file::Text;

/// What the observer says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order<'a> {
    /// Make ready to start processes of the hook at this place of the configuration; answered by [`Word::Prepared`].
    Prepare(u32),
    /// Nothing more of this hook.
    Retire(Tool),
    /// Start a process.
    Start {
        run: Run,
        tool: Tool,
        #[serde(borrow)]
        with: With<'a>,
    },
    /// Send this signal to its process group.
    Signal(Run, i32),
    /// It will not be signalled any more.
    Collect(Run),
    /// Read the configuration again; answered by [`Word::Configuration`].
    Read,
    /// The observer ends as it should: take away what it may not.
    Finish,
}

/// With what a process is started.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum With<'a> {
    /// One call; the strings as they are in memory.
    Call {
        #[serde(borrow, with = "serde_bytes")]
        arguments: Cow<'a, [u8]>,
        #[serde(borrow, with = "serde_bytes")]
        environment: Cow<'a, [u8]>,
        event: u64,
        attempt: u32,
    },
    /// These lines on its standard input.
    Batch(#[serde(borrow, with = "serde_bytes")] Cow<'a, [u8]>),
    /// The standard input and output that come with the message.
    Stream,
}

/// What the spawner says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// See [`Report::Started`]; the moment is of CLOCK_BOOTTIME.
    Started { run: Run, pid: i32, at: u64 },
    /// See [`Report::Ended`].
    Ended { run: Run, ended: Course, at: u64 },
    /// A hook is ready, or why not.
    Prepared(Result<Tool, String>),
    /// The configuration file, where there is one, with its text; or what is wrong with it.
    Configuration(Result<Option<Text>, String>),
}

/// [`Ended`] on its way.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Course {
    Exited(i32),
    Signalled(i32),
    CouldNotStart(Step, i32),
    Unknown,
}

impl From<Ended> for Course {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Exited(status) => Self::Exited(status),
            Ended::Signalled(signal) => Self::Signalled(signal),
            Ended::CouldNotStart(step, errno) => Self::CouldNotStart(step, errno as i32),
            // Nobody acknowledges anything to a spawner.
            Ended::Acknowledged | Ended::Unknown => Self::Unknown,
        }
    }
}

impl From<Course> for Ended {
    fn from(course: Course) -> Self {
        match course {
            Course::Exited(status) => Self::Exited(status),
            Course::Signalled(signal) => Self::Signalled(signal),
            Course::CouldNotStart(step, errno) => Self::CouldNotStart(step, Errno::from_raw(errno)),
            Course::Unknown => Self::Unknown,
        }
    }
}

impl Word {
    /// A report to be sent.
    pub(super) fn of_report(report: &Report, clock: Clock) -> Self {
        match *report {
            Report::Started { run, pid, at } => {
                Self::Started { run, pid: pid.as_raw(), at: clock.boot_nanos(at) }
            }
            Report::Ended { run, ended, at } => {
                Self::Ended { run, ended: ended.into(), at: clock.boot_nanos(at) }
            }
        }
    }

    /// The report that this is, with moments of our clock; what else it is comes back.
    pub(super) fn into_report(self, clock: Clock) -> Result<Report, Self> {
        match self {
            Self::Started { run, pid, at } => {
                Ok(Report::Started { run, pid: Pid::from_raw(pid), at: clock.at_boot_nanos(at) })
            }
            Self::Ended { run, ended, at } => {
                Ok(Report::Ended { run, ended: ended.into(), at: clock.at_boot_nanos(at) })
            }
            other => Err(other),
        }
    }
}
