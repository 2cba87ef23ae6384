//! The room on the disk of the queues. What is delivered is recorded before it leaves its queue, which takes room itself: a disk that
//! intake filled to the last byte would never drain. So intake leaves the rest to delivery, and is answered 503 meanwhile.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What is left to delivery: some write-ahead logs of SQLite, which grow to 4 MB and more while pages are read.
const LEFT_BYTES: u64 = 64 * 1024 * 1024;
/// Of a small disk, one part in so many.
const LEFT_PART: u64 = 4;
/// The bytes that are free on a disk, and all that it has.
#[derive(Debug, Clone, Copy)]
pub struct Disk {
    /// What may still be written.
    pub free: u64,
    /// Its size.
    pub all: u64,
}

impl Disk {
    /// The disk of a file or folder; nothing where it cannot be told.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let disk = rustix::fs::statvfs(path).ok()?;
        Some(Self {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            all: disk.f_blocks.saturating_mul(disk.f_frsize),
        })
    }

    fn has_room(self) -> bool {
        self.free > LEFT_BYTES.min(self.all / LEFT_PART)
    }
}

/// Whether there is room. It is looked at for each request, which costs a microsecond: a disk is filled within less than a second.
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

    /// Whether intake may write. A disk that cannot be looked at has room.
    pub fn is_there(&self) -> bool {
        let is_there = (self.look)().is_none_or(Disk::has_room);
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
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;

    const MB: u64 = 1024 * 1024;

    #[test]
    fn intake_leaves_64_megabytes_or_a_quarter_of_a_small_disk() {
        let has_room = |free, all| Disk { free, all }.has_room();
        assert!(has_room(65 * MB, 500_000 * MB) && !has_room(64 * MB, 500_000 * MB));
        assert!(has_room(6 * MB, 20 * MB) && !has_room(5 * MB, 20 * MB));
    }

    #[test]
    fn intake_goes_on_when_there_is_room_again() {
        let free = Arc::new(AtomicU64::new(100 * MB));
        let disk = Arc::clone(&free);
        let room = Room::seen(move || Some(Disk { free: disk.load(Ordering::Relaxed), all: 500_000 * MB }));
        assert!(room.is_there());
        free.store(0, Ordering::Relaxed);
        assert!(!room.is_there());
        free.store(100 * MB, Ordering::Relaxed);
        assert!(room.is_there());
        assert!(Room::seen(|| None).is_there());
    }

    #[test]
    fn the_disk_of_a_file_is_that_of_its_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::of(folder.path()).expect("a disk");
        assert!(disk.all > 0 && disk.free <= disk.all, "{disk:?}");
        assert!(Disk::of(&folder.path().join("nothing")).is_none());
    }
}
