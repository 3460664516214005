//! Messages over a stream socket: each behind its length, descriptors with its first octet.
//!
//! The kernel ends a read behind octets that came with descriptors, so these are in the order of their messages.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::Serialize;

/// Octets of a length.
const LENGTH: usize = 4;
/// The longest message: a batch of thousands of calls.
const LONGEST: usize = 1 << 28;
/// Descriptors with one message.
const DESCRIPTORS: usize = 2;
/// What is read at once.
const GULP: usize = 64 * 1024;

/// Sends a message with these descriptors. Waits while the other side does not read.
///
/// # Errors
///
/// When the other side has gone; [`ErrorKind::FileTooLarge`] when the message is too long, and nothing was sent.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    // The length is filled in when it is known.
    let mut octets = postcard::to_extend(message, vec![0; LENGTH]).map_err(io::Error::other)?;
    if octets.len() - LENGTH > LONGEST {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let length = u32::try_from(octets.len() - LENGTH).map_err(io::Error::other)?;
    if let Some(place) = octets.first_chunk_mut() {
        *place = length.to_le_bytes();
    }
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let mut rights = if raw.is_empty() { &[][..] } else { &rights };
    let mut rest = &octets[..];
    while !rest.is_empty() {
        let sent =
            sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(rest)], rights, MsgFlags::MSG_NOSIGNAL, None);
        match sent {
            Ok(sent) => {
                rest = rest.get(sent..).unwrap_or_default();
                rights = &[];
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// The receiving side of a socket.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    octets: Vec<u8>,
    /// Where the message begins that is to be taken next.
    start: usize,
    descriptors: VecDeque<OwnedFd>,
}

impl Incoming {
    /// Reads what is there; waits for it, unless `flags` say otherwise. `Ok(false)` when the other side has gone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`] where it does not wait, and what else the kernel says.
    pub(super) fn read(&mut self, socket: BorrowedFd<'_>, flags: MsgFlags) -> io::Result<bool> {
        self.octets.drain(..self.start);
        self.start = 0;
        let end = self.octets.len();
        self.octets.resize(end + GULP, 0);
        let received = self.receive(socket, end, flags);
        self.octets.truncate(end + received.as_ref().copied().unwrap_or_default());
        received.map(|count| count > 0)
    }

    fn receive(&mut self, socket: BorrowedFd<'_>, end: usize, flags: MsgFlags) -> io::Result<usize> {
        let Self { octets, descriptors, .. } = self;
        let mut control = nix::cmsg_space!([RawFd; DESCRIPTORS]);
        loop {
            let mut slices = [IoSliceMut::new(octets.get_mut(end..).unwrap_or_default())];
            let message = match recvmsg::<()>(
                socket.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                flags | MsgFlags::MSG_CMSG_CLOEXEC,
            ) {
                Ok(message) => message,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            for part in message.cmsgs()? {
                if let ControlMessageOwned::ScmRights(received) = part {
                    // SAFETY: the kernel has just made these descriptors for us, and nobody else knows them.
                    let owned = received.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) });
                    descriptors.extend(owned);
                }
            }
            return Ok(message.bytes);
        }
    }

    /// The next whole message, if it is there.
    ///
    /// # Errors
    ///
    /// When its length cannot be.
    pub(super) fn take(&mut self) -> io::Result<Option<&[u8]>> {
        let rest = self.octets.get(self.start..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > LONGEST {
            return Err(ErrorKind::InvalidData.into());
        }
        if rest.len() < length {
            return Ok(None);
        }
        let start = self.start + LENGTH;
        self.start = start + length;
        Ok(self.octets.get(start..self.start))
    }

    /// The descriptors that came with the messages that were taken, in their order.
    pub(super) fn descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }
}
