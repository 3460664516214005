//! Frames onto a wire: raw packet sockets, and captures sent at their own pace.

use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, bind, recv, send,
    socket,
};

use crate::capture::Frame;
use crate::link::Link;
use crate::wait;

/// A packet socket on one interface: sends frames as they are, and sees every frame that passes.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
}

impl PacketSocket {
    /// Opens one on `link`, in the link's namespace.
    pub fn open(link: &Link) -> Result<Self> {
        Self::with_protocol(link, Some(SockProtocol::EthAll))
    }

    /// Opens one that sees nothing, and so takes no time from whoever sends as fast as it can.
    pub fn open_to_send(link: &Link) -> Result<Self> {
        Self::with_protocol(link, None)
    }

    fn with_protocol(link: &Link, protocol: Option<SockProtocol>) -> Result<Self> {
        link.namespace.run(|| {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let socket = socket(AddressFamily::Packet, SockType::Raw, flags, protocol)
                .context("cannot open a packet socket")?;
            let wanted = protocol.map_or(0, |_| (libc::ETH_P_ALL as u16).to_be());
            bind(socket.as_raw_fd(), &address_of(link.index, wanted)?)
                .with_context(|| format!("cannot bind a packet socket to {}", link.name))?;
            Ok(Self { socket })
        })
    }

    /// Sends one frame, VLAN tags and all, without touching a byte.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        loop {
            match send(self.socket.as_raw_fd(), frame, MsgFlags::empty()) {
                Ok(sent) if sent == frame.len() => return Ok(()),
                Ok(sent) => bail!("only {sent} of {} octets were sent", frame.len()),
                Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                    self.poll(PollFlags::POLLOUT, Duration::from_millis(100))?
                }
                Err(error) => return Err(error).context("cannot send a frame"),
            }
        }
    }

    /// Sends all these frames with as few system calls as the kernel allows.
    pub fn send_all(&self, frames: &[Vec<u8>]) -> Result<()> {
        let of = |frame: &Vec<u8>| libc::iovec {
            iov_base: frame.as_ptr().cast_mut().cast(),
            iov_len: frame.len(),
        };
        let mut parts: Vec<libc::iovec> = frames.iter().map(of).collect();
        let message = |part: &mut libc::iovec| {
            // SAFETY: a message header of zeros is one that names nothing.
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            (message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen) = (part, 1);
            message
        };
        let mut messages: Vec<libc::mmsghdr> = parts.iter_mut().map(message).collect();
        let mut rest = messages.as_mut_slice();
        while !rest.is_empty() {
            let count = u32::try_from(rest.len())?;
            // SAFETY: each header names one part, and each part the octets of one frame; all of them outlive the call,
            // which only reads the octets.
            let sent = unsafe { libc::sendmmsg(self.socket.as_raw_fd(), rest.as_mut_ptr(), count, 0) };
            match Errno::result(sent) {
                Ok(sent) => rest = rest.split_at_mut(usize::try_from(sent)?).1,
                Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                    self.poll(PollFlags::POLLOUT, Duration::from_millis(100))?;
                }
                Err(error) => return Err(error).context("cannot send frames"),
            }
        }
        Ok(())
    }

    /// The next frame that passes the interface in either direction (except those that this socket sends), for which
    /// `wanted` returns something, at most after `within`.
    pub fn receive<T>(
        &self,
        within: Duration,
        mut wanted: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Option<T>> {
        let deadline = wait::now() + within;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) => {
                    if let Some(found) = buffer.get(..length).and_then(&mut wanted) {
                        return Ok(Some(found));
                    }
                }
                Err(Errno::EAGAIN) => {
                    let rest = deadline.saturating_duration_since(wait::now());
                    if rest.is_zero() {
                        return Ok(None);
                    }
                    self.poll(PollFlags::POLLIN, rest)?;
                }
                Err(error) => return Err(error).context("cannot receive a frame"),
            }
        }
    }

    fn poll(&self, events: PollFlags, within: Duration) -> Result<()> {
        // Rounded up: a rest below a millisecond must not become a busy loop.
        let timeout = PollTimeout::try_from(within + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.socket.as_fd(), events)], timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error).context("poll"),
        }
    }
}

fn address_of(index: u32, protocol: u16) -> Result<LinkAddr> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol,
        sll_ifindex: i32::try_from(index)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = u32::try_from(size_of::<libc::sockaddr_ll>())?;
    // SAFETY: the pointer is to a whole sockaddr_ll of that length, which is copied before the function returns.
    unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) }.context("not a link address")
}

/// Who sends the server's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswersFrom {
    /// The observed side itself: they leave the interface, as beside a real server.
    Observed,
    /// The peer, like everything else: all frames arrive, as at a mirror port.
    Peer,
}

/// Whether a frame is a server's answer (or a relay's, on its way to the client).
pub fn is_answer(frame: &[u8]) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else { return false };
    let Some(TransportSlice::Udp(udp)) = packet.transport else { return false };
    let kind = udp.payload().first().copied();
    match packet.net {
        // BOOTREPLY, RFC 951 section 3.
        Some(NetSlice::Ipv4(_)) => udp.source_port() == 67 && kind == Some(2),
        // ADVERTISE, REPLY, RECONFIGURE and RELAY-REPL, RFC 8415 section 7.3.
        Some(NetSlice::Ipv6(_)) => udp.source_port() == 547 && matches!(kind, Some(2 | 7 | 10 | 13)),
        Some(NetSlice::Arp(_)) | None => false,
    }
}

/// Sends the frames of a capture at its own pace times `speed`, and returns when the first one left, in seconds since
/// the Unix epoch.
pub fn replay_paced(
    frames: &[Frame],
    speed: f64,
    peer: &Link,
    observed: &Link,
    answers: AnswersFrom,
) -> Result<f64> {
    replay_selected(frames, speed, |_| true, peer, observed, answers)
}

/// Sends only the queries of a capture, from the peer, for a real server that answers them.
pub fn replay_queries(frames: &[Frame], speed: f64, peer: &Link, observed: &Link) -> Result<f64> {
    replay_selected(frames, speed, |frame| !is_answer(frame), peer, observed, AnswersFrom::Peer)
}

fn replay_selected(
    frames: &[Frame],
    speed: f64,
    wanted: impl Fn(&[u8]) -> bool,
    peer: &Link,
    observed: &Link,
    answers: AnswersFrom,
) -> Result<f64> {
    let (peer, observed) = (PacketSocket::open(peer)?, PacketSocket::open(observed)?);
    let first = frames.first().context("the capture is empty")?.at;
    let (start, wall) = (wait::now(), wait::unix_now());
    for frame in frames.iter().filter(|frame| wanted(&frame.bytes)) {
        wait::pace(start + Duration::from_secs_f64(((frame.at - first) / speed).max(0.0)));
        match answers {
            AnswersFrom::Observed if is_answer(&frame.bytes) => observed.send(&frame.bytes)?,
            AnswersFrom::Observed | AnswersFrom::Peer => peer.send(&frame.bytes)?,
        }
    }
    Ok(wall)
}
