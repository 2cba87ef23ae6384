//! A store that is written out and read into another one is the same.

use std::io::BufReader;
use std::sync::Arc;

use koala_collector::store::archive::{ArchiveError, Dump, Restore, export, import};
use koala_collector::store::postgres::PostgresStore;
use koala_collector::store::sqlite::SqliteStore;
use koala_destination::clock;

use crate::answers::{self, assert_equal};
use crate::happenings::{happen, random, settle};
use crate::postgres_server::Database;
use crate::site::Site;

/// All of a store.
async fn written(store: &dyn Dump) -> Vec<String> {
    let mut out = Vec::new();
    export(store, &mut out, |_| {}).await.unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

async fn read(store: &dyn Restore, archive: &[String]) -> Result<u64, ArchiveError> {
    import(store, BufReader::new(archive.join("\n").as_bytes()), |_| {}).await
}

/// The header says when it was made.
fn assert_same(one: &[String], other: &[String]) {
    let first = one.iter().zip(other).skip(1).find(|(a, b)| a != b);
    assert!(first.is_none(), "{first:#?}");
    assert_eq!(one.len(), other.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_moves_from_engine_to_engine_and_back_without_a_difference() {
    for seed in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| SqliteStore::open(&folder.path().join(name)).unwrap();
        let there = file("there.db");
        let site = Site::over(Arc::new(there.clone()));
        site.follow_presets().await;
        for happening in random(seed, 200, clock::now_milliseconds()) {
            happen(&site, &happening).await;
        }
        settle(&site).await;
        let archive = written(&there).await;
        assert!(archive.len() > 200, "{}", archive.len());

        let database = Database::new().await;
        let moved = PostgresStore::open(&database.address()).await.unwrap();
        read(&moved, &archive).await.unwrap();
        assert_same(&archive, &written(&moved).await);
        let back = file("back.db");
        read(&back, &written(&moved).await).await.unwrap();
        assert_same(&archive, &written(&back).await);

        // As it is opened after it has moved.
        let moved = PostgresStore::open(&database.address()).await.unwrap();
        let before = answers::all(&site).await;
        for store in [Site::over(Arc::new(moved)), Site::over(Arc::new(back))] {
            store.follow_presets().await;
            settle(&store).await;
            assert_equal(&before, &answers::all(&store).await);
            // It goes on as before: what comes again is there, and who was deleted stays away.
            for happening in random(seed, 200, clock::now_milliseconds()).iter().take(20) {
                happen(&store, happening).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_read_whole_and_into_an_empty_store_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| SqliteStore::open(&folder.path().join(name)).unwrap();
    let there = file("there.db");
    let site = Site::over(Arc::new(there.clone()));
    for happening in random(7, 30, clock::now_milliseconds()) {
        happen(&site, &happening).await;
    }
    let archive = written(&there).await;
    assert!(matches!(read(&there, &archive).await, Err(ArchiveError::NotEmpty)));
    let cut = &archive[..archive.len() - 1];
    assert!(matches!(read(&file("cut.db"), cut).await, Err(ArchiveError::CutOff(_))));
    let mut missing = archive.clone();
    missing.remove(5);
    assert!(read(&file("missing.db"), &missing).await.is_err());
    assert!(matches!(read(&file("header.db"), &archive[1..]).await, Err(ArchiveError::NotAnArchive(_))));
    let mut broken = archive.clone();
    broken[3] = "{}".to_owned();
    assert!(matches!(read(&file("broken.db"), &broken).await, Err(ArchiveError::Line(4, _))));
    let mut later = archive.clone();
    later[0] = later[0].replace(":1,", ":2,");
    assert!(matches!(read(&file("later.db"), &later).await, Err(ArchiveError::NotAnArchive(_))));
}
