//! The tables, and how a database of an earlier version becomes one of this version.

use rusqlite::{Connection, TransactionBehavior};

/// "DHCo": what `file` and `PRAGMA application_id` say whose database it is.
const APPLICATION: i64 = 0x4448_436f;

/// What turns a database of version N (by its place in the list, from 0) into one of version N + 1. What was once released
/// is never changed, only added to.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// Why a database is not what this program works with.
#[derive(Debug)]
pub(super) enum Mismatch {
    /// A later program made it.
    Newer(i64),
    /// It holds tables of somebody else.
    Foreign,
    /// SQLite says no.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Mismatch {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Brings a database up to the last version. Each step is one transaction with its new version number, so a step that is
/// cut off has not happened.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), Mismatch> {
    let newest = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > newest {
        return Err(Mismatch::Newer(version));
    }
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if version < 0 || (version == 0 && tables > 0) || (version > 0 && tables == 0) {
        return Err(Mismatch::Foreign);
    }
    for (step, sql) in migrations.iter().enumerate().skip(usize::try_from(version).unwrap_or(0)) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", i64::try_from(step + 1).unwrap_or(i64::MAX))?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_old_database_is_brought_up_step_by_step() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        connection.execute("INSERT INTO meta VALUES ('kept', 1)", []).unwrap();
        let later = [
            MIGRATIONS,
            &["ALTER TABLE leases4 ADD COLUMN pool TEXT;", "CREATE TABLE pools (name TEXT PRIMARY KEY);"],
        ]
        .concat();
        migrate(&mut connection, &later).unwrap();
        assert_eq!(version(&connection), i64::try_from(MIGRATIONS.len()).unwrap() + 2);
        connection.execute("UPDATE leases4 SET pool = (SELECT name FROM pools)", []).unwrap();
        let kept: i64 =
            connection.query_row("SELECT value FROM meta WHERE name = 'kept'", [], |r| r.get(0)).unwrap();
        assert_eq!(kept, 1);
        // To do it again changes nothing, and to go back is not possible.
        migrate(&mut connection, &later).unwrap();
        assert!(matches!(migrate(&mut connection, MIGRATIONS), Err(Mismatch::Newer(_))));
    }

    #[test]
    fn a_step_that_fails_has_not_happened() {
        let mut connection = Connection::open_in_memory().unwrap();
        let broken = [MIGRATIONS, &["CREATE TABLE half (a); CREATE TABLE half (a);"]].concat();
        assert!(matches!(migrate(&mut connection, &broken), Err(Mismatch::Sql(_))));
        assert_eq!(version(&connection), i64::try_from(MIGRATIONS.len()).unwrap());
        assert!(connection.prepare("SELECT * FROM half").is_err());
    }

    #[test]
    fn tables_of_somebody_else_are_not_written_to() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE photos (a)").unwrap();
        assert!(matches!(migrate(&mut connection, MIGRATIONS), Err(Mismatch::Foreign)));
    }
}
