//! The outcomes of a batch, kept and told as they come.

use std::sync::{Mutex, PoisonError};

use super::{Outcome, Outcomes};

/// What became of each message of a batch so far.
pub struct Ledger<'b, O> {
    outcomes: Mutex<Vec<Option<Outcome>>>,
    observer: &'b O,
}

impl<'b, O: Outcomes> Ledger<'b, O> {
    /// Nothing is known of `messages` messages; `observer` is told what will be.
    pub fn new(messages: usize, observer: &'b O) -> Self {
        Self { outcomes: Mutex::new(vec![None; messages]), observer }
    }

    /// Keeps and tells outcomes.
    pub async fn settle(&self, settled: Vec<(usize, Outcome)>) {
        if settled.is_empty() {
            return;
        }
        self.observer.settled(&settled).await;
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, outcome) in settled {
            outcomes[index] = Some(outcome);
        }
    }

    /// What is known of a message.
    pub fn outcome(&self, index: usize) -> Option<Outcome> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).get(index).cloned().flatten()
    }

    /// Each message's outcome, where it is known.
    pub fn into_outcomes(self) -> Vec<Option<Outcome>> {
        self.outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
