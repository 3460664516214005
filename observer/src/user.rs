//! Becoming another user, for good or for as long as files are opened.

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Gid, Uid, getegid, geteuid, setfsgid, setfsuid, setgroups, setresgid, setresuid};

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
}

impl Files {
    /// From now on.
    ///
    /// # Errors
    ///
    /// EPERM without the right to.
    pub fn of(credentials: &Credentials) -> Result<Self, Errno> {
        let group = setfsgid(Gid::from_raw(credentials.group));
        let user = setfsuid(Uid::from_raw(credentials.user));
        let files = Self { user, group };
        if file_user().as_raw() == credentials.user { Ok(files) } else { Err(Errno::EPERM) }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        setfsuid(self.user);
        setfsgid(self.group);
    }
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

/// Gives a directory of ours, and the files in it, to another user. What is not ours, is no plain file or has another name
/// elsewhere, is left as it is: it can be somebody's trap.
///
/// # Errors
///
/// When the directory cannot be read or given away.
pub fn give_away(directory: &Path, to: &Credentials) -> io::Result<()> {
    use std::fs::{File, OpenOptions};
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
    let open = |path: &Path, flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
    let held: File = open(directory, libc::O_DIRECTORY | libc::O_NOFOLLOW)?;
    if held.metadata()?.uid() != geteuid().as_raw() {
        // It was given away before, or is a stranger's, which whoever uses it says.
        return Ok(());
    }
    for entry in std::fs::read_dir(directory)? {
        let Ok(file) = open(&entry?.path(), libc::O_NOFOLLOW | libc::O_NONBLOCK) else { continue };
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
        use std::os::unix::fs::MetadataExt;
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
        use std::os::unix::fs::{MetadataExt, symlink};
        let directory = std::env::temp_dir().join(format!("dhcp-observer-away-{}", std::process::id()));
        let (state, other) = (directory.join("state"), directory.join("other"));
        std::fs::create_dir_all(&state).unwrap();
        for path in [&state.join("plain"), &other] {
            std::fs::write(path, "").unwrap();
        }
        std::fs::hard_link(&other, state.join("hard")).unwrap();
        symlink(&other, state.join("soft")).unwrap();
        give_away(&state, &STRANGER).unwrap();
        let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
        assert_eq!(owner(&state), STRANGER.user);
        assert_eq!(owner(&state.join("plain")), STRANGER.user);
        assert_eq!(owner(&other), 0);
        // What is the other's already is not looked at again.
        std::fs::write(state.join("later"), "").unwrap();
        give_away(&state, &STRANGER).unwrap();
        assert_eq!(owner(&state.join("later")), 0);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
