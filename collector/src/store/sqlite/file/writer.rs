//! The one thread that writes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use rusqlite::Connection;
use tokio::sync::watch;

use super::FileError;
use super::lock::FileLock;

/// The most pieces of work that share a transaction.
const MOST_IN_A_TRANSACTION: usize = 512;

/// Tells whoever looks that something was written.
#[derive(Default)]
pub struct Changes {
    /// Goes up with each transaction.
    pub version: AtomicU64,
    /// Rings with each transaction.
    pub tell: watch::Sender<()>,
}

/// Work gets the connection within a transaction, or why there is none: then it must do nothing.
pub type Work = Box<dyn FnOnce(Result<&Connection, &str>) -> Reply + Send>;
/// Told whether the transaction was committed.
pub type Reply = Box<dyn FnOnce(Result<(), String>) + Send>;

/// What the writing thread does.
pub enum Job {
    /// In a transaction that others share.
    Write(Work),
    /// Outside of any.
    Alone(Box<dyn FnOnce(&Connection) + Send>),
}

/// The writing thread: until every `SqliteFile` is dropped.
pub fn write_all(connection: &Connection, lock: &FileLock, jobs: &mpsc::Receiver<Job>, changed: &Changes) {
    while let Ok(first) = jobs.recv() {
        let (mut works, mut alone, mut next) = (Vec::new(), None, Some(first));
        while let Some(job) = next {
            match job {
                Job::Write(work) => works.push(work),
                Job::Alone(work) => alone = Some(work),
            }
            let is_full = alone.is_some() || works.len() == MOST_IN_A_TRANSACTION;
            next = if is_full { None } else { jobs.try_recv().ok() };
        }
        if !works.is_empty() {
            write_together(connection, lock, works, changed);
        }
        if let Some(alone) = alone {
            alone(connection);
        }
    }
}

fn write_together(connection: &Connection, lock: &FileLock, works: Vec<Work>, changed: &Changes) {
    let begun = if lock.is_in_place() {
        connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| error.to_string())
    } else {
        let place = lock.path.display();
        tracing::error!(
            "{place} was removed or replaced while it is in use: nothing is accepted. Put it back with its -wal file, or restart"
        );
        Err(format!("{place} was removed or replaced"))
    };
    let run = |work: Work| match &begun {
        Err(reason) => work(Err(reason)),
        // A full disk and the like make SQLite roll back all that was done before: outside a transaction nothing may run.
        Ok(()) if connection.is_autocommit() => work(Err("an earlier failure ended the transaction")),
        Ok(()) => work(Ok(connection)),
    };
    let answers: Vec<Reply> = works.into_iter().map(run).collect();
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

/// Does work so that all of it is done or nothing; a panic in it fails this work alone.
pub fn in_savepoint<T>(
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
