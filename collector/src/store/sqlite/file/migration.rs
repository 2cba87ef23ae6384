//! The versions of a file: an older one is brought up to date when it is opened.

use std::path::Path;

use rusqlite::Connection;

use super::FileError;

/// What a version of a file has more than the one before it. One that was released is never changed: a file of any older version
/// is brought up to date when it is opened.
pub struct Migration {
    /// The change.
    pub sql: &'static str,
    /// What is to be done in the file after it.
    pub then: Option<fn(&Connection) -> rusqlite::Result<()>>,
}

impl Migration {
    /// A change that nothing is to be done after.
    #[must_use]
    pub const fn sql(sql: &'static str) -> Self {
        Self { sql, then: None }
    }
}

/// Brings a file up to date, a version at a time: each with all that it needs in one transaction.
pub fn migrate(connection: &Connection, path: &Path, migrations: &[Migration]) -> Result<(), FileError> {
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > migrations.len() {
        return Err(FileError::Newer(path.display().to_string()));
    }
    for (at, Migration { sql, then }) in migrations.iter().enumerate().skip(version) {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let done = connection.execute_batch(sql).and_then(|()| then.map_or(Ok(()), |then| then(connection)));
        let done = done.and_then(|()| connection.execute_batch(&format!("PRAGMA user_version = {}; COMMIT", at + 1)));
        if let Err(error) = done {
            // Where SQLite has rolled back of itself this says so, which is no news.
            let _ = connection.execute_batch("ROLLBACK");
            return Err(error.into());
        }
    }
    Ok(())
}
