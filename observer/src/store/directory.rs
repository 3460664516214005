//! The state directory: made if it is missing, looked at for who else can reach into it, and held by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;
use tracing::warn;

use super::OpenError;
use crate::hook::Credentials;
use crate::user;

/// The database in the state directory.
pub const DATABASE: &str = "observer.db";
const LOCK: &str = "observer.lock";
/// Files of SQLite that belong to a database, by what is appended to its name.
const COMPANIONS: [&str; 2] = [LOG, "-shm"];
/// What is appended to the name of a damaged one, before the time.
const DAMAGED: &str = ".damaged-";
/// The write-ahead log.
pub(super) const LOG: &str = "-wal";

/// A state directory that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Held, not read; the kernel lets go of it when the process dies, however it dies.
    _lock: Flock<File>,
}

impl Directory {
    /// Takes hold of a directory, which is made with mode 0700 if it is missing.
    pub(super) fn hold(path: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Unusable { path: path.to_path_buf(), source };
        make(path).map_err(unusable)?;
        let metadata = fs::metadata(path).map_err(unusable)?;
        if !metadata.is_dir() {
            return Err(unusable(ErrorKind::NotADirectory.into()));
        }
        let insecure = |why| Err(OpenError::Insecure { path: path.to_path_buf(), why });
        let ours = user::file_user().as_raw();
        if metadata.uid() != ours {
            return insecure(format!(
                "it belongs to user {}, and its files are to be user {ours}'s; give it away with chown, or name another with \
                 --state-dir or another --user",
                metadata.uid()
            ));
        }
        // Whoever can write there can put another database in our place. Reading is the files' own matter: they are 0600.
        if metadata.mode() & 0o022 != 0 {
            return insecure(format!(
                "others can write there (mode {:04o}); chmod 0700 {}",
                metadata.mode() & 0o7777,
                path.display()
            ));
        }
        let directory = Self { path: path.to_path_buf(), _lock: lock(path)? };
        directory.remove_rollback_journal().map_err(unusable)?;
        Ok(directory)
    }

    /// A database with a write-ahead log has no rollback journal, but SQLite would believe one: also a file of somebody whose
    /// the directory was, and whose names of further files it would remove.
    fn remove_rollback_journal(&self) -> io::Result<()> {
        let path = with_suffix(&self.database(), "-journal");
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                warn!("{} removed: a database in WAL mode has none", path.display());
                Ok(())
            }
        }
    }

    /// Where the database is.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Makes an empty file for the database, so that it and what SQLite puts beside it can be read by nobody else.
    pub(super) fn prepare_database(&self) -> io::Result<PathBuf> {
        let path = self.database();
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(path)
    }

    /// Moves a damaged database out of the way, and what belongs to it. `stamp` becomes part of its new name.
    pub(super) fn move_aside(&self, stamp: &str) -> io::Result<PathBuf> {
        let from = self.database();
        let mut to = with_suffix(&from, &format!("{DAMAGED}{stamp}"));
        let mut number = 1;
        while to.try_exists()? {
            number += 1;
            to = with_suffix(&from, &format!("{DAMAGED}{stamp}.{number}"));
        }
        // The write-ahead log first: were only the database moved, SQLite would take the log for that of the next one.
        for companion in COMPANIONS {
            match fs::rename(with_suffix(&from, companion), with_suffix(&to, companion)) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                outcome => outcome?,
            }
        }
        fs::rename(&from, &to)?;
        Ok(to)
    }

    /// Removes the oldest damaged databases, and what belongs to them, but for so many. `newest` is the last one that was
    /// moved, whatever its name says of the time. Gives the names of those removed.
    pub(super) fn remove_old(&self, newest: &Path, keep: usize) -> io::Result<Vec<PathBuf>> {
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path != newest
                && let Some(age) = path.file_name().and_then(|name| name.to_str()).and_then(moved_at)
            {
                others.push((age, path));
            }
        }
        others.sort();
        let too_many = (others.len() + 1).saturating_sub(keep.max(1));
        let old: Vec<PathBuf> = others.into_iter().take(too_many).map(|(_, path)| path).collect();
        for path in &old {
            for companion in COMPANIONS {
                match fs::remove_file(with_suffix(path, companion)) {
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    outcome => outcome?,
                }
            }
            fs::remove_file(path)?;
        }
        Ok(old)
    }
}

/// When a damaged database of this name was moved, and which of that second it is. `None` for what has another name.
fn moved_at(name: &str) -> Option<(u64, u32)> {
    let stamp = name.strip_prefix(DATABASE)?.strip_prefix(DAMAGED)?;
    let (time, number) = stamp.split_once('.').unwrap_or((stamp, "1"));
    let digits: String = time.strip_suffix('Z')?.split('T').collect();
    Some((digits.parse().ok()?, number.parse().ok()?))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn make(path: &Path) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}

fn lock(directory: &Path) -> Result<Flock<File>, OpenError> {
    let path = directory.join(LOCK);
    let unusable = |source| OpenError::Unusable { path: path.clone(), source };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(unusable)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            // Only for the error message of whoever comes second, so a full disk is no reason to stop.
            let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
            Ok(lock)
        }
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Err(OpenError::Taken { path: directory.to_path_buf(), holder: holder.trim().to_owned() })
        }
        Err((_, errno)) => Err(unusable(errno.into())),
    }
}

/// Makes the directory, if it is missing, and gives it to the user that will hold it.
///
/// # Errors
///
/// When it cannot be made or given away.
pub fn give_away(path: &Path, to: &Credentials) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Unusable { path: path.to_path_buf(), source };
    make(path).map_err(unusable)?;
    user::give_away(path, &[DATABASE, LOCK], to).map_err(unusable)
}

/// Becomes, for good, the user to whom a state directory belongs, where that is not ours: what is in it is to be looked at with
/// his rights, since it may have been made to trap us.
///
/// # Errors
///
/// When there is no such directory.
pub fn become_owner(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    let (user, group) = (metadata.uid(), metadata.gid());
    if geteuid().is_root() && user != geteuid().as_raw() {
        user::become_for_good(&Credentials { user, group, groups: vec![group] }, 0)?;
    }
    Ok(())
}

/// Whether a process holds the directory now.
pub(super) fn is_held(directory: &Path) -> bool {
    let Ok(file) = File::open(directory.join(LOCK)) else { return false };
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
}
