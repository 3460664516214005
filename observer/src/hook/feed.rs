//! Pipes to and from hooks.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;

/// A larger pipe means fewer turns between us and a hook that keeps up. The kernel gives less to users without privilege
/// who have many pipes, which is as well.
const PIPE_OCTETS: i32 = 1 << 20;
/// How often a writer whose reader does not read looks whether it is still there, in milliseconds.
const GLANCE: u16 = 100;

/// A pipe whose ends no program inherits: reading end, writing end. The writing end never blocks.
pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(PIPE_OCTETS));
    Ok((reader, writer))
}

/// The same the other way: the reading end never blocks.
pub(super) fn pipe_back() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader, writer))
}

/// Writes everything and closes the pipe, or gives up when the reader has: who closes early has read enough.
pub(super) fn write_all(pipe: OwnedFd, mut octets: &[u8], is_over: impl Fn() -> bool) {
    while !octets.is_empty() {
        match unistd::write(&pipe, octets) {
            Ok(written) => octets = octets.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                // Its children may hold the other end and never read.
                let mut room = [PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut room, PollTimeout::from(GLANCE)) == Ok(0) && is_over() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// What is there now to be read; `Ok(0)` at the end.
pub(super) fn read(pipe: &OwnedFd, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match unistd::read(pipe, into) {
            Err(Errno::EINTR) => {}
            other => return other.map_err(Into::into),
        }
    }
}

/// As much as there is room for now.
pub(super) fn write(pipe: &OwnedFd, octets: &[u8]) -> io::Result<usize> {
    loop {
        match unistd::write(pipe, octets) {
            Err(Errno::EINTR) => {}
            other => return other.map_err(Into::into),
        }
    }
}
