//! A SQLite file with one writer, whatever it keeps.
//!
//! One thread writes. It takes all the work that waits into one transaction, so that a thousand requests at once cost a
//! few commits, and answers each only when it is on the disk. Reading has connections of its own.

mod damage;
mod lock;

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use self::lock::FileLock;
use super::readers::Readers;

/// The most pieces of work that share a transaction.
const MOST_IN_A_TRANSACTION: usize = 512;

/// Read and write for the owner, nothing for others.
const OWNER_ONLY: u32 = 0o600;
/// Connections for short reads.
const READERS: usize = 2;
/// Connections for long ones: two of them leave the rest of the machine to the others.
const LONG_READERS: usize = 2;

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

/// An open file; clones share it.
#[derive(Clone)]
pub struct SqliteFile {
    writer: mpsc::Sender<Work>,
    changes: Arc<Changes>,
    readers: Readers,
    /// For what reads long, so that nothing short waits for it.
    long_readers: Readers,
    lock: Arc<FileLock>,
}

/// Tells whoever looks that something was written.
#[derive(Default)]
struct Changes {
    /// Goes up with each transaction.
    version: AtomicU64,
    tell: watch::Sender<()>,
}

/// Work gets the connection within a transaction, or why there is none: then it must do nothing.
type Work = Box<dyn FnOnce(Result<&Connection, &str>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// The file cannot do what was asked.
#[derive(Debug, Error)]
pub enum FileError {
    /// Another process has the file.
    #[error("{0} is locked by another koala process; stop it, or give this one another file with --data")]
    InUse(String),
    /// A later version of this software has written the file.
    #[error("{0} was written by a later version of koala; use that one, or give this one another file with --data")]
    Newer(String),
    /// The folder or the file cannot be used.
    #[error("{place}: {reason}")]
    File {
        /// The path.
        place: String,
        /// What the system says.
        reason: io::Error,
    },
    /// The file or its log cannot be read as it was written.
    #[error(
        "{place} is damaged: {reason}. Nothing was changed. Copy it with its -wal and -shm files, then restore a backup, or \
         have `sqlite3 {place} .recover` save what can be read, or move the damaged file away to go on without what stood in it"
    )]
    Damaged {
        /// The path.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A fault of this software; nothing of the work was done.
    #[error("the store: the work panicked; the log has the place")]
    Panicked,
    /// SQLite says no.
    #[error("the store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The work was done and could not be committed.
    #[error("the store cannot commit: {0}")]
    Commit(String),
    /// The writing thread is gone.
    #[error("the store is closed")]
    Closed,
}

impl SqliteFile {
    /// Opens the file, or makes it with its folder, and brings it up to date.
    ///
    /// # Errors
    /// When another process has it, or it cannot be read or written.
    pub fn open(path: &Path, migrations: &[Migration]) -> Result<Self, FileError> {
        let lock = Arc::new(FileLock::take(path)?);
        let path = lock.path.as_path();
        let at = |reason| FileError::File { place: path.display().to_string(), reason };
        let damaged = |reason| FileError::Damaged { place: path.display().to_string(), reason };
        if let Some(reason) = damage::of_wal(path).map_err(at)? {
            let place = format!("{}-wal", path.display());
            return Err(FileError::Damaged { place, reason });
        }
        let sqlite = |error: rusqlite::Error| {
            if damage::is_damage(&error) { damaged(error.to_string()) } else { FileError::Sqlite(error) }
        };
        make_private(path).map_err(at)?;
        let connection = connect(path).map_err(sqlite)?;
        if let Some(reason) = damage::of_file(&connection, path).map_err(sqlite)? {
            return Err(damaged(reason));
        }
        migrate(&connection, path, migrations)?;
        let readers = Readers::open(path, READERS, connect)?;
        let long_readers = Readers::open(path, LONG_READERS, connect)?;
        let (writer, work) = mpsc::channel();
        let changes = Arc::new(Changes::default());
        let (told, held) = (Arc::clone(&changes), Arc::clone(&lock));
        let write = move || {
            write_all(&connection, &work, &told);
            // In this order: who gets the lock finds no one writing.
            drop(connection);
            drop(held);
        };
        thread::Builder::new().name("store".to_owned()).spawn(write).map_err(at)?;
        Ok(Self { writer, changes, readers, long_readers, lock })
    }

