//! Who is at the other end of the control socket, by the word of the kernel.

use std::io;
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Gid, Uid};
use tokio::net::UnixStream;

/// The credentials that a peer had when it connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    pub(super) groups: Vec<Gid>,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = getsockopt(stream, sockopt::PeerCredentials)?;
        Ok(Self {
            uid: Uid::from_raw(credentials.uid()),
            gid: Gid::from_raw(credentials.gid()),
            groups: groups(stream)?,
        })
    }

    /// Whether it is root, the observer's own user, or in the group that may ask.
    pub(super) fn may_ask(&self, own: Uid, group: Option<Gid>) -> bool {
        self.uid.is_root()
            || self.uid == own
            || group.is_some_and(|group| self.gid == group || self.groups.contains(&group))
    }
}

/// The peer's supplementary groups (SO_PEERGROUPS, Linux 4.13), of which nix knows nothing.
fn groups(stream: &UnixStream) -> io::Result<Vec<Gid>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 32];
    loop {
        let mut octets =
            libc::socklen_t::try_from(size_of_val(groups.as_slice())).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: the buffer is `octets` long, and the kernel writes no more than that.
        let result = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut octets,
            )
        };
        let found = octets as usize / size_of::<libc::gid_t>();
        if result == 0 {
            groups.truncate(found);
            return Ok(groups.into_iter().map(Gid::from_raw).collect());
        }
        let error = io::Error::last_os_error();
        // It says how much room it wants.
        if error.raw_os_error() != Some(libc::ERANGE) || found <= groups.len() {
            return Err(error);
        }
        groups.resize(found, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_ourselves_and_the_group_may_ask_and_nobody_else() {
        let peer = |uid, gid, groups: &[u32]| Peer {
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
            groups: groups.iter().copied().map(Gid::from_raw).collect(),
        };
        let own = Uid::from_raw(990);
        let group = Some(Gid::from_raw(50));
        assert!(peer(0, 0, &[]).may_ask(own, None));
        assert!(peer(990, 990, &[]).may_ask(own, None));
        assert!(peer(1000, 50, &[]).may_ask(own, group));
        assert!(peer(1000, 1000, &[4, 50]).may_ask(own, group));
        assert!(!peer(1000, 1000, &[4]).may_ask(own, group));
        assert!(!peer(1000, 50, &[50]).may_ask(own, None));
    }
}
