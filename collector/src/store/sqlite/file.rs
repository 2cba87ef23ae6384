//! A SQLite file with one writer, whatever it keeps.
//!
//! One thread writes. It takes all the work that waits into one transaction, so that a thousand requests at once cost a
//! few commits, and answers each only when it is on the disk. Reading has connections of its own.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::Connection;
use thiserror::Error;
use tokio::sync::{oneshot, watch};

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
    /// Held as long as the file is open: two processes on one file would deliver everything twice.
    _lock: Arc<File>,
}

/// Tells whoever looks that something was written.
#[derive(Default)]
struct Changes {
    /// Goes up with each transaction.
    version: AtomicU64,
    tell: watch::Sender<()>,
}

type Work = Box<dyn FnOnce(&Connection) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// The file cannot do what was asked.
#[derive(Debug, Error)]
pub enum FileError {
    /// Another process has the file.
    #[error("{0} is in use by another koala; end that one, or give this one another file with --data")]
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
        let at = |reason| FileError::File { place: path.display().to_string(), reason };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(at)?;
        }
        let lock = File::create(path.with_added_extension("lock")).map_err(at)?;
        lock.try_lock().map_err(|_| FileError::InUse(path.display().to_string()))?;
        make_private(path).map_err(at)?;
        let connection = connect(path)?;
        migrate(&connection, path, migrations)?;
        let readers = Readers::open(path, READERS, connect)?;
        let long_readers = Readers::open(path, LONG_READERS, connect)?;
        let (writer, work) = mpsc::channel();
        let changes = Arc::new(Changes::default());
        let told = Arc::clone(&changes);
        let write = move || write_all(&connection, &work, &told);
        thread::Builder::new().name("store".to_owned()).spawn(write).map_err(at)?;
        Ok(Self { writer, changes, readers, long_readers, _lock: Arc::new(lock) })
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
                let result = result.map_err(FileError::from);
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
                if let Err(error) = result.map_err(|error| error.to_string()).and(committed) {
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

fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.execute_batch("SAVEPOINT work")?;
    let result = work(connection);
    connection.execute_batch(if result.is_ok() { "RELEASE work" } else { "ROLLBACK TO work; RELEASE work" })?;
    result
}

/// Brings a file up to date, a version at a time.
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
        let begun = connection.execute_batch("BEGIN IMMEDIATE");
        let more = std::iter::from_fn(|| work.try_recv().ok()).take(MOST_IN_A_TRANSACTION - 1);
        let answers: Vec<Answer> = std::iter::once(first).chain(more).map(|work| work(connection)).collect();
        let committed = begun.and_then(|()| connection.execute_batch("COMMIT")).map_err(|error| error.to_string());
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
