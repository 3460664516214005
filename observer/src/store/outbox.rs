//! Calls of hooks as rows: stored before their process starts, marked when it has ended, kept a while after that.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use crate::dialect::invocation::{Invocation, Strings};
use crate::hook::Tried;
use crate::time::Timestamp;

use super::change::{CallId, Counters, EventRecord, Gap, Mark, Outcome, StoredCall, Then};
use super::{Limits, text};

const EVENT: &str = "INSERT OR REPLACE INTO events VALUES (?1, ?2, ?3, ?4, ?5)";
const CALL: &str = "INSERT OR REPLACE INTO outbox (call, event, position, hook, word, changes, subjects, at_ns, state, \
    change, attempts, failures) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'waiting', ?9, ?10, ?11)";
const INVOCATION: &str = "INSERT OR REPLACE INTO invocations VALUES (?1, ?2, ?3)";
const STARTED: &str = "UPDATE outbox SET state = 'running', attempts = ?2, change = ?3 \
    WHERE call = ?1 AND state IN ('waiting', 'running')";
const ENDED: &str = "UPDATE outbox SET state = ?2, attempts = ?3, result = ?4, ended_ns = ?5, next_try_ns = ?6, change = ?7, \
    failures = coalesce(?8, failures) WHERE call = ?1 AND state IN ('waiting', 'running')";
const KEPT: &str = "UPDATE outbox SET state = 'running', attempts = attempts + 1, change = ?2 \
    WHERE call = ?1 AND state = 'waiting'";
/// Whoever wants it again wants it with all its retries.
const REPLAYED: &str =
    "UPDATE outbox SET state = 'waiting', next_try_ns = NULL, failures = 0, change = ?2 WHERE call = ?1";
const FORGET: [&str; 2] = ["DELETE FROM outbox WHERE call = ?1", "DELETE FROM invocations WHERE call = ?1"];
const FORGET_EVENTS: &str = "DELETE FROM events WHERE id < ?1 AND NOT EXISTS \
    (SELECT 1 FROM outbox WHERE call BETWEEN events.id * 65536 AND events.id * 65536 + 65535)";
const GAP: &str = "INSERT INTO gaps (from_ns, until_ns, why) VALUES (?1, ?2, ?3)";
const FORGET_GAPS: &str = "DELETE FROM gaps WHERE id <= (SELECT max(id) FROM gaps) - 1000";

/// As many as an end is compared with.
const LAST_GAPS: &str = "SELECT from_ns, until_ns FROM gaps ORDER BY id DESC LIMIT 100";

/// An earlier life may have begun one more attempt of a call than it could say.
const AGAIN: &str = "UPDATE outbox SET attempts = attempts + (state = 'waiting'), state = 'waiting' \
    WHERE state IN ('waiting', 'running')";

/// The columns of [`stored_call`], in its order.
const STORED: &str = "SELECT call, hook, word, changes, subjects, at_ns, arguments, environment, attempts, failures \
    FROM outbox JOIN invocations USING (call) WHERE call = ?1";
/// The same of all calls that are not over, seen as [`AGAIN`] leaves them.
const OPEN: &str = "SELECT call, hook, word, changes, subjects, at_ns, arguments, environment, \
    attempts + (state = 'waiting'), failures FROM outbox JOIN invocations USING (call) WHERE state IN ('waiting', 'running') ORDER BY call";

/// What is in the outbox, without the rows: which are to make room for others.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    open: BTreeSet<i64>,
    dead: BTreeSet<i64>,
    /// Calls that are over, oldest first.
    done: VecDeque<i64>,
    /// The events before this one were looked through for those that nobody needs.
    events_pruned: i64,
    next_change: i64,
}

