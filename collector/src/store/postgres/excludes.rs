//! What the parameter `exclude` keeps out of the ranking, as it is now, with its version.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};

use super::pool::Pool;
use crate::exclude::Exclude;

/// What is kept out now; clones share it.
#[derive(Clone, Default)]
pub(super) struct Excludes(Arc<RwLock<(Arc<Exclude>, i64)>>);

impl Excludes {
    /// What is kept out, and its version: 0 where that is nobody.
    pub(super) fn now(&self) -> (Arc<Exclude>, i64) {
        let now = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&now.0), now.1)
    }

    /// Makes this what is kept out.
    pub(super) fn follow(&self, pool: &Pool, exclude: &Exclude) {
        let version = version_of(exclude);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (Arc::new(exclude.clone()), version);
        pool.excludes.store(version, Ordering::Relaxed);
    }
}

/// The same parameter has the same version in every process.
fn version_of(exclude: &Exclude) -> i64 {
    if exclude.is_empty() {
        return 0;
    }
    let hash = Sha256::digest(format!("{exclude:?}").as_bytes());
    hash.iter().take(7).fold(0, |number, byte| (number << 8) | i64::from(*byte)) + 1
}
