//! A SQLite file with one writer, whatever it keeps.
//!
//! One thread writes. It takes all the work that waits into one transaction, so that a thousand requests at once cost a
//! few commits, and answers each only when it is on the disk. Reading has connections of its own.
//!
//! | module | what it does |
//! |---|---|
//! | `writer` | the thread that writes |
//! | `migration` | an older file is brought up to date |
//! | `rewrite` | the file written anew, so that nothing of what was deleted is left in it |
//! | `damage`, `wal` | what is wrong with a file or its log, told when it is opened |
//! | `lock` | one process at a file |
//! | `error` | why a file cannot do what was asked |

mod damage;
mod error;
mod lock;
mod migration;
mod rewrite;
mod wal;
mod writer;

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use tokio::sync::{oneshot, watch};

use self::damage::LogDamage;
pub use self::error::FileError;
use self::lock::{FileLock, OWNER_ONLY};
pub use self::migration::Migration;
use self::migration::migrate;
use self::rewrite::Rewriting;
use self::writer::{Changes, Job, Work, in_savepoint, write_all};
use super::readers::Readers;

/// Connections for short reads.
const READERS: usize = 2;
/// Connections for long ones: two of them leave the rest of the machine to the others.
const LONG_READERS: usize = 2;

/// An open file; clones share it.
#[derive(Clone)]
pub struct SqliteFile {
    writer: mpsc::Sender<Job>,
    rewriting: Arc<Rewriting>,
    changes: Arc<Changes>,
    readers: Readers,
    /// For what reads long, so that nothing short waits for it.
    long_readers: Readers,
    lock: Arc<FileLock>,
}

impl SqliteFile {
    /// Writes the file anew, so that nothing of what was deleted is left in it: see [`Rewriting::run`].
    ///
    /// # Errors
    /// When SQLite refuses it, as where there is no room for a second copy.
    pub async fn rewrite(&self) -> Result<bool, FileError> {
        self.rewriting.run(&self.writer).await
    }

    /// Opens the file, or makes it with its folder, and brings it up to date.
    ///
    /// # Errors
    /// When another process has it, or it cannot be read or written.
    pub fn open(path: &Path, migrations: &[Migration]) -> Result<Self, FileError> {
        let lock = Arc::new(FileLock::take(path)?);
        let path = lock.path.as_path();
        let at = |reason| FileError::File { place: path.display().to_string(), reason };
        let damaged = |reason| FileError::Damaged { place: path.display().to_string(), reason };
        match damage::of_log(path).map_err(at)? {
            None => {}
            Some(LogDamage::Damaged(reason)) => {
                let place = damage::beside(path, "-wal").display().to_string();
                return Err(FileError::Damaged { place, reason });
            }
            Some(LogDamage::Lacks { missing, committed }) => {
                let place = path.display().to_string();
                return Err(FileError::LacksCommitted { place, missing, committed });
            }
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
            write_all(&connection, &held, &work, &told);
            // In this order: who gets the lock finds no one writing.
            drop(connection);
            drop(held);
        };
        thread::Builder::new().name("store".to_owned()).spawn(write).map_err(at)?;
        Ok(Self { writer, rewriting: Arc::default(), changes, readers, long_readers, lock })
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
        self.writer.send(Job::Write(work)).map_err(|_| FileError::Closed)?;
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
        let _ = self.writer.send(Job::Write(work));
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
    // What is deleted is overwritten, where that costs no further writing; `rewrite` does the rest.
    connection.execute_batch("PRAGMA secure_delete = FAST;")?;
    Ok(connection)
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