impl Ledger {
    /// Reads it from the database.
    pub(super) fn read(connection: &Connection) -> Result<Self> {
        let mut ledger = Self::default();
        let mut statement =
            connection.prepare_cached("SELECT call, state, change FROM outbox ORDER BY change")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (call, change): (i64, i64) = (row.get(0)?, row.get(2)?);
            match row.get_ref(1)?.as_str().unwrap_or_default() {
                "waiting" | "running" => drop(ledger.open.insert(call)),
                "dead" => drop(ledger.dead.insert(call)),
                _ => ledger.done.push_back(call),
            }
            ledger.next_change = ledger.next_change.max(change + 1);
        }
        let first = "SELECT min(id) FROM events";
        ledger.events_pruned =
            connection.query_row(first, [], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0);
        Ok(ledger)
    }

    pub(super) fn count(&self, counters: &mut Counters) {
        (counters.open, counters.dead) = (self.open.len() as u64, self.dead.len() as u64);
    }

    fn change(&mut self) -> i64 {
        self.next_change += 1;
        self.next_change
    }

    /// Writes an event, and now and then forgets old ones.
    pub(super) fn write_event(
        &mut self,
        connection: &Connection,
        event: &EventRecord,
        limits: &Limits,
    ) -> Result<()> {
        let id = i64::try_from(event.id).unwrap_or(i64::MAX);
        let subjects = text::subjects(&event.subjects);
        let parameters = params![id, event.at.as_nanos(), event.event, event.hook_point, subjects];
        connection.prepare_cached(EVENT)?.execute(parameters)?;
        let keep = i64::try_from(limits.history).unwrap_or(i64::MAX);
        if id.saturating_sub(self.events_pruned) > keep.saturating_add(keep / 4) {
            self.events_pruned = id.saturating_sub(keep);
            connection.prepare_cached(FORGET_EVENTS)?.execute([self.events_pruned])?;
        }
        Ok(())
    }

    /// Writes a call, if there is room: the oldest dead letters make some, and if there are none it is left out.
    pub(super) fn write_call(
        &mut self,
        connection: &Connection,
        call: &StoredCall,
        limits: &Limits,
        counters: &mut Counters,
    ) -> Result<()> {
        let number = call.id.number();
        while self.open.len() + self.dead.len() >= limits.calls && !self.open.contains(&number) {
            let Some(oldest) = self.dead.pop_first() else {
                counters.calls_refused += 1;
                return Ok(());
            };
            forget(connection, oldest)?;
            counters.dead_dropped += 1;
        }
        connection.prepare_cached(CALL)?.execute(params![
            number,
            number >> 16,
            call.id.position,
            &*call.hook,
            &*call.word,
            call.changes,
            text::subjects(&call.subjects),
            call.at.as_nanos(),
            self.change(),
            call.tried.attempts,
            call.tried.failures,
        ])?;
        connection.prepare_cached(INVOCATION)?.execute(params![
            number,
            call.invocation.arguments.block(),
            call.invocation.environment.block()
        ])?;
        self.open.insert(number);
        Ok(())
    }

    /// Writes what became of a call. One that was never stored has nothing to be marked.
    pub(super) fn write_mark(
        &mut self,
        connection: &Connection,
        id: CallId,
        mark: &Mark,
        limits: &Limits,
    ) -> Result<()> {
        let (number, change) = (id.number(), self.change());
        if matches!(mark, Mark::Withdrawn) {
            // What has failed meanwhile is not wanted either; what is done is history.
            return if self.open.remove(&number) || self.dead.remove(&number) {
                forget(connection, number)
            } else {
                Ok(())
            };
        }
        if !self.open.contains(&number) {
            return Ok(());
        }
        let Outcome { attempt, at, result, then } = match mark {
            Mark::Started(attempt) => {
                return connection
                    .prepare_cached(STARTED)?
                    .execute(params![number, attempt, change])
                    .map(drop);
            }
            Mark::Kept => {
                return connection.prepare_cached(KEPT)?.execute(params![number, change]).map(drop);
            }
            Mark::Ended(outcome) => outcome,
            Mark::Withdrawn => return Ok(()),
        };
        let (state, next_try, failures) = match then {
            Then::Done => ("done", None, None),
            Then::Dead => ("dead", None, None),
            Then::Again { at, failures } => ("waiting", Some(at.as_nanos()), Some(failures)),
        };
        let parameters = params![number, state, attempt, result, at.as_nanos(), next_try, change, failures];
        connection.prepare_cached(ENDED)?.execute(parameters)?;
        if let Then::Done | Then::Dead = then {
            self.open.remove(&number);
        }
        match then {
            Then::Dead => drop(self.dead.insert(number)),
            Then::Done => self.done.push_back(number),
            Then::Again { .. } => {}
        }
        while self.done.len() > limits.history
            && let Some(oldest) = self.done.pop_front()
        {
            forget(connection, oldest)?;
        }
        Ok(())
    }

    /// Does what people asked for with `dhcp-observer events`, as far as the database is concerned.
    pub(super) fn serve_requests(&mut self, connection: &Connection) -> Result<Served> {
        let mut requests: Vec<(i64, String, i64)> = Vec::new();
        let mut statement =
            connection.prepare_cached("SELECT id, action, event FROM requests ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            requests.push((row.get(0)?, row.get(1)?, row.get(2)?));
        }
        let mut served = Served::default();
        for (id, action, event) in requests {
            let first = event.saturating_mul(65_536);
            let of_event = |set: &BTreeSet<i64>| -> Vec<i64> {
                set.range(first..=first.saturating_add(65_535)).copied().collect()
            };
            if action == "replay" {
                let over = self.done.iter().copied().filter(|call| call >> 16 == event);
                let mut calls: Vec<i64> = over.chain(of_event(&self.dead)).collect();
                calls.sort_unstable();
                for call in calls {
                    connection.prepare_cached(REPLAYED)?.execute([call, self.change()])?;
                    self.dead.remove(&call);
                    self.open.insert(call);
                    served.again.extend(stored(connection, call)?);
                }
                self.done.retain(|call| call >> 16 != event);
            } else if action == "drop" {
                for call in of_event(&self.dead) {
                    forget(connection, call)?;
                    self.dead.remove(&call);
                }
                // Whether they have a process is known to others.
                served.unwanted.extend(of_event(&self.open).into_iter().map(CallId::from_number));
            }
            connection.prepare_cached("DELETE FROM requests WHERE id = ?1")?.execute([id])?;
        }
        Ok(served)
    }

    /// The same where no process can know of any call, because none of ours has run.
    pub(super) fn serve_requests_of_before(&mut self, connection: &Connection) -> Result<()> {
        for call in self.serve_requests(connection)?.unwanted {
            forget(connection, call.number())?;
            self.open.remove(&call.number());
        }
        Ok(())
    }
}

