//! A write-ahead log and its index, as SQLite writes them: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log> and
//! <https://www.sqlite.org/walformat.html>.

const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The version of an index, the same since SQLite 3.7.0.
const INDEX_VERSION: u32 = 3_007_000;
/// A header of the index stands twice, so that one that is being written is known.
const INDEX_HEADER: usize = 48;
/// Both headers, and behind them how much was copied into the file.
pub const INDEX_BYTES: usize = 2 * INDEX_HEADER + 4;

/// The salts of a log: each round of it has others, so that frames of an earlier one are none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salts([u8; 8]);

impl Salts {
    /// By how many rounds this one is later than another; the first word counts them.
    pub fn rounds_after(self, other: Self) -> u32 {
        be32(&self.0, 0).wrapping_sub(be32(&other.0, 0))
    }
}

/// What stands in a log.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    pub salts: Salts,
    /// How many frames there is room for.
    pub frames: usize,
    /// How many of them are right, from the first on.
    pub right: usize,
    /// How many of those are committed.
    pub committed: usize,
    /// Whether frames of this log stand behind a whole transaction that is behind the first frame that is not right: each
    /// commit is on the disk before the next write begins, so that a torn write has nothing behind it.
    pub is_followed: bool,
}

impl Log {
    /// Reads a log; nothing where it has no frame, which holds nothing that could be lost.
    ///
    /// # Errors
    /// With why it is not one.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        if bytes.len() <= LOG_HEADER {
            return Ok(None);
        }
        let (header, frames) = bytes.split_at(LOG_HEADER);
        let big_endian = match be32(header, 0) {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return Err("its header is not that of a write-ahead log"),
        };
        let mut sum = checksum(&header[..24], (0, 0), big_endian);
        if sum != (be32(header, 24), be32(header, 28)) {
            return Err("the checksum of its header is wrong");
        }
        let page = match be32(header, 8) {
            // 64 KiB does not fit where SQLite first kept it.
            1 => 65_536,
            size => usize::try_from(size).unwrap_or(usize::MAX),
        };
        let salts = salts(header, 16);
        let frames: Vec<&[u8]> = frames.chunks_exact(FRAME_HEADER.saturating_add(page)).collect();
        let (mut right, mut committed) = (0, 0);
        for frame in &frames {
            sum = checksum(&frame[FRAME_HEADER..], checksum(&frame[..8], sum, big_endian), big_endian);
            if self::salts(frame, 8) != salts || sum != (be32(frame, 16), be32(frame, 20)) {
                break;
            }
            right += 1;
            if is_commit(frame) {
                committed = right;
            }
        }
        let behind = frames.iter().skip(right + 1).filter(|frame| self::salts(frame, 8) == salts);
        let is_followed = behind.skip_while(|frame| !is_commit(frame)).count() > 1;
        Ok(Some(Self { salts, frames: frames.len(), right, committed, is_followed }))
    }
}

/// What the index says of its log.
#[derive(Debug, Clone, Copy)]
pub struct Index {
    pub salts: Salts,
    /// How many frames are committed.
    pub committed: usize,
    /// How many of them are in the file as well.
    pub copied: usize,
}

impl Index {
    /// Reads an index, in the byte order of the machine; nothing where it is not one, or was being written: the index is
    /// never synced, and after a power cut it may be anything.
    pub fn read(bytes: &[u8; INDEX_BYTES]) -> Option<Self> {
        let (header, second) = bytes[..2 * INDEX_HEADER].split_at(INDEX_HEADER);
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let is_whole = checksum(&header[..40], (0, 0), cfg!(target_endian = "big")) == (word(40), word(44));
        if header != second || word(0) != INDEX_VERSION || header[12] == 0 || !is_whole {
            return None;
        }
        let frames = |at| usize::try_from(word(at)).ok();
        Some(Self { salts: salts(header, 32), committed: frames(16)?, copied: frames(2 * INDEX_HEADER)? })
    }
}

fn is_commit(frame: &[u8]) -> bool {
    be32(frame, 4) != 0
}

fn salts(bytes: &[u8], at: usize) -> Salts {
    let mut salts = [0; 8];
    salts.copy_from_slice(&bytes[at..at + 8]);
    Salts(salts)
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
