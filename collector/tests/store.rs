//! What every engine of the store holds to, written against the port alone.
//!
//! An engine is put under the suite by a line: `holds_for!(name, open)`, where `open` makes an empty store and what has to live
//! as long as it. Counts of deliveries belong to the pipeline before the collector, and are tested with it.

// A test that meets something else than it expects ends there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cases;
#[path = "helpers/cluster.rs"]
mod cluster;
#[path = "helpers/deletions.rs"]
mod deletions;
#[path = "helpers/postgres.rs"]
mod postgres_server;

use std::sync::Arc;

use koala_collector::store::Store;
use koala_collector::store::postgres::PostgresStore;
use koala_collector::store::sqlite::SqliteStore;
use tempfile::TempDir;

use self::postgres_server::Database;

/// Makes a test of each case over one engine.
macro_rules! holds_for {
    ($engine:ident, $open:path) => {
        mod $engine {
            crate::cases::all! { $open }
        }
    };
}

/// Makes a test of each case of alerts over one engine.
macro_rules! alerts_hold_for {
    ($engine:ident, $open:path) => {
        mod $engine {
            crate::cases::all_of_alerts! { $open }
        }
    };
}

#[allow(clippy::unused_async)] // an engine may have to connect
async fn sqlite_store() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("koala.db")).unwrap();
    (Arc::new(store), folder)
}

#[allow(clippy::unused_async)] // an engine may have to connect
async fn sqlite_engine() -> (Arc<dyn cases::Engine>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("koala.db")).unwrap();
    (Arc::new(store), folder)
}

holds_for!(sqlite, crate::sqlite_store);
alerts_hold_for!(sqlite_alerts, crate::sqlite_engine);

mod sqlite_of_companies {
    crate::cases::all_of_companies! { crate::sqlite_store }
}

/// In a schema of its own; where `tests/dsql` names a cluster, in that.
async fn postgres_store() -> (Arc<dyn Store>, Option<Database>) {
    if let Some(cluster) = cluster::empty().await {
        return (Arc::new(PostgresStore::open(&cluster).await.unwrap()), None);
    }
    let database = Database::empty().await;
    let store = PostgresStore::open(&database.address()).await.unwrap();
    (Arc::new(store), Some(database))
}

async fn postgres_engine() -> (Arc<dyn cases::Engine>, Database) {
    let database = Database::new().await;
    let store = PostgresStore::open(&database.address()).await.unwrap();
    (Arc::new(store), database)
}

holds_for!(postgres, crate::postgres_store);
alerts_hold_for!(postgres_alerts, crate::postgres_engine);

mod postgres_of_companies {
    crate::cases::all_of_companies! { crate::postgres_store }
}
