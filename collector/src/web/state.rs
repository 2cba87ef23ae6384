//! What the routes work with.

use std::sync::Arc;

use super::pipeline::Pipeline;
use crate::store::Store;

/// The two ports; clones share them.
#[derive(Clone)]
pub struct Web {
    /// What the collector keeps.
    pub store: Arc<dyn Store>,
    /// What stands before it.
    pub pipeline: Arc<dyn Pipeline>,
}
