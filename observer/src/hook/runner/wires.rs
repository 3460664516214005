//! The pipes of a stream: calls out, acknowledgements in, both without ever waiting.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use memchr::memchr;
use nix::errno::Errno;
use tokio::io::unix::AsyncFd;

use super::super::feed;

/// When so much waits to be written, no more is rendered: what the process is slow to read waits in the queue instead.
const ENOUGH: usize = 256 * 1024;
/// What is read at once.
const GULP: usize = 64 * 1024;
/// A longer line is no acknowledgement; its beginning is taken for one.
const LONGEST_LINE: usize = 4_096;

/// Our ends of the pipes.
#[derive(Debug)]
pub(super) struct Wires {
    input: Option<End>,
    output: Option<End>,
    /// What is to be written, from `written` on.
    lines: Vec<u8>,
    written: usize,
    /// What was read of a line that has not ended.
    partial: Vec<u8>,
}

/// One end, and its place in the event loop once somebody has waited for it.
#[derive(Debug)]
struct End {
    pipe: Arc<OwnedFd>,
    watched: Option<AsyncFd<Arc<OwnedFd>>>,
}

impl End {
    fn new(pipe: OwnedFd) -> Self {
        Self { pipe: Arc::new(pipe), watched: None }
    }

    /// The event loop is that of whoever waits first.
    fn watched(&mut self) -> io::Result<&AsyncFd<Arc<OwnedFd>>> {
        if self.watched.is_none() {
            // SAFETY: the descriptor is open, and the same, for as long as the event loop holds its share of it.
            self.watched = Some(unsafe { AsyncFd::register(Arc::clone(&self.pipe)) }?);
        }
        self.watched.as_ref().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

/// What a reading has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing now.
    Nothing,
    /// Some octets.
    Something,
    /// The other end is closed.
    End,
}

impl Wires {
    /// The pipes of a process, and the ends that are the process's: its standard input and output.
    pub(super) fn open() -> Result<(Self, OwnedFd, OwnedFd), Errno> {
        let (stdin, input) = feed::pipe()?;
        let (output, stdout) = feed::pipe_back()?;
        let wires = Self {
            input: Some(End::new(input)),
            output: Some(End::new(output)),
            lines: Vec::new(),
            written: 0,
            partial: Vec::new(),
        };
        Ok((wires, stdin, stdout))
    }

    /// Where to append a line, while there is room for one.
    pub(super) fn room(&mut self) -> Option<&mut Vec<u8>> {
        (self.input.is_some() && self.lines.len() - self.written < ENOUGH).then_some(&mut self.lines)
    }

    pub(super) fn close_input(&mut self) {
        self.input = None;
        self.lines = Vec::new();
        self.written = 0;
    }

    /// Writes what can be written now. Says whether that was anything.
    ///
    /// # Errors
    ///
    /// When the other end is closed.
    pub(super) fn write(&mut self) -> io::Result<bool> {
        let Some(input) = &self.input else { return Ok(false) };
        let mut any = false;
        while self.written < self.lines.len() {
            match feed::write(&input.pipe, self.lines.get(self.written..).unwrap_or_default()) {
                Ok(count) => {
                    self.written += count;
                    any = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if self.written == self.lines.len() {
            self.lines.clear();
            self.written = 0;
        } else if self.written > ENOUGH {
            self.lines.drain(..self.written);
            self.written = 0;
        }
        Ok(any)
    }

    /// Reads what is there now, once, and gives each whole line.
    pub(super) fn read(&mut self, mut line: impl FnMut(&[u8])) -> Heard {
        let Some(output) = &self.output else { return Heard::Nothing };
        let mut gulp = [0; GULP];
        let count = match feed::read(&output.pipe, &mut gulp) {
            Ok(0) => 0,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Heard::Nothing,
            Err(_) => 0,
        };
        if count == 0 {
            self.output = None;
            return Heard::End;
        }
        let mut rest = gulp.get(..count).unwrap_or_default();
        while let Some(end) = memchr(b'\n', rest) {
            let (head, tail) = rest.split_at(end);
            if self.partial.is_empty() {
                line(head.trim_ascii());
            } else {
                self.partial.extend_from_slice(head);
                line(self.partial.trim_ascii());
                self.partial.clear();
            }
            rest = tail.get(1..).unwrap_or_default();
        }
        let room = LONGEST_LINE.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(rest.get(..room).unwrap_or(rest));
        Heard::Something
    }

    /// Waits for the moment when [`Wires::read`] or [`Wires::write`] is worth calling. Says whether it has come.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let unwritten = self.written < self.lines.len();
        let readable = self.output.as_mut().is_some_and(|output| {
            output.watched().is_ok_and(|watched| {
                // What was read or written without asking leaves the readiness behind.
                while let Poll::Ready(Ok(mut guard)) = watched.poll_read_ready(context) {
                    if is_ready(watched.get_ref(), nix::poll::PollFlags::POLLIN) {
                        return true;
                    }
                    guard.clear_ready();
                }
                false
            })
        });
        let writable = unwritten
            && self.input.as_mut().is_some_and(|input| {
                input.watched().is_ok_and(|watched| {
                    while let Poll::Ready(Ok(mut guard)) = watched.poll_write_ready(context) {
                        if is_ready(watched.get_ref(), nix::poll::PollFlags::POLLOUT) {
                            return true;
                        }
                        guard.clear_ready();
                    }
                    false
                })
            });
        readable || writable
    }
}

/// Whether it is so at this moment.
fn is_ready(pipe: &OwnedFd, what: nix::poll::PollFlags) -> bool {
    use std::os::fd::AsFd;
    let mut polled = [nix::poll::PollFd::new(pipe.as_fd(), what)];
    // An end that is closed is something to be noticed too.
    nix::poll::poll(&mut polled, nix::poll::PollTimeout::ZERO).is_ok_and(|count| count > 0)
}
