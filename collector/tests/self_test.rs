//! The test that a deploy makes of its database, on one that does what is counted on and on one that does not.

// A test that meets something else than it expects ends there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "helpers/postgres.rs"]
mod postgres_server;

use std::time::{Duration, Instant};

use koala_collector::store::Store;
use koala_collector::store::filter::Filter;
use koala_collector::store::postgres::{PostgresOptions, PostgresStore, self_test};
use koala_destination::clock::now_milliseconds;

use self::postgres_server::Database;

/// The schemas of such tests, those of tests beside this one among them.
async fn schemas(database: &Database) -> Vec<String> {
    let all = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'koala%self%test%'";
    database.client().await.query(all, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// One that is left stays; those of tests beside this one go in time.
async fn until_none_is_new(database: &Database, before: &[String]) {
    let begun = Instant::now();
    loop {
        let new: Vec<_> = schemas(database).await.into_iter().filter(|name| !before.contains(name)).collect();
        if new.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{new:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_database_that_does_what_is_counted_on_passes_as_often_as_it_is_tried_and_nothing_of_it_is_left() {
    let database = Database::new().await;
    let store = PostgresStore::open(&database.address()).await.unwrap();
    let before = schemas(&database).await;
    for _ in 0..2 {
        self_test::run(&PostgresOptions::new(database.address())).await.unwrap();
    }
    until_none_is_new(&database, &before).await;
    let visitors = store.list_visitors(Filter::default(), 0, 10).await.unwrap();
    assert_eq!(visitors.1, 0, "it has tables of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tests_of_one_database_at_the_same_time_do_not_meet_each_other() {
    let database = Database::new().await;
    let options = PostgresOptions::new(database.address());
    let all = || self_test::all(&options, std::future::pending());
    let (one, other) = tokio::join!(all(), all());
    for tried in [one, other] {
        assert_eq!(tried.len(), 11, "{tried:?}");
        let failed: Vec<_> = tried.iter().filter(|it| it.failed.is_some()).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
}

#[tokio::test]
async fn what_an_interrupted_test_has_left_goes_with_a_later_one() {
    let database = Database::new().await;
    let hour = 3_600_000;
    let named = |at: i64| format!("koala_self_test_{at:x}_{:08x}", std::process::id());
    let (old, new) = (named(now_milliseconds() - hour - 60_000), named(now_milliseconds() - hour + 60_000));
    let client = database.client().await;
    for name in [&old, &new] {
        client.batch_execute(&format!("CREATE SCHEMA {name}; CREATE TABLE {name}.visitor (id bigint)")).await.unwrap();
    }
    // Whoever may make schemas may have given one any name.
    let hostile = r#""koala_self_test_0_x; CREATE SCHEMA of_somebody_else; --""#;
    client.batch_execute(&format!("CREATE SCHEMA {hostile}")).await.unwrap();
    self_test::run(&PostgresOptions::new(database.address())).await.unwrap();
    let left = schemas(&database).await;
    assert!(!left.iter().any(|name| name.contains("of_somebody_else")), "{left:?}");
    assert!(!left.contains(&old) && left.contains(&new), "{left:?}");
    client.batch_execute(&format!("DROP SCHEMA {new} CASCADE")).await.unwrap();
}

#[tokio::test]
async fn a_test_that_is_stopped_leaves_nothing() {
    let database = Database::new().await;
    let before = schemas(&database).await;
    // It is under way as soon as its schema is there.
    let stop = async {
        while schemas(&database).await.len() == before.len() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let tried = self_test::all(&PostgresOptions::new(database.address()), stop).await;
    let said: Vec<_> = tried.iter().filter_map(|it| it.failed.as_ref().map(ToString::to_string)).collect();
    assert_eq!(said, ["interrupted"], "{tried:?}");
    assert!(tried.iter().any(|it| it.part == "nothing of the test is left"), "{tried:?}");
    until_none_is_new(&database, &before).await;
}

#[tokio::test]
async fn who_may_not_make_tables_attaches_to_those_that_there_are_and_is_told_where_there_are_none() {
    let database = Database::new().await;
    let Err(error) = PostgresStore::attach(PostgresOptions::new(database.address())).await else {
        panic!("there are no tables")
    };
    assert!(error.to_string().contains("does not exist"), "{error}");
    PostgresStore::open(&database.address()).await.unwrap();
    PostgresStore::attach(PostgresOptions::new(database.address())).await.unwrap();
    database.client().await.batch_execute("DELETE FROM migration").await.unwrap();
    let Err(error) = PostgresStore::attach(PostgresOptions::new(database.address())).await else {
        panic!("the tables are of nobody")
    };
    assert!(error.to_string().contains("of an older release"), "{error}");
}
