//! The kernel's interfaces: which there are, and which came and went.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::libc;

use super::netlink::{self, Request};

/// An interface as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index, which the kernel gives to no other until the next boot.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What its frames begin with, as an ARPHRD_ number.
    pub hardware_type: u16,
}

/// What the frames of an interface begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// An Ethernet header.
    Ethernet,
    /// An IP header.
    RawIp,
}

impl Link {
    /// What its frames begin with, `None` when it is something that no program of ours reads.
    pub const fn framing(&self) -> Option<Framing> {
        match self.hardware_type {
            libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(Framing::Ethernet),
            // Tun, WireGuard and cellular modems have no link layer, and PPP's is added below traffic control.
            libc::ARPHRD_NONE | libc::ARPHRD_PPP | ARPHRD_RAWIP => Some(Framing::RawIp),
            _ => None,
        }
    }
}

/// `ARPHRD_RAWIP` of linux/if_arp.h, which the libc crate does not have.
const ARPHRD_RAWIP: u16 = 519;

/// The octets of an `ifinfomsg`: family, padding, type, index, flags, change mask.
const LINK_HEADER: usize = 16;

/// The interfaces of this network namespace.
pub fn list() -> io::Result<Vec<Link>> {
    let answer = netlink::request(libc::RTM_GETLINK, Request::Dump, &[0; LINK_HEADER])?;
    Ok(answer.iter().filter_map(|message| read(&message.payload)).collect())
}

fn read(payload: &[u8]) -> Option<Link> {
    let (header, attributes) = payload.split_at_checked(LINK_HEADER)?;
    Some(Link {
        index: netlink::native_u32(header, 4)?,
        name: netlink::attributes(attributes)
            .find_map(|(kind, value)| (kind == libc::IFLA_IFNAME).then(|| netlink::text(value)))?,
        hardware_type: netlink::native_u16(header, 2)?,
    })
}

/// Is told by the kernel whenever an interface appears, changes or goes.
pub struct Watch {
    socket: OwnedFd,
}

impl Watch {
    /// Begins to listen. An interface that changes after this is heard of.
    pub fn open() -> io::Result<Self> {
        Ok(Self { socket: netlink::watch_links()? })
    }

    /// Takes everything that was said, and gives back the indexes of the interfaces that went away.
    ///
    /// What appeared is not told: the caller looks at the list, which cannot be out of date or have been lost when
    /// the socket overflowed. An index that went away is told because one that was given again by hand looks the
    /// same in two lists.
    pub fn gone(&mut self) -> io::Result<Vec<u32>> {
        let mut gone = Vec::new();
        loop {
            match netlink::receive(self.socket.as_fd()) {
                Ok(messages) => gone.extend(messages.iter().filter_map(|message| {
                    let unspecified = message.payload.first() == Some(&(libc::AF_UNSPEC as u8));
                    // A bridge says with the same type, and a family of its own, that it lost a port.
                    (message.kind == libc::RTM_DELLINK && unspecified)
                        .then(|| netlink::native_u32(&message.payload, 4))
                        .flatten()
                })),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(gone),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The socket overflowed and something was not told; the list still tells all but a reused index.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
