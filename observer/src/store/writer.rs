//! The one thread that writes. Whatever waits for it when it is ready goes into one transaction: one change when there is
//! little to do, thousands when there is much.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::{Connection, Result, TransactionBehavior, params};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::time::Timestamp;

use super::archive::{self, Session};
use super::change::{CallId, Change, Counters, HookMemory, Mark, Report, Ticket, Wanted};
use super::database::{Database, Moved};
use super::dirty::Dirty;
use super::fault::Fault;
use super::lease::Readable;
use super::outbox::{self, Ledger, Served};
use super::{OpenError, Options, lease};

/// Rows in one transaction, roughly. It bounds how long the first of them waits for the last.
const GROUP: usize = 4_096;
/// How often it is looked for requests of other processes.
const LOOK: Duration = Duration::from_secs(1);
/// How soon a database that could not be written is tried again, at first and at last.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// A database that is damaged again so soon is not moved aside again: the disk is, or we are.
const DAMAGE_PAUSE: Duration = Duration::from_secs(60);

/// What an empty database lacks.
const EVERYTHING: Wanted = Wanted { leases: true, memories: true, calls: true };

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Request {
    Change(Ticket, Box<Change>),
    Mark(CallId, Mark),
    /// What was wanted has been appended.
    Complete,
    /// This was the last; nothing is lost.
    Close,
}

/// A report and what was counted until then.
pub(super) type Reported = (Report, Counters);

/// Since when and until when the database is not tried.
#[derive(Clone, Copy, Debug)]
struct Degraded {
    pause: Duration,
    next: Timestamp,
}

pub(super) struct Writer {
    pub(super) options: Options,
    pub(super) clock: Clock,
    pub(super) session: Session,
    pub(super) reports: UnboundedSender<Reported>,
    database: Option<Database>,
    ledger: Ledger,
    degraded: Option<Degraded>,
    dirty: Dirty,
    /// The start of this life is not in the database yet.
    begins: bool,
    /// What others were asked for and have not all given yet.
    wanted: Wanted,
    data_version: i64,
    next_look: Timestamp,
    last_damage: Option<Timestamp>,
    counters: Counters,
}

impl Writer {
    /// `known` says that the owner has what the database holds, `begun` that the start of this life is in it already.
    pub(super) fn new(
        options: Options,
        clock: Clock,
        session: Session,
        reports: UnboundedSender<Reported>,
        database: Option<(Database, Ledger)>,
        known: bool,
        begun: bool,
    ) -> Self {
        let (database, ledger) = database.unzip();
        let now = clock.now();
        let degraded = (!begun).then_some(Degraded { pause: FIRST_RETRY, next: now + FIRST_RETRY });
        // Nobody knows what the database holds, if there is one; it is to be replaced.
        let unread = Wanted { leases: true, memories: true, calls: false };
        let forgotten = if known { Wanted::default() } else { unread };
        Self {
            options,
            clock,
            session,
            reports,
            database,
            ledger: ledger.unwrap_or_default(),
            degraded,
            dirty: Dirty::without(forgotten),
            begins: !begun,
            wanted: Wanted::default(),
            data_version: 0,
            next_look: now,
            last_damage: None,
            counters: Counters { degraded: u64::from(degraded.is_some()), ..Counters::default() },
        }
    }

    /// Counts a damaged database that was moved aside before this began.
    pub(super) fn count_moved(&mut self, moved: &Moved) {
        self.counters.moved(moved);
    }

    /// Writes until there is nobody left to give anything. Says what was counted.
    pub(super) fn run(mut self, requests: &Receiver<Request>) -> Counters {
        let mut group = Vec::new();
        loop {
            let now = self.clock.now();
            let next = self.degraded.map_or(self.next_look, |degraded| degraded.next);
            let first = requests.recv_timeout(next.since(now));
            let mut rows = 0;
            let mut closes = false;
            let mut next = match first {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return self.counters,
            };
            while let Some(request) = next {
                rows += match &request {
                    Request::Change(_, change) => change.rows(),
                    Request::Mark(..) => 1,
                    Request::Complete => 0,
                    Request::Close => {
                        closes = true;
                        break;
                    }
                };
                group.push(request);
                if rows >= GROUP {
                    break;
                }
                next = requests.try_recv().ok();
            }
            self.write(&mut group);
            if closes {
                return self.close();
            }
            let now = self.clock.now();
            if self.degraded.is_some_and(|degraded| degraded.next <= now) {
                self.recover(now);
            }
            if self.degraded.is_none() && self.next_look <= now {
                self.next_look = now + LOOK;
                self.look();
            }
        }
    }

    fn report(&mut self, report: Report) {
        self.ledger.count(&mut self.counters);
        // The owner may have gone; then nobody needs to know.
        let _ = self.reports.send((report, self.counters));
    }

