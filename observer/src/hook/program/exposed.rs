//! Who else could change what a hook runs: the file itself, or a directory on the way to it.
//!
//! A hook runs with our privileges or with those that its table names, so whoever can write the file, rename it away or
//! point a symbolic link elsewhere has those privileges too. Root, we ourselves and the hook's own user have them anyway, and
//! so has who started us by sudo.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::unistd::geteuid;

/// The write bits of everybody but the owner. An access control list that lets somebody write shows in the group's.
const OTHERS_WRITE: u32 = 0o022;
/// In a directory with this bit only the owner of a file, or of the directory, may replace the file.
const STICKY: u32 = 0o1000;
/// As many symbolic links as the kernel follows.
const MOST_LINKS: usize = 40;
const ROOT: u32 = 0;

/// A place where somebody else could change what is run. The message names it and says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Group or others may write the file.
    FileWritable(PathBuf),
    /// The file is a stranger's.
    FileOwner(PathBuf, u32),
    /// Group or others may replace the file, or a directory above it.
    DirectoryWritable(PathBuf),
    /// The directory is a stranger's, who may replace what is in it.
    DirectoryOwner(PathBuf, u32),
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileWritable(path) => {
                let path = path.display();
                write!(f, "hook program {path}: group or others may change it; run: chmod go-w {path}")
            }
            Self::FileOwner(path, owner) => {
                let path = path.display();
                write!(
                    f,
                    "hook program {path}: it belongs to user {owner}, who may change it and is neither root nor whom \
                     the hook runs as; run: chown root {path}"
                )
            }
            Self::DirectoryWritable(path) => {
                let path = path.display();
                write!(
                    f,
                    "directory {path} of the hook program: group or others may replace the program; run: chmod go-w {path}"
                )
            }
            Self::DirectoryOwner(path, owner) => {
                let path = path.display();
                write!(
                    f,
                    "directory {path} of the hook program: it belongs to user {owner}, who may replace the program and is \
                     neither root nor whom the hook runs as; run: chown root {path}, or keep the program elsewhere"
                )
            }
        }
    }
}

/// Looks at a program, given by an absolute path, which is to run as `user`; `None`: as us. Every directory in which a
/// name of the path is looked up counts, also those that symbolic links lead through.
///
/// What cannot be looked at is left out: starting the program will fail there too.
pub fn exposures(path: &Path, user: Option<u32>) -> Vec<Exposure> {
    // sudo says who that is; without sudo only root can have said so.
    let sudo =
        std::env::var("SUDO_UID").ok().filter(|_| geteuid().is_root()).and_then(|uid| uid.parse().ok());
    let trusted = [ROOT, geteuid().as_raw(), user.unwrap_or(ROOT), sudo.unwrap_or(ROOT)];
    let is_stranger = |metadata: &Metadata| !trusted.contains(&metadata.uid());
    let mut found = Vec::new();
    if let Ok(metadata) = std::fs::metadata(path) {
        if metadata.mode() & OTHERS_WRITE != 0 {
            found.push(Exposure::FileWritable(path.to_owned()));
        }
        if is_stranger(&metadata) {
            found.push(Exposure::FileOwner(path.to_owned(), metadata.uid()));
        }
    }
    for directory in directories(path) {
        let Ok(metadata) = std::fs::metadata(&directory) else { continue };
        if metadata.mode() & OTHERS_WRITE != 0 && metadata.mode() & STICKY == 0 {
            found.push(Exposure::DirectoryWritable(directory.clone()));
        }
        if is_stranger(&metadata) {
            found.push(Exposure::DirectoryOwner(directory, metadata.uid()));
        }
    }
    found
}

/// Every directory in which a name is looked up on the way to `path`, each once.
fn directories(path: &Path) -> Vec<PathBuf> {
    let mut visited = Vec::new();
    let mut here = PathBuf::from("/");
    let mut rest = names(path);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        if !visited.contains(&here) {
            visited.push(here.clone());
        }
        let next = here.join(&name);
        match std::fs::read_link(&next) {
            Ok(_) if links == MOST_LINKS => return visited,
            Ok(target) => {
                links += 1;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for name in names(&target).into_iter().rev() {
                    rest.push_front(name);
                }
            }
            Err(_) => here = next,
        }
    }
    visited
}

/// The names of a path in order, with `..` as it is.
fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests;
