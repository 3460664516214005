//! The database before the writer has it: what an earlier life has left.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use nix::unistd::geteuid;
use rusqlite::types::{ToSql, ValueRef};
use rusqlite::{Connection, OptionalExtension, Result, Row, TransactionBehavior, params};
use tokio::sync::mpsc::unbounded_channel;
use tracing::{error, warn};

use crate::capabilities;
use crate::clock::Clock;
use crate::frame::RingPlace;
use crate::time::Timestamp;
use crate::tracker::{Lease4, Lease6};
use crate::user;

use super::change::StoredCall;
use super::database::{self, Database, Moved};
use super::fault::Fault;
use super::lease::{self, Places};
use super::outbox::{self, Ledger};
use super::writer::Writer;
use super::{OpenError, Options, Store, text};

/// The moment of the last frame or deadline that was stored, in nanoseconds.
pub(super) const LATEST: &str = "latest_ns";
/// The kernel's number of the ring that was read, and up to where that is stored.
const RING: &str = "ring_id";
const READ_UP_TO: &str = "ring_read_up_to";
/// Whether something that was lost has not been appended again.
pub(super) const INCOMPLETE: &str = "incomplete";
/// Whether the last life ended as it should.
pub(super) const CLEAN: &str = "clean_shutdown";
/// The boot in which the last life began.
const BOOT: &str = "boot_id";
/// How far the wall clock was from the time since that boot, in nanoseconds.
const OFFSET: &str = "wall_offset_ns";

/// The kernel's name for the time since it was booted.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How many event numbers there can be in a second, on average: a database that has forgotten which were used goes on
/// from the present second times this.
const EVENTS_A_SECOND: i64 = 1_000;

/// What the writer writes of this life.
#[derive(Clone, Debug)]
pub(super) struct Session {
    boot_id: String,
    wall_offset: i64,
}

/// What an earlier life has left, but for leases and memories, which may be many: see [`Archive::leases4`] and those
/// beside it.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// The number of the next event; greater than all before.
    pub next_event: u64,
    /// The moment of the last frame or deadline that was stored.
    pub latest: Option<Timestamp>,
    /// Up to where the ring was read, of the same boot.
    pub read_up_to: Option<RingPlace>,
    /// Whether the machine has been booted since.
    pub rebooted: bool,
    /// How far the wall clock of the last life was from the time since boot, in nanoseconds.
    pub wall_offset: Option<i64>,
    /// Whether the last life that could write here ended as it should, and said so. False also of a new database.
    pub clean: bool,
    /// Whether the last life knew leases or memories that are not here.
    pub incomplete: bool,
    /// DHCPv4 servers that were heard.
    pub servers4: Vec<Ipv4Addr>,
    /// The last times in which frames may have been missed, oldest first: from when until when.
    pub gaps: Vec<(Timestamp, Timestamp)>,
    /// Calls that were not finished, in their order.
    pub calls: Vec<StoredCall>,
    /// To where a damaged database was moved.
    pub moved_aside: Option<PathBuf>,
    /// Why there is no database to write: the store begins in memory. What could be read is here all the same.
    pub in_memory: Option<String>,
}

impl Restored {
    fn read(&mut self, connection: &Connection, session: &Session) -> Result<()> {
        let last = "SELECT max(coalesce((SELECT max(id) FROM events), 0), coalesce((SELECT max(event) FROM outbox), 0))";
        let last: i64 = connection.query_row(last, [], |row| row.get(0))?;
        self.next_event = u64::try_from(last).unwrap_or(0) + 1;
        // A life that ended before it had a time to tell has none.
        let latest = meta::<i64>(connection, LATEST)?.filter(|latest| *latest > 0);
        self.latest = latest.map(Timestamp::from_nanos);
        self.rebooted = meta::<String>(connection, BOOT)?.is_some_and(|boot| boot != session.boot_id);
        self.wall_offset = meta(connection, OFFSET)?;
        let place = (meta::<u32>(connection, RING)?, meta::<i64>(connection, READ_UP_TO)?);
        if let ((Some(ring), Some(octets)), false) = (place, self.rebooted) {
            self.read_up_to = u64::try_from(octets).ok().map(|octets| RingPlace { ring, octets });
        }
        self.clean = meta::<i64>(connection, CLEAN)? == Some(1);
        self.incomplete = meta::<i64>(connection, INCOMPLETE)?.is_some_and(|incomplete| incomplete != 0);
        let mut statement = connection.prepare("SELECT address FROM servers4 ORDER BY place")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let address = row.get_ref(0)?.as_str().ok().and_then(|text| text.parse::<Ipv4Addr>().ok());
            self.servers4.extend(address);
        }
        self.gaps = outbox::gaps(connection)?;
        let (calls, odd) = outbox::open_calls(connection)?;
        self.calls = calls;
        if odd > 0 {
            warn!("{odd} calls in the database were not understood and are passed over");
        }
        Ok(())
    }
}

