//! Why a file cannot do what was asked.

use std::io;

use thiserror::Error;

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
    /// The log lacks what was committed.
    #[error(
        "{place}-wal lacks {missing} of the {committed} pages that were committed to it and are not in {place} yet: it was cut \
         off, replaced or removed. Nothing was changed. Put it back as it was, or restore a backup of all three files; to go on \
         without what is missing, move {place}-shm away"
    )]
    LacksCommitted {
        /// The path of the file beside it.
        place: String,
        /// How many pages are missing.
        missing: usize,
        /// How many there should be.
        committed: usize,
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
