//! What an error of SQLite means for us.

use rusqlite::{Error, ErrorCode};

/// What is to be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The database is no good: it is moved aside and another is begun.
    Damaged,
    /// It cannot be written now, which may pass: a full disk, an I/O error, a read-only file system, somebody's lock.
    Unavailable,
}

impl Fault {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::SqliteFailure(failure, _) => match failure.code {
                // "Unknown" is SQLITE_ERROR: a table or a column is not there, since somebody changed the schema.
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown => Self::Damaged,
                _ => Self::Unavailable,
            },
            Error::SqlInputError { .. } => Self::Damaged,
            _ => Self::Unavailable,
        }
    }
}