/// The store before it is written to.
#[derive(Debug)]
pub struct Archive {
    options: Options,
    database: Option<Database>,
    /// Where it can be read and not written.
    unwritable: Option<Connection>,
    ledger: Ledger,
    /// Whether the start of this life was written.
    begun: bool,
    session: Session,
    restored: Restored,
    places: Places,
    /// An error while reading.
    fault: Option<rusqlite::Error>,
    /// A damaged database was moved aside.
    moved: Option<Moved>,
}

impl Archive {
    /// Opens the store. A directory that cannot be written makes a store in memory, with a warning, that becomes a real
    /// one when the directory can be written; a damaged database is moved aside.
    ///
    /// # Errors
    ///
    /// When the directory is not safe, another observer uses it, or a later version of this program has written it.
    pub fn open(options: Options, now: Timestamp) -> Result<Self, OpenError> {
        let boot_id = std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned();
        let mut archive = Self {
            options,
            database: None,
            unwritable: None,
            ledger: Ledger::default(),
            begun: false,
            session: Session { boot_id, wall_offset: Clock::new().offset() },
            restored: Restored::default(),
            places: Places::default(),
            fault: None,
            moved: None,
        };
        match Database::open(&archive.options.directory, archive.options.durability, now) {
            Ok((database, moved)) => {
                archive.restored.moved_aside = moved.as_ref().map(|moved| moved.to.clone());
                archive.moved = moved;
                archive.database = Some(database);
            }
            Err(error @ OpenError::Unusable { .. }) => {
                warn!("{error}; keeping leases and events in memory, they do not outlive this process");
                archive.unwritable = database::open_unwritable(&archive.options.directory);
                archive.restored.in_memory = Some(error.to_string());
            }
            Err(error) => return Err(error),
        }
        if let Err(error) = archive.read_what_is_small() {
            archive.note(error);
        }
        let restored = &mut archive.restored;
        if archive.fault.is_some() || restored.moved_aside.is_some() || restored.in_memory.is_some() {
            let base = now.unix_seconds().saturating_mul(EVENTS_A_SECOND);
            restored.next_event = restored.next_event.max(u64::try_from(base).unwrap_or(1));
        }
        Ok(archive)
    }

