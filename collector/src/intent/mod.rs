//! Intent: which entries say that somebody means to buy, and how much.

mod entry;
mod rule;

pub use entry::with_event;
pub use rule::{IntentRule, MOST_INTENT_RULES};