    /// Stores a group, in the database or in memory, and says so.
    fn write(&mut self, group: &mut Vec<Request>) {
        if group.is_empty() {
            return;
        }
        let changes = group.iter().filter(|request| matches!(request, Request::Change(..))).count() as u64;
        let last = group.iter().rev().find_map(|request| match request {
            Request::Change(ticket, _) => Some(*ticket),
            Request::Mark(..) | Request::Complete | Request::Close => None,
        });
        let mut durable = false;
        while self.degraded.is_none() && !durable {
            let before = self.counters;
            match self.commit(group) {
                Ok(()) => durable = true,
                Err(error) => {
                    self.counters = before;
                    self.fail(&error);
                }
            }
        }
        if durable {
            self.counters.stored += changes;
        } else {
            self.counters.in_memory += changes;
            for request in group.drain(..) {
                match request {
                    Request::Change(_, change) => {
                        self.dirty.add(*change, &self.options.limits, &mut self.counters)
                    }
                    Request::Mark(call, mark) => self.dirty.mark(call, mark),
                    Request::Complete | Request::Close => {}
                }
            }
        }
        group.clear();
        if let Some(up_to) = last {
            self.report(Report::Stored { up_to, durable });
        }
    }

    fn commit(&mut self, group: &[Request]) -> Result<()> {
        let Self { database: Some(database), ledger, counters, options, clock, .. } = self else {
            return Err(rusqlite::Error::InvalidQuery);
        };
        let start = clock.now();
        let transaction = database.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (mut latest, mut read_up_to) = (None, None);
        let mut complete = false;
        for request in group {
            match request {
                Request::Change(_, change) => {
                    latest = change.latest.or(latest);
                    read_up_to = change.read_up_to.or(read_up_to);
                    write_change(&transaction, change, ledger, options, counters)?;
                }
                Request::Mark(call, mark) => ledger.write_mark(&transaction, *call, mark, &options.limits)?,
                Request::Complete => complete = true,
                Request::Close => {}
            }
        }
        if let Some(latest) = latest {
            archive::write_meta(&transaction, archive::LATEST, latest.as_nanos())?;
        }
        if let Some(place) = read_up_to {
            archive::write_place(&transaction, place)?;
        }
        if complete {
            archive::write_meta(&transaction, archive::INCOMPLETE, 0)?;
        }
        transaction.commit()?;
        if complete {
            self.wanted = Wanted::default();
        }
        self.counters.committed(self.clock.now().since(start));
        Ok(())
    }

    /// A transaction has failed and left nothing behind.
    pub(super) fn fail(&mut self, error: &rusqlite::Error) {
        let now = self.clock.now();
        let fault = Fault::of(error);
        let again_so_soon = self.last_damage.is_some_and(|last| now.since(last) < DAMAGE_PAUSE);
        if fault == Fault::Damaged
            && !again_so_soon
            && let Some(database) = self.database.take()
        {
            self.last_damage = Some(now);
            match database.begin_anew(&error.to_string(), now) {
                Ok((database, moved)) => return self.begun_anew(database, moved, now),
                Err(error) => return self.degrade(&error.to_string(), now),
            }
        }
        self.degrade(&error.to_string(), now);
    }

    /// An empty database has taken the place of a damaged one.
    fn begun_anew(&mut self, database: Database, moved: Moved, now: Timestamp) {
        self.database = Some(database);
        self.dirty.forgotten = EVERYTHING;
        self.begins = true;
        self.moved_aside(moved);
        if let Err(error) = self.flush() {
            self.degrade(&error.to_string(), now);
        }
    }

    fn moved_aside(&mut self, moved: Moved) {
        self.counters.moved(&moved);
        self.report(Report::MovedAside(moved.to));
    }

    fn degrade(&mut self, why: &str, now: Timestamp) {
        if self.degraded.is_none() {
            error!(
                "the database in {} cannot be written: {why}; going on in memory, what happens now does not outlive this \
                 process",
                self.options.directory.display()
            );
            self.counters.degraded += 1;
            self.report(Report::Degraded { why: why.to_owned() });
        }
        let pause = self.degraded.map_or(FIRST_RETRY, |degraded| (degraded.pause * 2).min(LAST_RETRY));
        self.degraded = Some(Degraded { pause, next: now + pause });
    }

    /// Tries whether the database can be written again.
    fn recover(&mut self, now: Timestamp) {
        if self.database.is_none() {
            match Database::open(&self.options.directory, self.options.durability, now) {
                Ok((database, moved)) => {
                    self.database = Some(database);
                    if let Some(moved) = moved {
                        self.dirty.forgotten = EVERYTHING;
                        self.moved_aside(moved);
                    }
                }
                Err(error @ OpenError::Unusable { .. }) => return self.degrade(&error.to_string(), now),
                Err(error) => {
                    warn!("{error}");
                    return self.degrade(&error.to_string(), now);
                }
            }
        }
        match self.flush() {
            Ok(()) => {}
            Err(error) if Fault::of(&error) == Fault::Damaged => self.fail(&error),
            Err(error) => self.degrade(&error.to_string(), now),
        }
    }