    /// Where the file is, under its own name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.lock.path
    }

    /// Writes: what `write` did is on the disk when this returns its result.
    ///
    /// # Errors
    /// When SQLite refuses it; then nothing of it is done.
    pub async fn write<T, F>(&self, write: F) -> Result<T, FileError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let result = in_savepoint(connection, write);
            Box::new(move |committed| {
                // Nobody waits for the answer when the request was given up.
                let _ = answer.send(committed.map_err(FileError::Commit).and(result));
            })
        });
        self.writer.send(work).map_err(|_| FileError::Closed)?;
        answered.await.map_err(|_| FileError::Closed)?
    }

    /// Writes what nobody waits for.
    pub fn write_later<F>(&self, write: F)
    where
        F: FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    {
        let work: Work = Box::new(move |connection| {
            let result = in_savepoint(connection, write);
            Box::new(move |committed| {
                if let Err(error) = result.map_err(|error: FileError| error.to_string()).and(committed) {
                    tracing::warn!(error, "something that is only counted was not kept");
                }
            })
        });
        // A store that is closed counts nothing.
        let _ = self.writer.send(work);
    }

    /// Changes whenever something is written.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.tell.subscribe()
    }

    /// Another number after each transaction.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.changes.version.load(Ordering::Acquire)
    }

    /// Tells whoever looks that something is shown otherwise now.
    pub fn have_pages_look_again(&self) {
        self.changes.tell.send_replace(());
    }

    /// Reads what is committed.
    ///
    /// # Errors
    /// When SQLite refuses it.
    pub async fn read<T, F>(&self, read: F) -> Result<T, FileError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        Ok(self.readers.read(read).await.ok_or(FileError::Closed)??)
    }

    /// Reads what is committed, where it may take long.
    ///
    /// # Errors
    /// When SQLite refuses it.
    pub async fn read_long<T, F>(&self, read: F) -> Result<T, FileError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        Ok(self.long_readers.read(read).await.ok_or(FileError::Closed)??)
    }
}

/// What is in the file is the business of its owner alone. SQLite gives the files beside it the same permissions.
fn make_private(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).mode(OWNER_ONLY).open(path)?;
    file.set_permissions(Permissions::from_mode(OWNER_ONLY))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(64);
    // FULL: what was answered with 200 survives a power cut as well as a kill.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON;",
    )?;
    Ok(connection)
}

/// Does work so that all of it is done or nothing; a panic in it fails this work alone.
fn in_savepoint<T>(
    connection: Result<&Connection, &str>,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, FileError> {
    let connection = connection.map_err(|reason| FileError::Commit(reason.to_owned()))?;
    connection.execute_batch("SAVEPOINT work")?;
    let result = catch_unwind(AssertUnwindSafe(|| work(connection)));
    let result = result.map_or(Err(FileError::Panicked), |result| result.map_err(FileError::from));
    connection.execute_batch(if result.is_ok() { "RELEASE work" } else { "ROLLBACK TO work; RELEASE work" })?;
    result
}

/// Brings a file up to date, a version at a time: each with all that it needs in one transaction.
fn migrate(connection: &Connection, path: &Path, migrations: &[Migration]) -> Result<(), FileError> {
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

/// The writing thread: until every `SqliteFile` is dropped.
fn write_all(connection: &Connection, work: &mpsc::Receiver<Work>, changed: &Changes) {
    while let Ok(first) = work.recv() {
        let more = std::iter::from_fn(|| work.try_recv().ok()).take(MOST_IN_A_TRANSACTION - 1);
        let works: Vec<Work> = std::iter::once(first).chain(more).collect();
        let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| error.to_string());
        let run = |work: Work| match &begun {
            Err(reason) => work(Err(reason)),
            // A full disk and the like make SQLite roll back all that was done before: outside a transaction nothing may run.
            Ok(()) if connection.is_autocommit() => work(Err("an earlier failure ended the transaction")),
            Ok(()) => work(Ok(connection)),
        };
        let answers: Vec<Answer> = works.into_iter().map(run).collect();
        let commit = || connection.execute_batch("COMMIT").map_err(|error| error.to_string());
        let committed = begun.clone().and_then(|()| commit());
        if committed.is_err() {
            // A failed COMMIT leaves the transaction open; when there is none this says so, which is no news.
            let _ = connection.execute_batch("ROLLBACK");
        }
        changed.version.fetch_add(1, Ordering::AcqRel);
        for answer in answers {
            answer(committed.clone());
        }
        changed.tell.send_replace(());
    }
}

/// The text in a column as it can be read: a damaged row must not stop what is about others.
#[must_use]
pub fn lossy(row: &Row<'_>, column: usize) -> String {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

/// The whole number in a column, or 0 where there is none.
#[must_use]
pub fn number(row: &Row<'_>, column: usize) -> i64 {
    row.get_ref(column).ok().and_then(|value| value.as_i64().ok()).unwrap_or(0)
}
