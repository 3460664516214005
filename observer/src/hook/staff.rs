//! Who starts the processes: threads of ours, or another process that has kept what we have given up.

use std::io;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::crew::{Crew, Tool};
use super::spawner::Link;
use super::spec::Spec;
use super::worker::{self, Run, Work};

/// See above.
#[derive(Debug)]
pub(super) enum Staff {
    Threads(Crew),
    Process(Link),
}

impl Staff {
    /// Makes ready to start processes of a hook, which stands at this place in the configuration that holds now.
    ///
    /// # Errors
    ///
    /// When `/dev/null` cannot be opened, there are no namespaces for an isolated hook, or the other process has ended.
    pub(super) fn prepare(&mut self, place: usize, spec: &Spec) -> io::Result<Tool> {
        match self {
            Self::Threads(crew) => crew.prepare(spec),
            Self::Process(link) => link.prepare(place),
        }
    }

    /// Starts no more processes of this hook.
    pub(super) fn retire(&mut self, tool: Tool) {
        match self {
            Self::Threads(crew) => crew.retire(tool),
            Self::Process(link) => link.retire(tool),
        }
    }

    /// Starts a process. Whatever comes of that is reported.
    ///
    /// # Errors
    ///
    /// When it cannot even be ordered; then nothing is reported.
    pub(super) fn start(&mut self, run: Run, tool: Tool, work: Work) -> Result<(), Errno> {
        match self {
            Self::Threads(crew) => {
                crew.start(run, tool, work);
                Ok(())
            }
            Self::Process(link) => link.start(run, tool, work),
        }
    }

    /// Says that the report of an end was heard. A spawner knows that by itself.
    pub(super) fn ended(&mut self, run: Run) {
        match self {
            Self::Threads(crew) => crew.ended(run),
            Self::Process(_) => {}
        }
    }

    /// Signals the process group of a process that has not been collected. Another process says by itself what the kernel
    /// thinks of that.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub(super) fn signal(&mut self, run: Run, process: Pid, signal: Signal) -> Result<(), Errno> {
        match self {
            Self::Threads(crew) => crew.signal(process, signal),
            Self::Process(link) => {
                link.signal(run, signal);
                Ok(())
            }
        }
    }

    /// How many threads there are for processes of calls.
    #[cfg(test)]
    pub(super) fn workers(&self) -> usize {
        match self {
            Self::Threads(crew) => crew.workers(),
            Self::Process(_) => 0,
        }
    }

    /// Collects a zombie. From here on its id may be somebody else's.
    pub(super) fn collect(&mut self, run: Run, process: Pid) {
        match self {
            Self::Threads(_) => worker::collect(process),
            Self::Process(link) => link.collect(run),
        }
    }
}
