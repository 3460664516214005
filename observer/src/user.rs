//! Becoming another user, for good or for as long as files are opened.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{
    Gid, Uid, getegid, geteuid, getgroups, setfsgid, setfsuid, setgroups, setresgid, setresuid,
};

use crate::capabilities;
use crate::hook::Credentials;

/// An id that there is not: asked for, it changes nothing, and the answer is the one in force.
const NOBODY: u32 = u32::MAX;

/// The user and group that have started us, whoever we have become since.
pub fn started_as() -> (u32, u32) {
    static FIRST: OnceLock<(u32, u32)> = OnceLock::new();
    *FIRST.get_or_init(|| (geteuid().as_raw(), getegid().as_raw()))
}

/// The user as whom this thread opens and makes files.
pub fn file_user() -> Uid {
    setfsuid(Uid::from_raw(NOBODY))
}

/// While this lives, this thread opens and makes files as another user, as far as that user may. So root follows no link
/// that somebody has laid out in a directory of his own.
#[derive(Debug)]
pub struct Files {
    user: Uid,
    group: Gid,
    groups: Vec<Gid>,
}

impl Files {
    /// From now on.
    ///
    /// # Errors
    ///
    /// EPERM without the right to.
    pub fn of(credentials: &Credentials) -> Result<Self, Errno> {
        let groups = getgroups()?;
        set_own_groups(&credentials.groups)?;
        let group = setfsgid(Gid::from_raw(credentials.group));
        let user = setfsuid(Uid::from_raw(credentials.user));
        let files = Self { user, group, groups };
        if file_user().as_raw() == credentials.user { Ok(files) } else { Err(Errno::EPERM) }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        setfsuid(self.user);
        setfsgid(self.group);
        let groups: Vec<_> = self.groups.iter().map(|group| group.as_raw()).collect();
        // Fewer groups than before are a loss only where something is opened by their right, which then says so.
        let _ = set_own_groups(&groups);
    }
}

/// Sets the supplementary groups of this thread alone; the C library's function of that name is about all of them.
fn set_own_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: a list with its length.
    Errno::result(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// Becomes this user, in all threads and for good, and keeps of this thread's capabilities only `keep`. Every thread must still
/// have the right to: the C library ends a process whose threads would be different users.
///
/// # Errors
///
/// EPERM without the right to become somebody else.
pub fn become_for_good(credentials: &Credentials, keep: u64) -> Result<(), Errno> {
    let Credentials { user, group, groups } = credentials;
    let (user, group) = (Uid::from_raw(*user), Gid::from_raw(*group));
    let groups: Vec<_> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
    capabilities::limit_bounding_set(keep);
    if keep != 0 {
        // SAFETY: numbers. It is about this thread, and the next change of the user takes it away again.
        Errno::result(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1 as libc::c_ulong, 0, 0, 0) })?;
    }
    setgroups(&groups)?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    capabilities::give_up_all_but(keep)
}

