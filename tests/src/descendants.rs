//! When a program and everything that it started have ended.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;

/// A pipe whose writing end a program and its descendants hold open, each until it ends.
///
/// Kea starts hook scripts and forgets them, so its own end does not say that the last script is done. It closes no
/// descriptor either: the pipe is at its end when nobody is left.
#[derive(Debug)]
pub struct Descendants {
    ours: OwnedFd,
    theirs: Option<OwnedFd>,
}

impl Descendants {
    /// Makes the pipe and has the process of `command` inherit its writing end.
    pub fn follow(command: &mut Command) -> Result<Self> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).context("pipe2")?;
        let number = theirs.as_raw_fd();
        let inherit = move || {
            // SAFETY: the descriptor is open in this child, a copy of the process that holds `theirs`.
            let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::empty()))?;
            Ok(())
        };
        // SAFETY: between fork and exec the closure makes one system call and neither allocates nor locks.
        unsafe { command.pre_exec(inherit) };
        Ok(Self { ours, theirs: Some(theirs) })
    }

    /// Waits until the program and all that it started have ended. The program must have been started by now.
    pub fn wait(&mut self, within: Duration) -> Result<()> {
        self.theirs = None;
        let timeout = PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX);
        let ended = poll(&mut [PollFd::new(self.ours.as_fd(), PollFlags::POLLIN)], timeout).context("poll")?;
        ensure!(ended == 1, "hooks are still running after {within:?}");
        Ok(())
    }
}
