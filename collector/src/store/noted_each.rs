//! The intent rules of which alerts look at each entry.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// The names of these rules; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct NotedEach(Arc<RwLock<BTreeSet<String>>>);

impl NotedEach {
    /// Makes these the rules.
    pub(super) fn follow(&self, rules: &[String]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rules.iter().cloned().collect();
    }

    /// Whether a rule is one of them.
    pub(super) fn has(&self, rule: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(rule)
    }
}
