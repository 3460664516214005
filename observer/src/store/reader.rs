//! The store from another process: what `dhcp-observer events` shows, and what it asks for.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Result, params};

use crate::dialect::invocation::Strings;
use crate::time::Timestamp;

use super::change::CallId;
use super::directory::{self, DATABASE};
use super::text;

/// How long the writer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

const LISTED: &str = "SELECT outbox.call, outbox.hook, outbox.word, outbox.subjects, outbox.at_ns, outbox.state, \
    outbox.attempts, outbox.result, outbox.ended_ns, outbox.next_try_ns, events.event, events.hook_point, outbox.change, \
    datetime(outbox.at_ns / 1000000000, 'unixepoch'), outbox.failures \
    FROM outbox LEFT JOIN events ON events.id = outbox.event WHERE outbox.change > ?1 AND (?2 = 0 OR state = 'dead') \
    ORDER BY outbox.call";

/// One call as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub id: CallId,
    /// The name of its hook.
    pub hook: String,
    /// What the hook's dialect calls the occasion.
    pub word: String,
    /// What it is about.
    pub subjects: String,
    /// When the event happened.
    pub at: Timestamp,
    /// The same for people, in UTC.
    pub time: String,
    /// waiting, running, done or dead.
    pub state: String,
    /// How many attempts were begun, as far as is known.
    pub attempts: u32,
    /// How many of them have failed and used up one of the hook's retries; the last one of a dead letter had none to use.
    pub failures: u32,
    /// How the last one ended.
    pub result: Option<String>,
    /// When the last one ended.
    pub ended: Option<Timestamp>,
    /// Not before when there will be another.
    pub next_try: Option<Timestamp>,
    /// `OBSERVER_EVENT`, where the event is still known.
    pub event: Option<String>,
    /// Kea's name for the occasion, where the event is still known.
    pub hook_point: Option<String>,
    /// Grows with each change of any call.
    pub change: i64,
}

/// What people can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make the calls of an event that are over again.
    Replay,
    /// Forget the calls of an event that failed or wait. One that runs is let end.
    Drop,
}

/// A second connection, which works while the daemon writes.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    /// Device and inode of the file.
    file: Option<(u64, u64)>,
    is_held: bool,
}

impl Reader {
    /// Opens the database in a state directory, where there is one.
    ///
    /// # Errors
    ///
    /// When there is none, it cannot be read, or it is of another version.
    pub fn open(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(DATABASE);
        if !path.try_exists()? {
            anyhow::bail!(
                "{}: no such database; --state-dir names the directory of the daemon",
                path.display()
            );
        }
        let named = |error| anyhow::Error::new(error).context(path.display().to_string());
        let connection =
            Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(named)?;
        connection.busy_timeout(PATIENCE).map_err(named)?;
        let version: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(named)?;
        let known = i64::try_from(super::schema::MIGRATIONS.len())?;
        if version != known {
            anyhow::bail!("{}: schema {version}, this program knows {known}", path.display());
        }
        let file = file(&path);
        Ok(Self { connection, path, file, is_held: directory::is_held(directory) })
    }

    /// Whether another database has taken the place of this one, which was damaged: nothing more will happen here.
    pub fn is_replaced(&self) -> bool {
        file(&self.path).is_some_and(|file| self.file != Some(file))
    }

    /// Whether a daemon ran on this directory when it was opened.
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// A number that changes when another process has written.
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn data_version(&self) -> Result<i64> {
        self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
    }

    /// The calls that changed after the change `after` (0: all), in their order; dead letters alone, if so wanted.
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn calls(&self, after: i64, failed: bool) -> Result<Vec<Listed>> {
        let mut statement = self.connection.prepare_cached(LISTED)?;
        let rows = statement.query_map(params![after, failed], |row| {
            let moment = |column| row.get::<_, Option<i64>>(column).map(|at| at.map(Timestamp::from_nanos));
            Ok(Listed {
                id: CallId::from_number(row.get(0)?),
                hook: row.get(1)?,
                word: row.get(2)?,
                subjects: row.get(3)?,
                at: Timestamp::from_nanos(row.get(4)?),
                state: row.get(5)?,
                attempts: row.get(6)?,
                failures: row.get(14)?,
                result: row.get(7)?,
                ended: moment(8)?,
                next_try: moment(9)?,
                event: row.get(10)?,
                hook_point: row.get(11)?,
                change: row.get(12)?,
                time: row.get(13)?,
            })
        })?;
        rows.collect()
    }

    /// Arguments and environment of a call.
    ///
    /// # Errors
    ///
    /// Those of SQLite; that there is none of this name.
    pub fn invocation(&self, call: CallId) -> Result<(Strings, Strings)> {
        let sql = "SELECT arguments, environment FROM invocations WHERE call = ?1";
        self.connection.prepare_cached(sql)?.query_row([call.number()], |row| {
            let block =
                |column| Ok::<_, rusqlite::Error>(text::octets(row.get_ref(column)?).unwrap_or_default());
            Ok((Strings::from_block(block(0)?), Strings::from_block(block(1)?)))
        })
    }

    /// Asks for something to be done with the calls of an event. The daemon looks once a second; where none runs, the next
    /// one does it when it starts. Gives how many calls it will touch: with 0, nothing was asked.
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn ask(&self, action: Action, event: u64) -> Result<usize> {
        let (word, states) = match action {
            Action::Replay => ("replay", "('done', 'dead')"),
            Action::Drop if self.is_held => ("drop", "('waiting', 'dead')"),
            // What ran when the daemon died would run again.
            Action::Drop => ("drop", "('waiting', 'dead', 'running')"),
        };
        let first = CallId { event, position: 0 }.number();
        let sql =
            format!("SELECT count(*) FROM outbox WHERE call BETWEEN ?1 AND ?1 + 65535 AND state IN {states}");
        let count: i64 = self.connection.query_row(&sql, [first], |row| row.get(0))?;
        if count > 0 {
            let sql = "INSERT INTO requests (action, event) VALUES (?1, ?2)";
            self.connection.execute(sql, params![word, first >> 16])?;
        }
        Ok(usize::try_from(count).unwrap_or(0))
    }
    /// Whether something was asked of an event that the daemon has not heard yet.
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn is_unheard(&self, event: u64) -> Result<bool> {
        let event = CallId { event, position: 0 }.number() >> 16;
        let sql = "SELECT EXISTS (SELECT 1 FROM requests WHERE event = ?1)";
        self.connection.prepare_cached(sql)?.query_row([event], |row| row.get(0))
    }

    /// The calls of an event and the state of each: waiting, running, done or dead.
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn states(&self, event: u64) -> Result<BTreeMap<CallId, String>> {
        let first = CallId { event, position: 0 }.number();
        let sql = "SELECT call, state FROM outbox WHERE call BETWEEN ?1 AND ?1 + 65535";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([first], |row| Ok((CallId::from_number(row.get(0)?), row.get(1)?)))?;
        rows.collect()
    }
}

fn file(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
