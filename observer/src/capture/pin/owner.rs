//! Whose an instance's directory is: that of the observer's user while it runs, ours before anything in it is opened.
//!
//! Who had it keeps a descriptor, and may have laid out symbolic links that lead to what only root can reach. BPF_OBJ_GET
//! follows them. But each change of a directory asks whose it is at that moment, under the lock under which that is
//! changed: what is taken back stays as it is then found, whatever descriptors there are.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown, lchown};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, geteuid};

use super::PinError;

/// Makes an instance's directory, which is held, and those of its versions root's alone, where we are root, and removes what
/// is no pinned object. That is given back. To be done before anything in there is opened.
///
/// # Errors
///
/// When anything of it is refused: then nothing in there can be trusted.
pub fn take_back(held: &File, instance: &Path) -> Result<Vec<PathBuf>, PinError> {
    let mut removed = Vec::new();
    if geteuid().is_root() {
        take_back_all(held, instance, Uid::from_raw(0), &mut removed)
            .map_err(|source| PinError::Directory { path: instance.to_owned(), source })?;
    }
    Ok(removed)
}

fn take_back_all(held: &File, instance: &Path, root: Uid, removed: &mut Vec<PathBuf>) -> io::Result<()> {
    let private = || Permissions::from_mode(0o700);
    // The owner first: nobody else can then change the mode again.
    fchown(held, Some(root.as_raw()), None)?;
    held.set_permissions(private())?;
    for version in list(instance)? {
        // What a name in there is, is only ours to change from here on.
        if !fs::symlink_metadata(&version)?.is_dir() {
            fs::remove_file(&version)?;
            removed.push(version);
            continue;
        }
        lchown(&version, Some(root.as_raw()), None)?;
        fs::set_permissions(&version, private())?;
        for entry in list(&version)? {
            let found = fs::symlink_metadata(&entry)?;
            // What is pinned is a regular file; one with another name may be somebody else's pin.
            if found.is_file() && found.nlink() == 1 {
                continue;
            }
            if found.is_dir() { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) }?;
            removed.push(entry);
        }
    }
    Ok(())
}

/// Gives an instance's directory, which is held, and those of its versions to another user. To be done when everything in
/// there is open: from then on it may lead anywhere.
///
/// # Errors
///
/// When it is refused.
pub fn give_away(held: &File, instance: &Path, owner: Uid) -> Result<(), PinError> {
    let give = || {
        for version in list(instance)? {
            lchown(version, Some(owner.as_raw()), None)?;
        }
        // Last: until then the names in there are ours.
        fchown(held, Some(owner.as_raw()), None)
    };
    give().map_err(|source| PinError::Directory { path: instance.to_owned(), source })
}

/// A way to an instance's directory, which is held, that its owner to be can go too. That is itself, if it stays ours.
pub fn way(held: &File, instance: &Path, owner: Option<Uid>) -> PathBuf {
    match owner {
        // The same directory for whoever has the descriptor, wherever else the path leads through.
        Some(_) => PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd())),
        None => instance.to_owned(),
    }
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const STRANGER: u32 = 65_533;

    #[test]
    fn what_is_taken_back_is_ours_and_leads_nowhere() {
        if !geteuid().is_root() {
            return println!("skipped: this needs root");
        }
        let scratch = std::env::temp_dir().join(format!("dhcp-observer-owner-{}", std::process::id()));
        let (instance, other) = (scratch.join("instance"), scratch.join("other"));
        let version = instance.join("version");
        fs::create_dir_all(version.join("nested/deep")).unwrap();
        fs::create_dir(&other).unwrap();
        for pin in [version.join("RING"), other.join("RING"), instance.join("file")] {
            fs::write(pin, "").unwrap();
        }
        symlink(other.join("RING"), version.join("STATE1")).unwrap();
        fs::hard_link(other.join("RING"), version.join("COUNTERS")).unwrap();
        symlink(&other, instance.join("soft")).unwrap();
        let held = File::open(&instance).unwrap();
        give_away(&held, &instance, Uid::from_raw(STRANGER)).unwrap();
        let owner = |path: &Path| fs::metadata(path).unwrap().uid();
        assert_eq!([&instance, &version].map(|path| owner(path)), [STRANGER; 2]);
        assert_eq!(owner(&other), 0, "a link was followed");
        for directory in [&instance, &version] {
            fs::set_permissions(directory, Permissions::from_mode(0o777)).unwrap();
        }

        let mut removed = take_back(&held, &instance).unwrap();
        removed.sort();
        let expected = ["file", "soft", "version/COUNTERS", "version/STATE1", "version/nested"];
        assert_eq!(removed, expected.map(|name| instance.join(name)));
        for directory in [&instance, &version] {
            let found = fs::metadata(directory).unwrap();
            assert_eq!((found.uid(), found.mode() & 0o777), (0, 0o700));
        }
        assert_eq!(list(&instance).unwrap(), std::slice::from_ref(&version));
        assert_eq!(list(&version).unwrap(), [version.join("RING")]);
        assert!(other.join("RING").exists());
        assert!(take_back(&held, &instance).unwrap().is_empty());
        fs::remove_dir_all(&scratch).unwrap();
    }
}