/// What people asked for and the database alone cannot do.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// Calls that are to be made again.
    pub(super) again: Vec<StoredCall>,
    /// Calls that are not to be made any more, and are not over.
    pub(super) unwanted: Vec<CallId>,
}

pub(super) fn write_gap(connection: &Connection, gap: &Gap) -> Result<()> {
    let parameters = params![gap.from.as_nanos(), gap.until.as_nanos(), gap.why];
    connection.prepare_cached(GAP)?.execute(parameters)?;
    connection.prepare_cached(FORGET_GAPS)?.execute([]).map(drop)
}

/// The last gaps, oldest first. What people have put in the place of a moment is passed over.
pub(super) fn gaps(connection: &Connection) -> Result<Vec<(Timestamp, Timestamp)>> {
    let mut statement = connection.prepare(LAST_GAPS)?;
    let mut rows = statement.query([])?;
    let mut gaps = Vec::new();
    while let Some(row) = rows.next()? {
        let moment = |column| row.get(column).ok().map(Timestamp::from_nanos);
        gaps.extend(moment(0).zip(moment(1)));
    }
    gaps.reverse();
    Ok(gaps)
}

/// Notes that all open calls are in the hands of a new life.
pub(super) fn begin_again(connection: &Connection) -> Result<()> {
    connection.execute(AGAIN, []).map(drop)
}

fn forget(connection: &Connection, call: i64) -> Result<()> {
    FORGET.iter().try_for_each(|sql| connection.prepare_cached(sql)?.execute([call]).map(drop))
}

fn stored(connection: &Connection, call: i64) -> Result<Option<StoredCall>> {
    let found =
        connection.prepare_cached(STORED)?.query_row([call], |row| Ok(stored_call(row))).optional()?;
    Ok(found.flatten())
}

/// Every call that is not over, in order. `attempts` already counts one that may have been begun. Also how many rows were
/// not understood.
pub(super) fn open_calls(connection: &Connection) -> Result<(Vec<StoredCall>, u64)> {
    let mut statement = connection.prepare(OPEN)?;
    let mut rows = statement.query([])?;
    let (mut calls, mut odd) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        match stored_call(row) {
            Some(call) => calls.push(call),
            None => odd += 1,
        }
    }
    Ok((calls, odd))
}

fn stored_call(row: &Row<'_>) -> Option<StoredCall> {
    let text = |column| row.get_ref(column).ok().and_then(|value| value.as_str().ok());
    let block = |column| row.get_ref(column).ok().and_then(text::octets).map(Strings::from_block);
    let at = Timestamp::from_nanos(row.get(5).ok()?);
    Some(StoredCall {
        id: CallId::from_number(row.get(0).ok()?),
        hook: text(1)?.into(),
        at,
        word: text(2)?.to_owned().into(),
        changes: row.get(3).ok()?,
        subjects: text::from_subjects(text(4)?)?,
        invocation: Arc::new(Invocation { at, arguments: block(6)?, environment: block(7)? }),
        tried: Tried { attempts: row.get(8).ok()?, failures: row.get(9).ok()? },
    })
}
