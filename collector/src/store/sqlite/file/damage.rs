//! Whether a file was damaged, told when it is opened and not in the middle of work.
//!
//! SQLite reads a write-ahead log up to the first frame whose checksum is wrong and forgets the rest without a word, since that
//! is how a torn last write looks; a log that is gone it does not miss. But a wrong frame with whole transactions behind it is no
//! torn write, and after a kill the index beside the log (`-shm`) still says how much was committed. SQLite makes the index
//! anew when it opens the file, so it is read before.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::wal::{INDEX_BYTES, Index, Log};

/// A file up to this size is looked through when it is opened; a larger one would hold up the start.
const MOST_BYTES_TO_CHECK: u64 = 64 * 1024 * 1024;
/// An index that is older than its log by up to as many rounds was left by a power cut, which keeps what was synced: the log.
/// The system writes an index out twice a minute.
const MOST_ROUNDS: u32 = 65_536;

/// What is wrong with the log beside a file.
#[derive(Debug, PartialEq, Eq)]
pub enum LogDamage {
    /// It cannot be read as it was written.
    Damaged(String),
    /// Frames that were committed are not there any more.
    Lacks {
        /// How many.
        missing: usize,
        /// Of how many.
        committed: usize,
    },
}

/// The file that stands beside a file of SQLite's.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What is wrong with the log beside a file; nothing where all is well, or where its last write alone is torn.
///
/// # Errors
/// When it cannot be read at all.
pub fn of_log(path: &Path) -> io::Result<Option<LogDamage>> {
    let bytes = if_there(fs::read(beside(path, "-wal")))?.unwrap_or_default();
    let log = match Log::read(&bytes) {
        Ok(log) => log,
        Err(reason) => return Ok(Some(LogDamage::Damaged(reason.to_owned()))),
    };
    if let Some(log) = &log {
        // SQLite throws a log away without a word whose file is empty.
        if fs::metadata(path)?.len() == 0 {
            let reason = "the file beside it is empty, and it holds what was written to it".to_owned();
            return Ok(Some(LogDamage::Damaged(reason)));
        }
        if log.is_followed {
            let (at, frames) = (log.right + 1, log.frames);
            let reason =
                format!("its frame {at} of {frames} is damaged, and writes that were complete stand behind it");
            return Ok(Some(LogDamage::Damaged(reason)));
        }
    }
    Ok(index(path)?.and_then(|index| lacks(index, log)))
}

fn index(path: &Path) -> io::Result<Option<Index>> {
    let Some(mut file) = if_there(File::open(beside(path, "-shm")))? else { return Ok(None) };
    let mut bytes = [0; INDEX_BYTES];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Index::read(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a log lacks of what its index says. A commit is synced before the index says so, and a new round of the log begins
/// only when all of the last one is in the file.
fn lacks(index: Index, log: Option<Log>) -> Option<LogDamage> {
    let Index { salts, committed, copied } = index;
    let there = match log.filter(|log| log.committed > 0) {
        Some(log) if log.salts == salts => log.committed,
        Some(log) if (1..=MOST_ROUNDS).contains(&log.salts.rounds_after(salts)) => return None,
        // Another log: what SQLite would bring into the file from it is older, or another file's.
        Some(_) if committed > 0 => return Some(LogDamage::Lacks { missing: committed, committed }),
        // In the file is all that was copied. With a part of the log beside it that part would count, though it is older.
        _ => copied,
    };
    let missing = committed.saturating_sub(there);
    (missing > 0).then_some(LogDamage::Lacks { missing, committed })
}

fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What SQLite finds wrong with an open file, where it is small enough to be looked through.
pub fn of_file(connection: &Connection, path: &Path) -> rusqlite::Result<Option<String>> {
    if fs::metadata(path).map_or(0, |file| file.len()) > MOST_BYTES_TO_CHECK {
        return Ok(None);
    }
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Whether an error says that the file is damaged or no database.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
