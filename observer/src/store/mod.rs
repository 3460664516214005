//! What outlives the process: leases, what dialects remember, and the calls of hooks that are not over.
//!
//! ```text
//! Archive::open ──▶ leases, memories, calls of an earlier life ──▶ tracker, dialects, hooks
//!       │
//!       └ start ──▶ Store ── append, started, ended ──▶ writer thread ──▶ SQLite
//!                   (event loop)  ◀── Report ───────────┘ (one transaction for all that waits)
//! ```
//!
//! * `directory` makes the state directory, looks at who else can reach into it, and locks it.
//! * `schema` holds the tables, for people too: `sqlite3 /var/lib/dhcp-observer/observer.db 'SELECT * FROM leases4'`.
//! * `lease` and `outbox` are the rows; `text` is how values are written into columns.
//! * [`Archive`] reads what was left, before anything else happens.
//! * [`Store`] is what the event loop has: it never waits, and hears of each commit.
//! * `writer` is the thread behind it. When the disk is full or broken it goes on in memory (`dirty`) and writes later.
//! * [`Reader`] is what `dhcp-observer events` uses, from another process.
//!
//! A change of one frame (its leases, memories and calls) is one unit: it is in the database whole or not at all. A call may
//! be made once its change is reported as stored, and is marked when it has ended. So after a crash the calls that were not
//! over are there, with the same event number and a higher number of attempts.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

mod archive;
mod change;
mod database;
mod directory;
mod dirty;
mod fault;
mod handle;
mod lease;
mod outbox;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod text;
mod writer;

use std::io;
use std::path::PathBuf;

pub use archive::{Archive, Restored};
pub use change::{
    CallId, Change, Counters, EventRecord, Gap, HookMemory, Outcome, Report, StoredCall, Then, Ticket, Wanted,
};
pub use directory::{DATABASE, become_owner, give_away};
pub use handle::Store;
pub use reader::{Action, Listed, Reader};

/// Where the store is when nobody says.
pub const DEFAULT_DIRECTORY: &str = "/var/lib/dhcp-observer";

/// What is to survive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of this process, however it dies. A power cut may take the last changes, and leaves the database sound.
    #[default]
    Process,
    /// A power cut too: each commit waits for the disk.
    Power,
}

/// How a store is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The state directory.
    pub directory: PathBuf,
    /// What is to survive.
    pub durability: Durability,
    /// How much is kept.
    pub limits: Limits,
}

/// How much the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Changes that wait for the writer. No more are taken then.
    pub queued: usize,
    /// Calls that are not over, and dead letters. The oldest dead letters make room; if there are none, a new call is not
    /// stored, and counted.
    pub calls: usize,
    /// Calls that are over, and events, that are kept for people to look up.
    pub history: usize,
    /// Leases and memories whose change is kept while the database cannot be written. Beyond, they are forgotten and wanted
    /// again.
    pub unwritten: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queued: 65_536, calls: 200_000, history: 10_000, unwritten: 100_000 }
    }
}

/// Why a store cannot be opened. Displayed as one line.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be used, now at least.
    #[error("{}: {source}", path.display())]
    Unusable {
        /// The directory, or a file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could reach into the directory.
    #[error("{} is no safe place for the state: {why}", path.display())]
    Insecure {
        /// The directory.
        path: PathBuf,
        /// Who, and what to do.
        why: String,
    },
    /// Another observer uses the directory.
    #[error(
        "another dhcp-observer (process {holder}) uses {}; give each its own --state-dir",
        path.display()
    )]
    Taken {
        /// The directory.
        path: PathBuf,
        /// The other's process id, as it says.
        holder: String,
    },
    /// A later version of this program made the database.
    #[error(
        "{} was made by a later version of dhcp-observer (schema {found}, this one knows up to {known}); install that \
         version, or name another --state-dir",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version that this program knows.
        known: usize,
    },
}
