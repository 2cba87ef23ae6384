//! One process at a file, by whatever name it is reached.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::error::FileError;

/// Read and write for the owner, nothing for others.
pub const OWNER_ONLY: u32 = 0o600;
/// A process that is ending still has the file for a moment.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Held as long as the file is open: two processes on one file would deliver everything twice.
#[derive(Debug)]
pub struct FileLock {
    /// The file under its own name, whatever links lead to it.
    pub path: PathBuf,
    /// On the file itself, so that a symbolic or a hard link finds it locked as well. SQLite's own locks are of another kind
    /// (`fcntl`) and do not see it.
    file: File,
    /// Beside it, where earlier versions look.
    _beside: File,
}

impl FileLock {
    /// Takes it; makes the file where there is none, for its owner only.
    ///
    /// # Errors
    /// When another process has it, or it cannot be made.
    pub fn take(path: &Path) -> Result<Self, FileError> {
        let at = |reason| FileError::File { place: path.display().to_string(), reason };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(at)?;
        }
        let mut open = OpenOptions::new();
        let file = open.read(true).write(true).create(true).truncate(false).mode(OWNER_ONLY).open(path).map_err(at)?;
        lock(&file, path)?;
        let path = path.canonicalize().map_err(at)?;
        let beside = open.open(path.with_added_extension("lock")).map_err(at)?;
        beside.set_permissions(Permissions::from_mode(OWNER_ONLY)).map_err(at)?;
        lock(&beside, &path)?;
        Ok(Self { path, file, _beside: beside })
    }

    /// Whether the file is still the one that its path names. What is written into one that was removed is gone with the process.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        let id = |about: fs::Metadata| (about.dev(), about.ino());
        let (open, named) = (self.file.metadata().map(id), fs::metadata(&self.path).map(id));
        matches!((open, named), (Ok(open), Ok(named)) if open == named)
    }
}

fn lock(file: &File, path: &Path) -> Result<(), FileError> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LONGEST_WAIT => thread::sleep(LONGEST_WAIT / 10),
            Err(TryLockError::WouldBlock) => return Err(FileError::InUse(path.display().to_string())),
            Err(TryLockError::Error(reason)) => {
                return Err(FileError::File { place: path.display().to_string(), reason });
            }
        }
    }
}
