//! The room on the disk of the queues. What is delivered is recorded before it leaves its queue, which takes room itself: a disk that
//! intake filled to the last byte would never drain. So intake leaves the rest to delivery, and is answered 503 meanwhile.
//!
//! What was delivered leaves its pages in the file, which does not shrink: they are room for what comes in. And where the queue holds
//! little, others have filled the disk: then intake goes on as long as it can.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

/// What is left to delivery: some write-ahead logs of SQLite, which grow to 4 MB and more while pages are read.
const LEFT_BYTES: u64 = 64 * 1024 * 1024;
/// Of a small disk, one part in so many.
const LEFT_PART: u64 = 4;
/// A queue that holds less than one part in so many of what is left has not filled the disk.
const LITTLE_PART: u64 = 8;

/// The bytes that are free on a disk, and all that it has.
#[derive(Debug, Clone, Copy)]
pub struct Disk {
    /// What may still be written.
    pub free: u64,
    /// Its size.
    pub all: u64,
}

impl Disk {
    /// The disk of a file or folder; nothing where it cannot be told, as of file systems that say that they have nothing at all.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let disk = rustix::fs::statvfs(path).ok()?;
        let (free, all) = (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
        (all > 0).then_some(Self { free, all })
    }

    fn has_room(self, file: Pages) -> bool {
        let left = LEFT_BYTES.min(self.all / LEFT_PART);
        self.free.saturating_add(file.free) > left || file.used < left / LITTLE_PART
    }
}

/// The bytes of a file's pages.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pages {
    /// Those that hold something.
    pub used: u64,
    /// Those that are free again.
    pub free: u64,
}

impl Pages {
    /// Those of a file of SQLite.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let number = |pragma: &str| {
            let mut select = connection.prepare_cached(pragma)?;
            select.query_row([], |row| row.get::<_, i64>(0)).map(|number| u64::try_from(number).unwrap_or_default())
        };
        let (size, all, free) =
            (number("PRAGMA page_size")?, number("PRAGMA page_count")?, number("PRAGMA freelist_count")?);
        Ok(Self { used: all.saturating_sub(free).saturating_mul(size), free: free.saturating_mul(size) })
    }
}

/// Whether there is room. It is looked at in each writing of intake, one after the other: a disk is filled within less than a second.
pub struct Room {
    look: Box<dyn Fn() -> Option<Disk> + Send + Sync>,
    is_there: AtomicBool,
}

impl Room {
    /// That of the disk of a file.
    #[must_use]
    pub fn beside(file: PathBuf) -> Self {
        Self::seen(move || Disk::of(&file))
    }

    /// That of a disk which is looked at so.
    pub fn seen(look: impl Fn() -> Option<Disk> + Send + Sync + 'static) -> Self {
        Self { look: Box::new(look), is_there: AtomicBool::new(true) }
    }

    /// Whether intake may write into a file of these pages. A disk that cannot be looked at has room.
    pub fn is_there(&self, file: Pages) -> bool {
        let is_there = (self.look)().is_none_or(|disk| disk.has_room(file));
        match (self.is_there.swap(is_there, Ordering::Relaxed), is_there) {
            (true, false) => tracing::error!("the disk is nearly full; no events are taken until there is room"),
            (false, true) => tracing::warn!("the disk has room again; events are taken"),
            _ => {}
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1024 * 1024;
    const LARGE: Pages = Pages { used: 500 * MB, free: 0 };

    #[test]
    fn intake_leaves_64_megabytes_or_a_quarter_of_a_small_disk() {
        let has_room = |free, all| Disk { free, all }.has_room(LARGE);
        assert!(has_room(65 * MB, 500_000 * MB) && !has_room(64 * MB, 500_000 * MB));
        assert!(has_room(6 * MB, 20 * MB) && !has_room(5 * MB, 20 * MB));
    }

    #[test]
    fn pages_of_what_was_delivered_are_room_for_what_comes_in() {
        let full = Disk { free: 0, all: 500_000 * MB };
        assert!(!full.has_room(Pages { used: 500 * MB, free: 64 * MB }));
        assert!(full.has_room(Pages { used: 435 * MB, free: 65 * MB }));
    }

    #[test]
    fn a_queue_that_holds_little_has_not_filled_the_disk() {
        let full = Disk { free: 0, all: 500_000 * MB };
        assert!(full.has_room(Pages { used: 8 * MB - 1, free: 0 }) && !full.has_room(Pages { used: 8 * MB, free: 0 }));
    }

    #[test]
    fn the_disk_of_a_file_is_that_of_its_folder_and_one_that_cannot_be_told_has_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::of(folder.path()).expect("a disk");
        assert!(disk.all > 0 && disk.free <= disk.all, "{disk:?}");
        assert!(Disk::of(&folder.path().join("nothing")).is_none());
        assert!(Room::seen(|| None).is_there(LARGE));
        // It says that it has no blocks at all.
        assert!(Disk::of(Path::new("/proc")).is_none());
    }
}