    /// Writes everything that is only in memory.
    fn flush(&mut self) -> Result<()> {
        let Self { database: Some(database), ledger, counters, options, dirty, session, clock, .. } = self
        else {
            return Err(rusqlite::Error::InvalidQuery);
        };
        let start = clock.now();
        let transaction = database.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if self.begins {
            archive::begin(&transaction, session)?;
        }
        *ledger = Ledger::read(&transaction)?;
        let forgotten = dirty.forgotten;
        if forgotten.leases {
            transaction.execute_batch("DELETE FROM leases4; DELETE FROM leases6; DELETE FROM servers4;")?;
        }
        if forgotten.memories {
            transaction.execute_batch("DELETE FROM memories;")?;
        }
        if forgotten.anything() {
            archive::write_meta(&transaction, archive::INCOMPLETE, 1)?;
        }
        dirty.leases().try_for_each(|change| lease::write(&transaction, change))?;
        dirty.memories().try_for_each(|memory| write_memory(&transaction, memory))?;
        for event in &dirty.events {
            ledger.write_event(&transaction, event, &options.limits)?;
        }
        for call in dirty.calls() {
            ledger.write_call(&transaction, call, &options.limits, counters)?;
        }
        for (call, mark) in dirty.marks() {
            ledger.write_mark(&transaction, call, mark, &options.limits)?;
        }
        dirty.gaps.iter().try_for_each(|gap| outbox::write_gap(&transaction, gap))?;
        if let Some(latest) = dirty.latest {
            archive::write_meta(&transaction, archive::LATEST, latest.as_nanos())?;
        }
        if let Some(place) = dirty.read_up_to {
            archive::write_place(&transaction, place)?;
        }
        transaction.commit()?;
        counters.committed(clock.now().since(start));
        self.dirty = Dirty::default();
        self.begins = false;
        if self.degraded.take().is_some() {
            info!("the database in {} can be written again", self.options.directory.display());
            self.counters.recovered += 1;
            self.report(Report::Recovered);
        }
        if forgotten.anything() {
            self.wanted = forgotten;
            self.report(Report::Wanted(forgotten));
        }
        Ok(())
    }

    /// Looks whether another process has asked for something.
    fn look(&mut self) {
        let Some(database) = &mut self.database else { return };
        let start = self.clock.now();
        let served = database.data_version().and_then(|version| {
            if version == self.data_version {
                return Ok(None);
            }
            let transaction =
                database.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let served = self.ledger.serve_requests(&transaction)?;
            transaction.commit()?;
            self.data_version = version;
            Ok(Some(served))
        });
        match served {
            Ok(None) => {}
            Ok(Some(Served { again, unwanted })) => {
                self.counters.committed(self.clock.now().since(start));
                if !again.is_empty() {
                    self.report(Report::Replay(again));
                }
                if !unwanted.is_empty() {
                    self.report(Report::Unwanted(unwanted));
                }
            }
            // Whoever asked holds it still.
            Err(error) if super::database::is_busy(&error) => {}
            Err(error) => self.fail(&error),
        }
    }

    fn close(mut self) -> Counters {
        if self.degraded.is_some() {
            self.recover(self.clock.now());
        }
        self.ledger.count(&mut self.counters);
        let Some(Database { connection, .. }) = &self.database else { return self.counters };
        if self.degraded.is_none() && !self.wanted.anything() {
            if let Err(error) = archive::write_meta(connection, archive::CLEAN, 1) {
                warn!("the database could not be closed well: {error}");
            }
        } else if self.degraded.is_some() {
            error!("what happened since the database could not be written any more is lost");
        }
        self.counters
    }
}

fn write_change(
    connection: &Connection,
    change: &Change,
    ledger: &mut Ledger,
    options: &Options,
    counters: &mut Counters,
) -> Result<()> {
    change.leases.iter().try_for_each(|change| lease::write(connection, change))?;
    change.memories.iter().try_for_each(|memory| write_memory(connection, memory))?;
    for event in &change.events {
        ledger.write_event(connection, event, &options.limits)?;
    }
    for call in &change.calls {
        ledger.write_call(connection, call, &options.limits, counters)?;
    }
    change.gaps.iter().try_for_each(|gap| outbox::write_gap(connection, gap))
}

fn write_memory(connection: &Connection, HookMemory { hook, memory }: &HookMemory) -> Result<()> {
    let key = Readable(&memory.key);
    match &memory.value {
        Some(value) => connection
            .prepare_cached("INSERT OR REPLACE INTO memories VALUES (?1, ?2, ?3)")?
            .execute(params![&**hook, key, Readable(value)]),
        None => connection
            .prepare_cached("DELETE FROM memories WHERE hook = ?1 AND key = ?2")?
            .execute(params![&**hook, key]),
    }
    .map(drop)
}
