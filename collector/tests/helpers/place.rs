//! Where a collector keeps what it has, for tests that hold of every engine.

use std::sync::Arc;

use koala_collector::store::Store;
use koala_collector::store::alerts::AlertStore;
use koala_collector::store::postgres::PostgresStore;
use koala_collector::store::sqlite::SqliteStore;
use tempfile::TempDir;

use crate::postgres_server::Database;

/// An engine behind both of its ports.
pub trait Engine: Store + AlertStore + 'static {}
impl<T: Store + AlertStore + 'static> Engine for T {}

pub enum Place {
    File(TempDir),
    Database(Database),
}

impl Place {
    pub fn file() -> Self {
        Self::File(tempfile::tempdir().unwrap())
    }

    pub async fn database() -> Self {
        Self::Database(Database::new().await)
    }

    /// The store in it; another one each time.
    pub async fn open(&self) -> Arc<dyn Engine> {
        match self {
            Self::File(folder) => Arc::new(SqliteStore::open(&folder.path().join("koala.db")).unwrap()),
            Self::Database(database) => Arc::new(PostgresStore::open(&database.address()).await.unwrap()),
        }
    }
}

/// Makes a test of each case over each engine.
macro_rules! on_each_engine {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case(crate::place::Place::file()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::place::Place::database().await).await;
            })+
        }
    };
}
pub(crate) use on_each_engine;