    fn read_what_is_small(&mut self) -> Result<()> {
        if let Some(connection) = &self.unwritable {
            return self.restored.read(connection, &self.session);
        }
        let Some(database) = &mut self.database else { return Ok(()) };
        let served = (|| {
            let transaction =
                database.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Those who asked while nobody was there.
            Ledger::read(&transaction)?.serve_requests_of_before(&transaction)?;
            transaction.commit()
        })();
        if let Err(error) = served {
            warn!("requests in the database were not served: {error}");
        }
        self.restored.read(&database.connection, &self.session)?;
        self.ledger = Ledger::read(&database.connection)?;
        let begun = (|| {
            let transaction =
                database.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            begin(&transaction, &self.session)?;
            transaction.commit()
        })();
        match begun {
            Ok(()) => self.begun = true,
            Err(error) if Fault::of(&error) == Fault::Unavailable => {
                error!(
                    "the database in {} cannot be written: {error}; going on in memory",
                    self.options.directory.display()
                );
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn note(&mut self, error: rusqlite::Error) {
        error!("the database in {} cannot be read: {error}", self.options.directory.display());
        self.restored.incomplete = true;
        self.fault = Some(error);
    }

    /// What was left, but for leases and memories.
    pub fn restored(&mut self) -> &mut Restored {
        &mut self.restored
    }

    /// Gives `take` all DHCPv4 leases. They are read as they are taken.
    pub fn leases4<R>(&mut self, take: impl FnOnce(&mut dyn Iterator<Item = Lease4>) -> R) -> R {
        self.read(lease::ALL4, lease::lease4, take)
    }

    /// Gives `take` all DHCPv6 leases. They are read as they are taken.
    pub fn leases6<R>(&mut self, take: impl FnOnce(&mut dyn Iterator<Item = Lease6>) -> R) -> R {
        self.read(lease::ALL6, lease::lease6, take)
    }

    /// Gives `take` all memories of dialects: the name of the hook, key, value.
    pub fn memories<R>(
        &mut self,
        take: impl FnOnce(&mut dyn Iterator<Item = (String, Vec<u8>, Vec<u8>)>) -> R,
    ) -> R {
        let memory = |row: &Row<'_>, _: &mut Places| {
            let octets = |column| text::octets(row.get_ref(column).ok()?).map(<[u8]>::to_vec);
            Some((row.get(0).ok()?, octets(1)?, octets(2)?))
        };
        self.read("SELECT hook, key, value FROM memories", memory, take)
    }

    fn read<T, R>(
        &mut self,
        sql: &str,
        parse: impl Fn(&Row<'_>, &mut Places) -> Option<T>,
        take: impl FnOnce(&mut dyn Iterator<Item = T>) -> R,
    ) -> R {
        let Self { database, unwritable, places, .. } = self;
        let connection = database.as_ref().map(|database| &database.connection).or(unwritable.as_ref());
        let (mut failed, mut odd) = (None, 0_u64);
        let mut statement = match connection.map(|connection| connection.prepare(sql)).transpose() {
            Ok(statement) => statement,
            Err(error) => {
                failed = Some(error);
                None
            }
        };
        let mut rows = match statement.as_mut().map(|statement| statement.query([])).transpose() {
            Ok(rows) => rows,
            Err(error) => {
                failed = Some(error);
                None
            }
        };
        let taken = take(&mut std::iter::from_fn(|| {
            loop {
                match rows.as_mut()?.next() {
                    Ok(Some(row)) => match parse(row, places) {
                        Some(found) => return Some(found),
                        None => odd += 1,
                    },
                    Ok(None) => return None,
                    Err(error) => {
                        failed = Some(error);
                        rows = None;
                    }
                }
            }
        }));
        drop(rows);
        drop(statement);
        if odd > 0 {
            warn!("{odd} rows in the database were not understood and are passed over ({sql})");
        }
        if let Some(error) = failed {
            self.note(error);
        }
        taken
    }

    /// Hands the database to a thread of its own.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub fn start(self, clock: Clock) -> io::Result<Store> {
        let Self { options, database, unwritable, ledger, begun, session, fault, moved, .. } = self;
        let known = database.is_some() || unwritable.is_some();
        let (requests, inbox) = mpsc::channel();
        let (outbox, reports) = unbounded_channel();
        let limits = options.limits;
        let database = database.map(|database| (database, ledger));
        let mut writer = Writer::new(options, clock, session, outbox, database, known, begun);
        moved.iter().for_each(|moved| writer.count_moved(moved));
        let thread = thread::Builder::new().name("store".to_owned()).spawn(move || {
            // The directory is our own, which is enough. Where it is somebody else's, whom all threads are about to become,
            // this one must still be able to.
            if user::file_user() == geteuid()
                && let Err(errno) = capabilities::give_up_all_but(0)
            {
                error!("the thread of the store keeps its privileges: {errno}");
            }
            if let Some(error) = fault {
                writer.fail(&error);
            }
            writer.run(&inbox)
        })?;
        Ok(Store::new(requests, reports, thread, limits))
    }
}

/// Notes that a new life has begun.
pub(super) fn begin(connection: &Connection, session: &Session) -> Result<()> {
    outbox::begin_again(connection)?;
    write_meta(connection, CLEAN, 0)?;
    write_meta(connection, OFFSET, session.wall_offset)?;
    write_meta(connection, BOOT, &session.boot_id)
}

pub(super) fn write_meta(connection: &Connection, name: &str, value: impl ToSql) -> Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
        .execute(params![name, value])
        .map(drop)
}

/// Up to where the ring is read.
pub(super) fn write_place(connection: &Connection, place: RingPlace) -> Result<()> {
    write_meta(connection, RING, place.ring)?;
    write_meta(connection, READ_UP_TO, place.octets.cast_signed())
}

/// A value that people may have changed to something else is none.
fn meta<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> Result<Option<T>> {
    let mut statement = connection.prepare("SELECT value FROM meta WHERE name = ?1")?;
    let found = statement.query_row([name], |row| {
        let value: ValueRef<'_> = row.get_ref(0)?;
        Ok(T::column_result(value).ok())
    });
    Ok(found.optional()?.flatten())
}
