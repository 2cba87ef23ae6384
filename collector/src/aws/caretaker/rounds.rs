//! What is done each minute: the UTC day's points, what new rules find in what was there before, retention and deletions; in pieces,
//! until there is no more or the invocation ends.

use std::sync::Arc;

use koala_destination::settings::Freshness;
use tokio::time::Instant;

use crate::aws::database::Database;
use crate::aws::parameters::SharedCollectorSettings;
use crate::store::deletion::Retention;
use crate::upkeep::Upkeep;

/// The work, and what it is done with.
pub struct Rounds {
    database: Arc<Database>,
    settings: SharedCollectorSettings,
    retention: Retention,
}

impl Rounds {
    pub fn new(database: Arc<Database>, settings: SharedCollectorSettings, retention: Retention) -> Self {
        Self { database, settings, retention }
    }

    pub fn freshness(&self) -> Freshness {
        self.settings.freshness()
    }

    /// Goes on until there is no more, or `end`.
    pub async fn until(&self, end: Instant) -> Result<(), lambda_runtime::Error> {
        let (store, _) = self.database.store().await?;
        for failed in store.failed_index_jobs().await? {
            tracing::error!(job = failed, "the database could not make an index");
        }
        let mut upkeep = Upkeep::without_queues(Arc::clone(&self.settings), Arc::new(store), self.retention);
        while Box::pin(upkeep.round()).await? && Instant::now() < end {}
        Ok(())
    }
}
