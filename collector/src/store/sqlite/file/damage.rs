//! Whether a file was damaged, told when it is opened and not in the middle of work.
//!
//! SQLite reads a write-ahead log up to the first frame whose checksum is wrong and forgets the rest without a word, since that
//! is how a torn last write looks. A wrong frame with whole transactions behind it is something else: what was answered for is
//! lost. The format is <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::{Connection, ErrorCode};

const WAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// A file up to this size is looked through when it is opened; a larger one would hold up the start.
const MOST_BYTES_TO_CHECK: u64 = 64 * 1024 * 1024;

/// What is wrong with the log beside a file; nothing where all is well, or where its last write alone is torn.
pub fn of_wal(path: &Path) -> io::Result<Option<String>> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    match fs::read(&wal) {
        // SQLite throws a log away without a word whose file is empty.
        Ok(bytes) if bytes.len() > WAL_HEADER && fs::metadata(path)?.len() == 0 => {
            Ok(Some("the file beside it is empty, and it holds what was written to it".to_owned()))
        }
        Ok(bytes) => Ok(in_wal(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn in_wal(bytes: &[u8]) -> Option<String> {
    // A log without a frame holds nothing that could be lost.
    if bytes.len() <= WAL_HEADER {
        return None;
    }
    let header = &bytes[..WAL_HEADER];
    let big_endian = match be32(header, 0) {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return Some("its header is not that of a write-ahead log".to_owned()),
    };
    let mut sum = checksum(&header[..24], (0, 0), big_endian);
    if sum != (be32(header, 24), be32(header, 28)) {
        return Some("the checksum of its header is wrong".to_owned());
    }
    let page = match be32(header, 8) {
        // 64 KiB does not fit where SQLite first kept it.
        1 => 65_536,
        size => usize::try_from(size).unwrap_or(usize::MAX),
    };
    let salts = &header[16..24];
    let frames: Vec<&[u8]> = bytes[WAL_HEADER..].chunks_exact(FRAME_HEADER.saturating_add(page).max(1)).collect();
    for (at, frame) in frames.iter().enumerate() {
        sum = checksum(&frame[FRAME_HEADER..], checksum(&frame[..8], sum, big_endian), big_endian);
        if &frame[8..16] != salts || sum != (be32(frame, 16), be32(frame, 20)) {
            return is_followed(&frames[at + 1..], salts).then(|| {
                format!(
                    "its frame {} of {} is damaged, and writes that were complete stand behind it",
                    at + 1,
                    frames.len()
                )
            });
        }
    }
    None
}

/// Whether frames of this log stand behind a complete transaction of it: each commit is on the disk before the next write
/// begins, so that a torn write has nothing behind it. Frames of an earlier round of the file have other salts.
fn is_followed(frames: &[&[u8]], salts: &[u8]) -> bool {
    let of_this_log = frames.iter().filter(|frame| &frame[8..16] == salts);
    let mut of_this_log = of_this_log.skip_while(|frame| be32(frame, 4) == 0);
    of_this_log.next().is_some() && of_this_log.next().is_some()
}

/// The checksum of the format: two sums over pairs of words.
fn checksum(bytes: &[u8], start: (u32, u32), big_endian: bool) -> (u32, u32) {
    let word = |bytes: &[u8]| {
        let word = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    };
    bytes.chunks_exact(8).fold(start, |(one, two), pair| {
        let one = one.wrapping_add(word(pair)).wrapping_add(two);
        (one, two.wrapping_add(word(&pair[4..])).wrapping_add(one))
    })
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
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
