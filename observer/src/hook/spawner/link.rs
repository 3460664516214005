//! The observer's end, as far as hooks are concerned.

use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::super::crew::Tool;
use super::super::worker::{Run, Work};
use super::channel;
use super::message::{Order, With};

/// The way to the spawner.
///
/// When that has ended, nothing said here does anything, and nothing is reported any more. It is not for this to make a
/// failure of it: calls that were not ended are made by the next observer.
#[derive(Debug)]
pub struct Link {
    socket: Arc<OwnedFd>,
    prepared: Receiver<Result<Tool, String>>,
}

impl Link {
    pub(super) const fn new(socket: Arc<OwnedFd>, prepared: Receiver<Result<Tool, String>>) -> Self {
        Self { socket, prepared }
    }

    pub(in crate::hook) fn prepare(&mut self, place: usize) -> io::Result<Tool> {
        let place = u32::try_from(place).map_err(io::Error::other)?;
        channel::send(self.socket.as_fd(), &Order::Prepare(place), &[])?;
        // Whoever answers is there until the spawner has ended.
        let answer = self.prepared.recv().map_err(|_| io::Error::other("the spawner has ended"))?;
        answer.map_err(io::Error::other)
    }

    pub(in crate::hook) fn retire(&mut self, tool: Tool) {
        self.tell(&Order::Retire(tool), &[]);
    }

    /// Orders a process.
    ///
    /// # Errors
    ///
    /// E2BIG when what it is to be told is too long.
    pub(in crate::hook) fn start(&mut self, run: Run, tool: Tool, work: Work) -> Result<(), Errno> {
        let (stdin, stdout);
        let mut descriptors = Vec::new();
        let invocation;
        let with = match work {
            Work::Call { invocation: call, event, attempt } => {
                invocation = call;
                let arguments = Cow::Borrowed(invocation.arguments.block());
                let environment = Cow::Borrowed(invocation.environment.block());
                With::Call { arguments, environment, event, attempt }
            }
            Work::Batch(lines) => With::Batch(Cow::Owned(lines)),
            Work::Stream(its_stdin, its_stdout) => {
                (stdin, stdout) = (its_stdin, its_stdout);
                descriptors.extend([stdin.as_fd(), stdout.as_fd()]);
                With::Stream
            }
        };
        let sent = channel::send(self.socket.as_fd(), &Order::Start { run, tool, with }, &descriptors);
        // Otherwise see above.
        let is_too_long = sent.is_err_and(|error| error.kind() == ErrorKind::FileTooLarge);
        if is_too_long { Err(Errno::E2BIG) } else { Ok(()) }
    }

    pub(in crate::hook) fn signal(&mut self, run: Run, signal: Signal) {
        self.tell(&Order::Signal(run, signal as i32), &[]);
    }

    pub(in crate::hook) fn collect(&mut self, run: Run) {
        self.tell(&Order::Collect(run), &[]);
    }

    fn tell(&self, order: &Order<'_>, descriptors: &[BorrowedFd<'_>]) {
        // See above.
        let _ = channel::send(self.socket.as_fd(), order, descriptors);
    }
}
