//! What the routes work with.

use std::sync::Arc;

use super::pipeline::Pipeline;
use super::presentation::Presentation;
use crate::signals::desk::Desk;
use crate::store::company::CompanyPage;
use crate::store::deletion::Retention;
use crate::store::{Store, StoreError};

/// The two ports, and what the page tells of the collector; clones share them.
#[derive(Clone)]
pub struct Web {
    /// What the collector keeps.
    pub store: Arc<dyn Store>,
    /// What stands before it.
    pub pipeline: Arc<dyn Pipeline>,
    /// How long data is kept.
    pub retention: Retention,
    /// The alerts, where they are evaluated here.
    pub desk: Option<Arc<dyn Desk>>,
    /// What can be done here.
    pub presentation: Presentation,
}

impl Web {
    /// One company. People write domains and names in any case; a group's id is as it is.
    pub async fn company(&self, key: &str, limit: u32) -> Result<Option<CompanyPage>, StoreError> {
        if let Some(found) = self.store.show_company(key, limit).await? {
            return Ok(Some(found));
        }
        self.store.show_company(&key.to_lowercase(), limit).await
    }
}
