//! The file system of pinned eBPF objects, and directories in it that are ours alone.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use nix::unistd::geteuid;

use super::PinError;

/// Where a bpffs is mounted by convention.
pub const CONVENTIONAL: &str = "/sys/fs/bpf";

/// The directory of all observers in a bpffs, where there is one.
pub fn ours(bpffs: &Path) -> PathBuf {
    bpffs.join("dhcp-observer")
}

/// Makes the directory of all observers. Where the conventional place has no bpffs, one is mounted there: systemd and
/// bpftool do the same.
pub fn prepare(bpffs: &Path) -> Result<PathBuf, PinError> {
    let not_there = |source| PinError::NotBpffs { path: bpffs.to_owned(), source };
    if !is_bpffs(bpffs).map_err(not_there)? {
        if bpffs != Path::new(CONVENTIONAL) {
            return Err(not_there(io::Error::other("something else is mounted there")));
        }
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("bpf"), bpffs, Some("bpf"), flags, Some("mode=0700"))
            .map_err(|errno| not_there(errno.into()))?;
    }
    let ours = ours(bpffs);
    private_directory(&ours)?;
    Ok(ours)
}

/// Whether a bpffs is mounted at a path.
pub fn is_bpffs(path: &Path) -> io::Result<bool> {
    Ok(statfs(path)?.filesystem_type() == BPF_FS_MAGIC)
}

/// Makes a directory, if there is none.
fn make(path: &Path) -> Result<(), PinError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(PinError::Directory { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Makes a directory that only we can enter, or makes sure that the one that is there is such a one: a bpffs may be
/// writable by everyone.
pub fn private_directory(path: &Path) -> Result<(), PinError> {
    make(path)?;
    let found =
        fs::symlink_metadata(path).map_err(|source| PinError::Directory { path: path.to_owned(), source })?;
    if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
        return Err(PinError::Untrusted { path: path.to_owned() });
    }
    Ok(())
}

/// Makes an instance's directory and holds it until the process ends, however it ends. `None` when another process
/// holds it.
pub fn hold(path: &Path) -> Result<Option<Flock<File>>, PinError> {
    loop {
        make(path)?;
        match lock(path) {
            Ok(held) => {
                // Whoever held it before may have removed it meanwhile, and then we hold what nobody can find.
                let same = fs::symlink_metadata(path)
                    .is_ok_and(|found| held.metadata().is_ok_and(|ours| ours.ino() == found.ino()));
                if same {
                    return Ok(Some(held));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(source) => return Err(PinError::Directory { path: path.to_owned(), source }),
        }
    }
}

/// Holds a directory that is there.
pub fn lock(path: &Path) -> io::Result<Flock<File>> {
    Flock::lock(File::open(path)?, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno.into())
}

/// The names in a directory. None when it is not there.
pub fn entries(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    entries
}

/// What tells this network namespace from all others since the machine was booted. Before Linux 5.14 it is a number that
/// may be given again when a namespace has gone.
pub fn network_namespace() -> io::Result<u64> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the pointers are to a value of that length and to the length itself, and both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    match Errno::result(result) {
        Ok(_) => Ok(cookie),
        Err(_) => Ok(fs::metadata("/proc/thread-self/ns/net")?.ino()),
    }
}
