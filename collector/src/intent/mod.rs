//! Intent: which entries say that somebody means to buy, and how much.

mod entry;
mod rule;
mod strength;
pub mod worth;

pub use entry::with_event;
pub use rule::{Count, IntentRule, MOST_COUNTED, MOST_INTENT_RULES, did};
pub use strength::{Intent, Strength, StrengthLabel, Trend};
