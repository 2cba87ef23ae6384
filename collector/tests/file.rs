//! The SQLite file under faults: whatever happens to one piece of work, the others and the file are whole.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use koala_collector::store::sqlite::file::{FileError, Migration, SqliteFile};
use rusqlite::Connection;

const TABLE: [Migration; 1] = [Migration::sql("CREATE TABLE kept (n INTEGER);")];

fn insert(n: i64) -> impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static {
    move |connection| connection.execute("INSERT INTO kept VALUES (?1)", [n]).map(drop)
}

async fn kept(file: &SqliteFile) -> i64 {
    file.read(|connection| connection.query_row("SELECT count(*) FROM kept", [], |row| row.get(0))).await.unwrap()
}

fn panics(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO kept VALUES (1)", [])?;
    panic!("as the test wants it");
}

#[tokio::test]
async fn a_panic_in_work_fails_that_work_and_the_writer_lives() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(&folder.path().join("koala.db"), &TABLE).unwrap();
    let (panicked, beside) = tokio::join!(file.write(panics), file.write(insert(2)));
    assert!(matches!(panicked, Err(FileError::Panicked)), "{panicked:?}");
    beside.unwrap();
    file.write(insert(3)).await.unwrap();
    assert_eq!(kept(&file).await, 2);
}

#[tokio::test]
async fn work_never_runs_when_its_transaction_could_not_begin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("koala.db");
    let file = SqliteFile::open(&path, &TABLE).unwrap();
    // Another connection has the file for longer than the writer waits.
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (sent, ran) = std::sync::mpsc::channel();
    let work = move |connection: &Connection| {
        sent.send(()).unwrap();
        insert(1)(connection)
    };
    assert!(file.write(work).await.is_err());
    assert!(ran.try_recv().is_err(), "the work ran without a transaction");
    other.execute_batch("ROLLBACK").unwrap();
    file.write(insert(2)).await.unwrap();
    assert_eq!(kept(&file).await, 1);
}

fn fails(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("INSERT INTO kept VALUES (1); INSERT INTO nowhere VALUES (1);")
}

fn succeeds(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("INSERT INTO kept VALUES (1)")
}

#[tokio::test]
async fn a_migration_and_what_it_needs_to_finish_are_one_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("koala.db");
    let sql = "CREATE TABLE kept (n INTEGER);";
    assert!(SqliteFile::open(&path, &[Migration { sql, then: Some(fails) }]).is_err());
    let file = SqliteFile::open(&path, &[Migration { sql, then: Some(succeeds) }]).unwrap();
    assert_eq!(kept(&file).await, 1);
}

#[test]
fn the_same_file_through_a_symbolic_or_a_hard_link_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("koala.db");
    let _open = SqliteFile::open(&path, &TABLE).unwrap();
    let (symbolic, hard) = (folder.path().join("elsewhere/symbolic.db"), folder.path().join("hard.db"));
    fs::create_dir(symbolic.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&path, &symbolic).unwrap();
    fs::hard_link(&path, &hard).unwrap();
    for name in [path, symbolic, hard] {
        let second = SqliteFile::open(&name, &TABLE);
        assert!(matches!(second, Err(FileError::InUse(_))), "{}", name.display());
    }
}

#[test]
fn what_is_no_database_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("koala.db");
    fs::write(&path, "no database, and long enough to be looked at as one".repeat(20)).unwrap();
    let Err(error) = SqliteFile::open(&path, &TABLE) else { panic!("it was opened") };
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

/// A copy of a file as a killed process leaves it: with a log of several transactions.
fn with_log(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("koala.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE kept (n INTEGER); PRAGMA user_version = 1;")
        .unwrap();
    for n in 0..20 {
        connection.execute("INSERT INTO kept VALUES (?1)", [n]).unwrap();
    }
    let copy = folder.join("copy.db");
    fs::copy(&path, &copy).unwrap();
    fs::copy(folder.join("koala.db-wal"), folder.join("copy.db-wal")).unwrap();
    copy
}

#[tokio::test]
async fn a_log_with_a_torn_end_is_opened_and_one_damaged_in_the_middle_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let copy = with_log(folder.path());
    let wal = folder.path().join("copy.db-wal");
    let whole = fs::read(&wal).unwrap();

    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0xff;
    fs::write(&wal, &damaged).unwrap();
    let Err(error) = SqliteFile::open(&copy, &TABLE) else { panic!("it was opened") };
    let said = error.to_string();
    assert!(said.contains("copy.db-wal is damaged") && said.contains("backup"), "{said}");
    assert_eq!(fs::read(&wal).unwrap(), damaged, "nothing was changed");

    fs::write(&wal, &whole[..whole.len() - 100]).unwrap();
    let file = SqliteFile::open(&copy, &TABLE).unwrap();
    assert_eq!(kept(&file).await, 19);
}

/// SQLite would throw the log away without a word.
#[tokio::test]
async fn an_empty_file_beside_a_log_that_holds_something_is_damage_and_is_told_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("koala.db"), folder.path().join("copy.db"));
    let file = SqliteFile::open(&path, &TABLE).unwrap();
    file.write(insert(1)).await.unwrap();
    // As a kill leaves it: with what was written in the log alone.
    fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
    fs::write(&copy, b"").unwrap();
    let opened = SqliteFile::open(&copy, &TABLE).map(drop);
    assert!(matches!(&opened, Err(FileError::Damaged { .. })), "{opened:?}");
    assert!(fs::metadata(copy.with_extension("db-wal")).unwrap().len() > 0);
}
