//! A connection to the database in a state directory that is ours.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tracing::{error, warn};

use crate::time::Timestamp;

use super::directory::{DATABASE, Directory, LOG};
use super::fault::Fault;
use super::schema::{self, MIGRATIONS, Mismatch};
use super::{Durability, OpenError};

/// How long somebody else's lock is waited for, such as that of a person at sqlite3. Then the store goes on in memory.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pages of 4 KiB in the write-ahead log before they go to where they belong. More means fewer and longer pauses.
const CHECKPOINT: i64 = 4_000;
/// To what the write-ahead log is cut after that, in octets.
const LOG_LIMIT: i64 = 64 << 20;
/// Damaged databases that are kept, for people to look at.
const DAMAGED: usize = 3;
/// Statements that are kept prepared; there are fewer.
const STATEMENTS: usize = 64;

/// A database that can be read and, if nothing is in the way, written.
#[derive(Debug)]
pub(super) struct Database {
    directory: Directory,
    durability: Durability,
    pub(super) connection: Connection,
}

/// A damaged database that was moved aside.
#[derive(Clone, Debug)]
pub(super) struct Moved {
    /// Its new name.
    pub(super) to: PathBuf,
    /// How many older ones were removed.
    pub(super) removed: u64,
}

/// Why a connection was not made.
enum Refusal {
    Damaged(String),
    Newer(i64),
    Unavailable(io::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        match Fault::of(&error) {
            Fault::Damaged => Self::Damaged(error.to_string()),
            Fault::Unavailable => Self::Unavailable(io::Error::other(error)),
        }
    }
}

impl From<Mismatch> for Refusal {
    fn from(mismatch: Mismatch) -> Self {
        match mismatch {
            Mismatch::Newer(version) => Self::Newer(version),
            Mismatch::Foreign => Self::Damaged("its tables are not ours".to_owned()),
            Mismatch::Sql(error) => error.into(),
        }
    }
}

impl Database {
    /// Opens or makes the database. A damaged one is moved aside first; where to comes back as well.
    pub(super) fn open(
        path: &Path,
        durability: Durability,
        now: Timestamp,
    ) -> Result<(Self, Option<Moved>), OpenError> {
        let directory = Directory::hold(path)?;
        let (connection, moved) = connect_or_begin(&directory, durability, now)?;
        Ok((Self { directory, durability, connection }, moved))
    }

    /// Moves this database aside and begins another. `why` is for the log.
    pub(super) fn begin_anew(self, why: &str, now: Timestamp) -> Result<(Self, Moved), OpenError> {
        let Self { directory, durability, connection } = self;
        // The log is evidence too, and stays a file of its own. Closing may fail on a damaged file, and nothing can be done about it.
        let _ = keep_log(&connection, true);
        drop(connection);
        let moved = move_aside(&directory, why, now)?;
        let (connection, _) = connect_or_begin(&directory, durability, now)?;
        Ok((Self { directory, durability, connection }, moved))
    }

    /// A number that changes when another process has written.
    pub(super) fn data_version(&self) -> rusqlite::Result<i64> {
        self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
    }
}

fn connect_or_begin(
    directory: &Directory,
    durability: Durability,
    now: Timestamp,
) -> Result<(Connection, Option<Moved>), OpenError> {
    let path = directory.database();
    let unusable = |source| OpenError::Unusable { path: path.clone(), source };
    let newer = |found| OpenError::Newer { path: path.clone(), found, known: MIGRATIONS.len() };
    match connect(directory, durability) {
        Ok(connection) => Ok((connection, None)),
        Err(Refusal::Newer(found)) => Err(newer(found)),
        Err(Refusal::Unavailable(error)) => Err(unusable(error)),
        Err(Refusal::Damaged(why)) => {
            let moved = move_aside(directory, &why, now)?;
            match connect(directory, durability) {
                Ok(connection) => Ok((connection, Some(moved))),
                Err(Refusal::Newer(found)) => Err(newer(found)),
                Err(Refusal::Unavailable(error)) => Err(unusable(error)),
                Err(Refusal::Damaged(why)) => Err(unusable(io::Error::other(why))),
            }
        }
    }
}

fn move_aside(directory: &Directory, why: &str, now: Timestamp) -> Result<Moved, OpenError> {
    let path = directory.database();
    let moved = directory
        .move_aside(&stamp(now))
        .map_err(|source| OpenError::Unusable { path: path.clone(), source })?;
    error!(
        "the database {} is damaged ({why}): moved to {}, a new one is begun",
        path.display(),
        moved.display()
    );
    let removed = directory.remove_old(&moved, DAMAGED).unwrap_or_else(|error| {
        warn!("older damaged databases in {} cannot be removed: {error}", moved.display());
        Vec::new()
    });
    for old in &removed {
        warn!("removed {}, a damaged database: the newest {DAMAGED} are kept", old.display());
    }
    Ok(Moved { to: moved, removed: removed.len() as u64 })
}

/// A moment as part of a file's name: `20261121T204306Z`.
fn stamp(now: Timestamp) -> String {
    let text = Connection::open_in_memory().and_then(|calendar| {
        let sql = "SELECT strftime('%Y%m%dT%H%M%SZ', ?1, 'unixepoch')";
        calendar.query_row(sql, [now.unix_seconds()], |row| row.get::<_, String>(0))
    });
    text.unwrap_or_else(|_| now.unix_seconds().to_string())
}

fn connect(directory: &Directory, durability: Durability) -> Result<Connection, Refusal> {
    let path = directory.prepare_database().map_err(Refusal::Unavailable)?;
    // One thread at a time uses it, so SQLite needs no lock of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    // A database that turns out to be damaged is to be left as it is.
    keep_log(&connection, true)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Refusal::Unavailable(io::Error::other(format!("journal mode {mode} instead of wal"))));
    }
    // What was committed is in the kernel's hands, so the death of this process takes nothing away in any mode. NORMAL
    // also syncs before and after pages go where they belong, and so keeps a power cut from damaging the file; OFF would
    // not. FULL syncs each commit.
    let synchronous = match durability {
        Durability::Process => "NORMAL",
        Durability::Power => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.pragma_update(None, "journal_size_limit", LOG_LIMIT)?;
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(Refusal::Damaged(sound.replace('\n', " ")));
    }
    schema::migrate(&mut connection, MIGRATIONS)?;
    keep_log(&connection, false)?;
    Ok(connection)
}

/// Whether the write-ahead log is left alone when the connection is closed.
fn keep_log(connection: &Connection, keeps: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps).map(drop)
}

/// A connection for reading what is in a directory that cannot be written, if that is possible.
///
/// SQLite wants to write even when it only reads, unless it is told that nobody changes the file. That is so when the last
/// life has closed it and left no log.
pub(super) fn open_unwritable(directory: &Path) -> Option<Connection> {
    let path = directory.join(DATABASE);
    let log = directory.join(format!("{DATABASE}{LOG}"));
    let has_log = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
    // What has a meaning in a URI.
    let escaped = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let immutable = if has_log { "" } else { "?immutable=1" };
    let connection = Connection::open_with_flags(format!("file:{escaped}{immutable}"), flags).ok()?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).ok()?;
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).ok()?;
    (usize::try_from(version) == Ok(MIGRATIONS.len()) && sound == "ok").then_some(connection)
}

/// Whether an error says that somebody else holds the database.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
