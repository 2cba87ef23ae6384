//! A write-ahead log that lacks its end, or is gone: told when the file is opened, and no other state is.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use koala_collector::store::sqlite::file::{FileError, Migration, SqliteFile};
use rusqlite::Connection;
use tempfile::TempDir;

const TABLE: [Migration; 1] = [Migration::sql("CREATE TABLE kept (n INTEGER, text TEXT);")];
/// A frame of the format: its header, and a page of SQLite's usual size.
const FRAME: usize = 24 + 4096;
/// A log's header.
const HEADER: usize = 32;
const ALL: [&str; 3] = ["", "-wal", "-shm"];

/// A file that a process has open.
struct Open {
    folder: TempDir,
    connection: Connection,
    copies: Cell<usize>,
}

impl Open {
    /// A file whose log is copied into it by no one but the test.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("koala.db")).unwrap();
        let begin = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
                     CREATE TABLE kept (n INTEGER, text TEXT); PRAGMA user_version = 1;";
        connection.execute_batch(begin).unwrap();
        Self { folder, connection, copies: Cell::new(0) }
    }

    fn run(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    /// Transactions of one page each, and how many pages are in the log after them.
    fn insert(&self, count: usize) -> usize {
        for _ in 0..count {
            self.run("INSERT INTO kept VALUES (1, '')");
        }
        (fs::read(self.path("koala.db-wal")).unwrap().len() - HEADER) / FRAME
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What `kill -9` leaves now, in a folder of its own: an earlier copy may still be being closed.
    fn killed(&self) -> PathBuf {
        let folder = self.path(&self.copies.replace(self.copies.get() + 1).to_string());
        fs::create_dir(&folder).unwrap();
        let copy = folder.join("copy.db");
        for suffix in ALL {
            fs::copy(self.path(&format!("koala.db{suffix}")), beside(&copy, suffix)).unwrap();
        }
        copy
    }

    fn count(&self) -> i64 {
        self.connection.query_row("SELECT count(*) FROM kept", [], |row| row.get(0)).unwrap()
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    format!("{}{suffix}", path.display()).into()
}

async fn kept(path: &Path) -> i64 {
    let file = SqliteFile::open(path, &TABLE).unwrap();
    file.read(|connection| connection.query_row("SELECT count(*) FROM kept", [], |row| row.get(0))).await.unwrap()
}

/// How many pages of how many are said to be missing; sees that nothing was changed.
fn missing(path: &Path) -> (usize, usize) {
    let bytes = || ALL.map(|suffix| fs::read(beside(path, suffix)).ok());
    let before = bytes();
    let Err(error) = SqliteFile::open(path, &TABLE) else { panic!("it was opened") };
    assert!(bytes() == before, "the files were changed");
    let said = error.to_string();
    assert!(said.contains("copy.db-wal lacks ") && said.contains("backup") && said.contains("-shm away"), "{said}");
    match error {
        FileError::LacksCommitted { missing, committed, .. } => (missing, committed),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_log_that_was_cut_off_at_its_end_is_told_with_how_much_is_missing() {
    let open = Open::new();
    let pages = open.insert(20);
    for (cut, gone) in [(FRAME, 1), (5 * FRAME, 5), (1, 1), (FRAME + 100, 2)] {
        let path = open.killed();
        let log = beside(&path, "-wal");
        let whole = fs::read(&log).unwrap();
        fs::write(&log, &whole[..whole.len() - cut]).unwrap();
        assert_eq!(missing(&path), (gone, pages), "{cut} bytes cut");
    }
    // As the message says: without the index, what is left counts.
    let path = open.killed();
    let log = beside(&path, "-wal");
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 2 * FRAME]).unwrap();
    fs::remove_file(beside(&path, "-shm")).unwrap();
    assert_eq!(kept(&path).await, 18);
}

#[tokio::test]
async fn a_log_that_was_removed_or_emptied_is_told_and_one_that_is_in_the_file_already_is_not() {
    let open = Open::new();
    let pages = open.insert(20);
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let empty = |path: &Path| fs::write(path, "").unwrap();
    let header_alone = |path: &Path| fs::write(path, &fs::read(path).unwrap()[..HEADER]).unwrap();
    let first_bytes = |path: &Path| fs::write(path, &fs::read(path).unwrap()[..HEADER + 50]).unwrap();
    let ways: [&dyn Fn(&Path); 4] = [&remove, &empty, &header_alone, &first_bytes];
    for way in ways {
        let path = open.killed();
        way(&beside(&path, "-wal"));
        assert_eq!(missing(&path), (pages, pages));
    }
    open.run("PRAGMA wal_checkpoint(PASSIVE)");
    for way in ways {
        let path = open.killed();
        way(&beside(&path, "-wal"));
        assert_eq!(kept(&path).await, 20, "all of it is in the file");
    }
    // A reader that looks at an earlier state keeps what is newer out of the file.
    let reader = Connection::open(open.path("koala.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM kept;").unwrap();
    open.insert(7);
    open.run("PRAGMA wal_checkpoint(PASSIVE)");
    let path = open.killed();
    remove(&beside(&path, "-wal"));
    assert_eq!(missing(&path), (7, 7), "a round of the log with a page for each");
}

#[tokio::test]
async fn a_part_of_a_log_whose_whole_is_in_the_file_is_told_since_sqlite_would_go_back_to_it() {
    let open = Open::new();
    let pages = open.insert(20);
    open.run("PRAGMA wal_checkpoint(PASSIVE)");
    let path = open.killed();
    let log = beside(&path, "-wal");
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 3 * FRAME]).unwrap();
    assert_eq!(missing(&path), (3, pages));
}

#[tokio::test]
async fn an_earlier_log_or_that_of_another_file_is_told() {
    let open = Open::new();
    open.insert(20);
    let earlier = fs::read(open.path("koala.db-wal")).unwrap();
    open.run("PRAGMA wal_checkpoint(RESTART)");
    open.insert(4);
    let path = open.killed();
    fs::write(beside(&path, "-wal"), &earlier).unwrap();
    assert_eq!(missing(&path), (4, 4));
    for _ in 0..20 {
        let other = Open::new();
        other.insert(9);
        let path = open.killed();
        fs::copy(other.path("koala.db-wal"), beside(&path, "-wal")).unwrap();
        assert_eq!(missing(&path), (4, 4));
    }
}

#[tokio::test]
async fn no_kill_at_any_time_is_taken_for_a_log_that_lacks_something() {
    let open = Open::new();
    // Little memory, so that pages of a transaction that is under way are in the log too.
    open.run("PRAGMA cache_size = 2; PRAGMA cache_spill = 2; PRAGMA wal_autocheckpoint = 7");
    let checkpoints = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"];
    for round in 0..60 {
        let committed = open.count();
        open.run("BEGIN");
        for _ in 0..round % 13 {
            open.run("INSERT INTO kept VALUES (2, hex(randomblob(3000)))");
        }
        assert_eq!(kept(&open.killed()).await, committed, "killed in a transaction, round {round}");
        open.run(if round % 5 == 3 { "ROLLBACK" } else { "COMMIT" });
        assert_eq!(kept(&open.killed()).await, open.count(), "killed after a transaction, round {round}");
        if round % 3 == 0 {
            open.run(&format!("PRAGMA wal_checkpoint({})", checkpoints[round / 3 % 4]));
            assert_eq!(kept(&open.killed()).await, open.count(), "killed after a checkpoint, round {round}");
        }
    }
}

#[tokio::test]
async fn a_clean_stop_leaves_nothing_to_be_told() {
    let open = Open::new();
    open.insert(20);
    let Open { folder, connection, .. } = open;
    connection.close().unwrap();
    assert_eq!(kept(&folder.path().join("koala.db")).await, 20);
    assert_eq!(kept(&folder.path().join("koala.db")).await, 20);
}

/// The index is never synced: after a power cut it is gone, torn, or as old as the system left it; the log is as it was synced.
#[tokio::test]
async fn a_power_cut_that_keeps_the_log_and_no_index_or_an_old_one_leaves_nothing_to_be_told() {
    let open = Open::new();
    open.insert(10);
    let old = fs::read(open.path("koala.db-shm")).unwrap();
    open.insert(10);
    let half = [&fs::read(open.path("koala.db-shm")).unwrap()[..48], &old[48..]].concat();
    for stale in [&old[..], &half, &old[..100], &vec![0; 32_768], b""] {
        let path = open.killed();
        fs::write(beside(&path, "-shm"), stale).unwrap();
        assert_eq!(kept(&path).await, 20);
    }
    // The last write torn, and no index.
    let path = open.killed();
    fs::remove_file(beside(&path, "-shm")).unwrap();
    let log = beside(&path, "-wal");
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 100]).unwrap();
    assert_eq!(kept(&path).await, 19);
    // Rounds of the log since the index was written.
    for _ in 0..3 {
        open.run("PRAGMA wal_checkpoint(RESTART)");
        open.insert(1);
        let path = open.killed();
        fs::write(beside(&path, "-shm"), &old).unwrap();
        assert_eq!(kept(&path).await, open.count());
    }
}
