//! The test that a deploy makes of its database, on one that does what is counted on and on one that does not.

// A test that meets something else than it expects ends there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "helpers/postgres.rs"]
mod postgres_server;

use koala_collector::store::Store;
use koala_collector::store::filter::Filter;
use koala_collector::store::postgres::{PostgresOptions, PostgresStore, self_test};

use self::postgres_server::Database;

#[tokio::test]
async fn a_database_that_does_what_is_counted_on_passes_as_often_as_it_is_tried_and_nothing_of_it_is_left() {
    let database = Database::new().await;
    let store = PostgresStore::open(&database.address()).await.unwrap();
    for _ in 0..2 {
        self_test::run(&PostgresOptions::new(database.address())).await.unwrap();
    }
    let visitors = store.list_visitors(Filter::default(), 0, 10).await.unwrap();
    assert_eq!(visitors.1, 0, "it has tables of its own");
    let left = database
        .client()
        .await
        .query("SELECT 1 FROM pg_namespace WHERE nspname = 'koala_self_test'", &[])
        .await
        .unwrap();
    assert_eq!(left.len(), 0);
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