/// Gives a directory of ours to another user, and the files in it, which all have names that begin with one of `names`: any
/// other directory is left as it is, and so is one that others can write to. Nor is a file given away that has another name
/// elsewhere: it can be somebody's trap.
///
/// # Errors
///
/// When the directory cannot be read or given away.
pub fn give_away(directory: &Path, names: &[&str], to: &Credentials) -> io::Result<()> {
    let open = |path: &Path, flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
    // Behind a slash at the end a link would be followed.
    let plain: PathBuf = directory.components().collect();
    let held = open(&plain, libc::O_DIRECTORY | libc::O_NOFOLLOW)?;
    let found = held.metadata()?;
    if found.uid() != geteuid().as_raw() || found.mode() & 0o022 != 0 {
        // It was given away before, or is not for this, which whoever uses it says.
        return Ok(());
    }
    // The directory that was looked at, whatever has that name now.
    let here = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
    let entries = std::fs::read_dir(&here)?.collect::<io::Result<Vec<_>>>()?;
    let is_ours =
        |name: &OsStr| names.iter().any(|known| name.as_encoded_bytes().starts_with(known.as_bytes()));
    if !entries.iter().all(|entry| is_ours(&entry.file_name())) {
        return Err(io::Error::other("there are files in it that are not ours: name an empty directory"));
    }
    for entry in entries {
        let Ok(file) = open(&entry.path(), libc::O_NOFOLLOW | libc::O_NONBLOCK) else { continue };
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.nlink() == 1 && metadata.uid() == geteuid().as_raw() {
            fchown(&file, Some(to.user), Some(to.group))?;
        }
    }
    // Last, so that nobody else is in it before.
    fchown(&held, Some(to.user), Some(to.group))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user without an entry.
    const STRANGER: Credentials = Credentials { user: 65_533, group: 65_532, groups: Vec::new() };

    #[test]
    fn files_are_the_others_for_a_while() {
        if !geteuid().is_root() {
            return println!("skipped: this needs root");
        }
        let path = std::env::temp_dir().join(format!("dhcp-observer-user-{}", std::process::id()));
        std::thread::scope(|scope| {
            // The file user is a thread's own.
            scope.spawn(|| {
                let files = Files::of(&STRANGER).unwrap();
                assert_eq!(file_user().as_raw(), STRANGER.user);
                std::fs::write(&path, "").unwrap();
                assert!(std::fs::read("/etc/shadow").is_err());
                drop(files);
                assert!(file_user().is_root());
                assert!(std::fs::read("/etc/shadow").is_ok());
            });
        });
        let made = std::fs::metadata(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((made.uid(), made.gid()), (STRANGER.user, STRANGER.group));
    }

    #[test]
    fn a_trap_is_not_given_away() {
        if !geteuid().is_root() {
            return println!("skipped: this needs root");
        }
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = std::env::temp_dir().join(format!("dhcp-observer-away-{}", std::process::id()));
        let (state, other) = (directory.join("state"), directory.join("other"));
        std::fs::create_dir_all(&state).unwrap();
        for path in [&state.join("our.db"), &other] {
            std::fs::write(path, "").unwrap();
        }
        let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
        let give = |path: &Path| give_away(path, &["our."], &STRANGER);
        // What is not for us, open to others, or behind a link stays root's.
        std::fs::write(state.join("shadow"), "").unwrap();
        assert!(give(&state).unwrap_err().to_string().contains("not ours"));
        std::fs::remove_file(state.join("shadow")).unwrap();
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o1777)).unwrap();
        give(&state).unwrap();
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&state, directory.join("link")).unwrap();
        assert!(give(&directory.join("link/")).is_err());
        assert_eq!((owner(&state), owner(&state.join("our.db"))), (0, 0));

        std::fs::hard_link(&other, state.join("our.hard")).unwrap();
        symlink(&other, state.join("our.soft")).unwrap();
        give(&state).unwrap();
        assert_eq!(owner(&state), STRANGER.user);
        assert_eq!(owner(&state.join("our.db")), STRANGER.user);
        assert_eq!(owner(&other), 0);
        // What is the other's already is not looked at again.
        std::fs::write(state.join("our.later"), "").unwrap();
        give(&state).unwrap();
        assert_eq!(owner(&state.join("our.later")), 0);
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn groups_go_with_the_user() {
        if !geteuid().is_root() {
            return println!("skipped: this needs root");
        }
        let before = getgroups().unwrap();
        std::thread::spawn(|| {
            set_own_groups(&[6, 7]).unwrap();
            let files = Files::of(&STRANGER).unwrap();
            assert_eq!(getgroups().unwrap(), []);
            drop(files);
            assert_eq!(getgroups().unwrap(), [Gid::from_raw(6), Gid::from_raw(7)]);
        })
        .join()
        .unwrap();
        assert_eq!(getgroups().unwrap(), before);
    }
}
