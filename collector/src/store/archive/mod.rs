//! A store written out as JSON lines, and read into another one, of whichever engine.
//!
//! | module | what it does |
//! |---|---|
//! | `record` | what stands in an archive |
//!
//! The first line is a [`Header`], the last a [`Footer`]; each in between is a [`Record`]. Who is whose, which company somebody is of,
//! and what counts for what, is made anew from them. Intent is counted by the rules of whoever reads it, as with new rules. Messages
//! of alerts are not moved.

mod record;

use std::io::{BufRead, Read, Write};

use async_trait::async_trait;
use koala_destination::clock;
use thiserror::Error;

pub use self::record::{
    AboutRecord, CompanyRecord, DeletionRecord, EntryRecord, Footer, Header, IdName, IdentityRecord, Record,
    SaidRecord, VERSION,
};
use super::StoreError;

/// Rows that are written in one transaction: Aurora DSQL takes 3,000.
const ROWS_AT_ONCE: usize = 1000;
/// Bytes that are: it takes 10 MiB.
const BYTES_AT_ONCE: usize = 1024 * 1024;
/// The longest line: an entry comes in within a request of less than that, and is written as a text.
const LONGEST_LINE: u64 = 32 * 1024 * 1024;

/// The parts of an archive, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The key of the tombstones.
    Installation,
    /// All ids.
    Identities,
    /// What is known of each.
    About,
    /// Companies' identities.
    Companies,
    /// What requests about companies alone say.
    Said,
    /// All entries.
    Entries,
    /// Tombstones.
    Tombstones,
    /// Deletions.
    Deletions,
}

impl Section {
    /// All of them, in their order: what is named comes before what names it.
    pub const ALL: [Self; 8] = [
        Self::Installation,
        Self::Identities,
        Self::About,
        Self::Companies,
        Self::Said,
        Self::Entries,
        Self::Tombstones,
        Self::Deletions,
    ];
}

/// A store that can be written out.
#[async_trait]
pub trait Dump: Send + Sync {
    /// A page of a section from behind a cursor on, and the cursor that leads to the next one; none behind the last.
    async fn page(&self, section: Section, after: i64) -> Result<(Vec<Record>, Option<i64>), StoreError>;
}

/// A store that an archive can be read into.
#[async_trait]
pub trait Restore: Send + Sync {
    /// Whether there is nothing in it yet.
    async fn is_empty(&self) -> Result<bool, StoreError>;

    /// Writes some records in one transaction. They come in the order of the sections.
    async fn restore(&self, records: Vec<Record>) -> Result<(), StoreError>;

    /// After all of them: puts a piece of the visitors together, from behind a cursor on. Gives back the next one, and none behind
    /// the last.
    async fn put_together(&self, after: i64) -> Result<Option<i64>, StoreError>;
}

/// An archive cannot be written or read.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The store cannot do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be written or read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is no archive, or one of a later version.
    #[error("not an archive of version {VERSION}: its first line is {0:?}")]
    NotAnArchive(String),
    /// A line cannot be read.
    #[error("line {0}: {1}")]
    Line(u64, String),
    /// Its end is missing.
    #[error("the archive is cut off after {0} records")]
    CutOff(u64),
    /// There is something in the store.
    #[error("there is something in it already: an archive is read into an empty store alone")]
    NotEmpty,
}

/// Writes all of a store. Gives back how many records it was; `progress` is told from time to time.
///
/// # Errors
/// When the store cannot be read, or the file not be written.
pub async fn export(store: &dyn Dump, mut out: impl Write, mut progress: impl FnMut(u64)) -> Result<u64, ArchiveError> {
    write_line(&mut out, &Header { koala_archive: VERSION, at: clock::now() })?;
    let mut records = 0;
    for section in Section::ALL {
        let mut after = Some(i64::MIN);
        while let Some(cursor) = after {
            let (page, next) = store.page(section, cursor).await?;
            for record in &page {
                write_line(&mut out, record)?;
            }
            records += page.len() as u64;
            progress(records);
            after = next;
        }
    }
    write_line(&mut out, &Footer { records })?;
    out.flush()?;
    Ok(records)
}

fn write_line(out: &mut impl Write, line: &impl serde::Serialize) -> Result<(), ArchiveError> {
    serde_json::to_writer(&mut *out, line).map_err(std::io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}

/// Reads an archive into an empty store. Gives back how many records it was; `progress` is told from time to time how many bytes
/// were read.
///
/// # Errors
/// When the store is not empty or cannot be written, or the archive cannot be read to its end.
pub async fn import(
    store: &dyn Restore,
    archive: impl BufRead,
    mut progress: impl FnMut(u64),
) -> Result<u64, ArchiveError> {
    let mut lines = Lines { archive, number: 0, bytes: 0, line: String::new() };
    let header = lines.next()?.unwrap_or_default();
    if !serde_json::from_str::<Header>(header).is_ok_and(|header| header.koala_archive == VERSION) {
        return Err(ArchiveError::NotAnArchive(header.chars().take(80).collect()));
    }
    if !store.is_empty().await? {
        return Err(ArchiveError::NotEmpty);
    }
    let (mut records, mut is_whole) = (0, false);
    let (mut piece, mut rows, mut bytes) = (Vec::new(), 0, 0);
    while let Some(line) = lines.next()? {
        if let Ok(footer) = serde_json::from_str::<Footer>(line) {
            is_whole = footer.records == records;
            break;
        }
        let record: Record = match serde_json::from_str(line) {
            Ok(record) => record,
            Err(error) => return Err(ArchiveError::Line(lines.number, error.to_string())),
        };
        bytes += line.len();
        rows += record.rows();
        records += 1;
        piece.push(record);
        if rows >= ROWS_AT_ONCE || bytes >= BYTES_AT_ONCE {
            store.restore(std::mem::take(&mut piece)).await?;
            (rows, bytes) = (0, 0);
            progress(lines.bytes);
        }
    }
    if !is_whole {
        return Err(ArchiveError::CutOff(records));
    }
    if !piece.is_empty() {
        store.restore(piece).await?;
    }
    let mut after = Some(i64::MIN);
    while let Some(cursor) = after {
        after = store.put_together(cursor).await?;
    }
    progress(lines.bytes);
    Ok(records)
}

/// The lines of an archive, one in memory at a time.
struct Lines<R> {
    archive: R,
    number: u64,
    bytes: u64,
    line: String,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<&str>, ArchiveError> {
        self.line.clear();
        self.number += 1;
        let read = self.archive.by_ref().take(LONGEST_LINE).read_line(&mut self.line)?;
        self.bytes += read as u64;
        Ok((read > 0).then(|| self.line.trim_end()))
    }
}
