//! As much of rtnetlink as a capture needs: ask for a list, ask for a removal, and be told when links change.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};

/// A message: what it is, and what stands behind its header.
pub struct Message {
    /// An RTM_ number.
    pub kind: u16,
    /// The family's fixed header and then attributes.
    pub payload: Vec<u8>,
}

/// What a request is for, as its header's flags say it.
#[derive(Clone, Copy)]
pub enum Request {
    /// Every object of a kind.
    Dump,
    /// One change, acknowledged.
    Change,
    /// Something new, acknowledged; an error when it is there already.
    Create,
}

/// Asks the kernel, and waits for the end of its answer.
pub fn request(kind: u16, request: Request, payload: &[u8]) -> io::Result<Vec<Message>> {
    let socket = open(SockFlag::SOCK_CLOEXEC, 0)?;
    let flags = libc::NLM_F_REQUEST
        | match request {
            Request::Dump => libc::NLM_F_DUMP,
            Request::Change => libc::NLM_F_ACK,
            Request::Create => libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL,
        };
    let length = u32::try_from(HEADER + payload.len()).map_err(io::Error::other)?;
    let mut octets = Vec::with_capacity(HEADER + payload.len());
    octets.extend(length.to_ne_bytes());
    octets.extend(kind.to_ne_bytes());
    octets.extend((flags as u16).to_ne_bytes());
    // The sequence number tells answers of several requests apart; this socket makes one. The port is the kernel's.
    octets.extend([0; 8]);
    octets.extend(payload);
    send(socket.as_raw_fd(), &octets, MsgFlags::empty())?;

    let mut answer = Vec::new();
    loop {
        for message in receive(socket.as_fd())? {
            match i32::from(message.kind) {
                libc::NLMSG_DONE => return Ok(answer),
                libc::NLMSG_ERROR => {
                    let code = native_i32(&message.payload).unwrap_or(-libc::EPROTO);
                    return if code == 0 { Ok(answer) } else { Err(io::Error::from_raw_os_error(-code)) };
                }
                _ => answer.push(message),
            }
        }
    }
}

/// A socket on which the kernel tells of every link that appears, changes or goes. It does not block.
pub fn watch_links() -> io::Result<OwnedFd> {
    open(SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, libc::RTMGRP_LINK as u32)
}

/// What one datagram holds.
pub fn receive(socket: BorrowedFd<'_>) -> io::Result<Vec<Message>> {
    // The kernel fills at most 32 KiB per datagram of a dump.
    let mut buffer = vec![0; 64 * 1024];
    let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    Ok(split(buffer.get(..length).unwrap_or_default()))
}

fn open(flags: SockFlag, groups: u32) -> io::Result<OwnedFd> {
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// The octets of a `nlmsghdr`.
const HEADER: usize = 16;

fn split(mut datagram: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some((header, rest)) = datagram.split_at_checked(HEADER) {
        let (Some(length), Some(kind)) = (native_u32(header, 0), native_u16(header, 4)) else { break };
        let Some(payload) = (length as usize).checked_sub(HEADER).and_then(|length| rest.get(..length))
        else {
            break;
        };
        messages.push(Message { kind, payload: payload.to_vec() });
        datagram = rest.get(payload.len().next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

/// The attributes in a run of octets: type and value. Ends at the first that does not fit.
pub fn attributes(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(native_u16(octets, 0)?);
        // The two highest bits are flags (nested, byte order).
        let kind = native_u16(octets, 2)? & 0x3fff;
        let value = octets.get(4..length)?;
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The text of an attribute that ends with a zero octet.
pub fn text(value: &[u8]) -> String {
    let end = value.iter().position(|octet| *octet == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

/// Sixteen bits in the machine's order at an offset.
pub fn native_u16(octets: &[u8], offset: usize) -> Option<u16> {
    octets.get(offset..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

/// Thirty-two bits in the machine's order at an offset.
pub fn native_u32(octets: &[u8], offset: usize) -> Option<u32> {
    octets.get(offset..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn native_i32(octets: &[u8]) -> Option<i32> {
    octets.first_chunk().copied().map(i32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut octets = Vec::new();
        octets.extend((HEADER as u32 + payload.len() as u32).to_ne_bytes());
        octets.extend(kind.to_ne_bytes());
        octets.extend([0; 10]);
        octets.extend(payload);
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets
    }

    #[test]
    fn a_datagram_is_split_and_what_is_cut_off_is_left_out() {
        let whole = [message(16, &[1, 2, 3]), message(17, &[4])].concat();
        let kinds = |octets: &[u8]| split(octets).iter().map(|message| message.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&whole), [16, 17]);
        assert_eq!(split(&whole).first().map(|first| first.payload.clone()), Some(vec![1, 2, 3]));
        for length in 0..whole.len() {
            let expected: &[u16] = match length {
                0..19 => &[],
                // The second message's one octet ends before its padding does.
                19..37 => &[16],
                _ => &[16, 17],
            };
            assert_eq!(kinds(&whole[..length]), expected, "{length}");
        }
    }

    #[test]
    fn attributes_end_at_the_first_that_does_not_fit() {
        let mut octets = Vec::new();
        for (kind, value) in [(3u16, &b"eth0\0"[..]), (0x8002, &[1, 2])] {
            octets.extend((4 + value.len() as u16).to_ne_bytes());
            octets.extend(kind.to_ne_bytes());
            octets.extend(value);
            octets.resize(octets.len().next_multiple_of(4), 0);
        }
        octets.extend([40, 0, 1, 0]);
        let found: Vec<_> = attributes(&octets).collect();
        assert_eq!(found, [(3, &b"eth0\0"[..]), (2, &[1, 2][..])]);
        assert_eq!(text(b"eth0\0"), "eth0");
    }

    #[test]
    fn the_loopback_interface_is_in_a_list_of_links() -> io::Result<()> {
        let links = request(libc::RTM_GETLINK, Request::Dump, &[0; 16])?;
        let names = links.iter().flat_map(|link| attributes(link.payload.get(16..).unwrap_or_default()));
        let names: Vec<_> =
            names.filter(|(kind, _)| *kind == libc::IFLA_IFNAME).map(|(_, name)| text(name)).collect();
        assert!(names.iter().any(|name| name == "lo"), "{names:?}");
        Ok(())
    }
}
