//! Turns: what is said of one id by several requests at once is written one after the other within a process. They would be in each
//! other's way in the database, and be tried again and again; those of other processes still are.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use koala_destination::ids::Id;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// More ids than that at once share a turn.
const LINES: usize = 256;

/// A line for each of many ids; clones share them.
#[derive(Clone)]
pub(super) struct Turns(Arc<[Arc<Mutex<()>>]>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..LINES).map(|_| Arc::default()).collect())
    }
}

impl Turns {
    /// Waits until it is the turn of all these ids. They are waited for in one order, so that none waits in a circle.
    pub(super) async fn wait<'i>(&self, ids: impl IntoIterator<Item = &'i Id>) -> Vec<OwnedMutexGuard<()>> {
        let lines: BTreeSet<usize> = ids.into_iter().map(line_of).collect();
        let mut turns = Vec::with_capacity(lines.len());
        for line in lines.into_iter().filter_map(|line| self.0.get(line)) {
            turns.push(Arc::clone(line).lock_owned().await);
        }
        turns
    }
}

fn line_of(id: &Id) -> usize {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    usize::try_from(hasher.finish() % LINES as u64).unwrap_or_default()
}
