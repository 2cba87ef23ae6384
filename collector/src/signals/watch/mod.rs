//! The watch: it looks at what changed, decides what is to be told, and writes that.
//!
//! | module | what it does |
//! |---|---|
//! | `changes` | the visitors who did something new, and their companies |
//! | `turn` | all companies, at the day's turn |
//! | `week` | which companies rose, on Mondays |
//! | `evaluator` | what one of them sets off |

mod changes;
mod evaluator;
mod turn;
mod week;

use std::sync::Arc;

use koala_destination::clock::MILLISECONDS_OF_A_DAY;
use koala_destination::segment::hashed_message_id;

use self::evaluator::{Evaluator, is_of_companies};
use super::configured::Configured;
use super::options::SignalsOptions;
use crate::intent::IntentRule;
use crate::store::alerts::{AlertStore, Turn};
use crate::store::{Store, StoreError};

/// Watches over a store.
pub struct Watch {
    evaluator: Evaluator,
}

impl Watch {
    /// A watch over a store, which is one behind its two ports.
    pub fn new(store: Arc<dyn Store>, alerts: Arc<dyn AlertStore>, options: SignalsOptions) -> Self {
        Self { evaluator: Evaluator { store, alerts, options } }
    }

    /// Looks at what changed, at the day's turn at all companies, and on Monday at the week. Gives back whether more is to be looked
    /// at now. `now` is in milliseconds since 1970.
    ///
    /// # Errors
    /// When the store cannot be read or written: then all of it is looked at again.
    pub async fn round(&self, configured: &Configured, now: i64) -> Result<bool, StoreError> {
        let Evaluator { store, alerts, .. } = &self.evaluator;
        let turn = alerts.turn().await?;
        let made_of = made_of(&store.intent_rules().await?, configured);
        // While points are made of something else than when all companies were looked at, they move without anything having happened.
        let is_settled = turn.as_ref().is_some_and(|turn| turn.made_of == made_of);
        let more = changes::look_at_changes(&self.evaluator, configured, is_settled, now).await?;
        let today = now.div_euclid(MILLISECONDS_OF_A_DAY);
        let is_turn = turn.as_ref().is_none_or(|turn| turn.day != today || turn.made_of != made_of);
        if is_turn && store.looked_back().await? >= 1.0 && alerts.is_counted().await? {
            let next = Turn { day: today, made_of };
            turn::look_at_all(&self.evaluator, configured, is_settled, (turn, next), now).await?;
        }
        week::look_at_week(&self.evaluator, configured, now).await?;
        Ok(more)
    }

    /// Whether something waits for a moment, until it is known better of whom it is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_any_unsettled(&self, configured: &Configured, now: i64) -> Result<bool, StoreError> {
        changes::is_any_unsettled(&self.evaluator, configured, now).await
    }
}

/// What points are made of, and whether anybody looks at them.
fn made_of(rules: &[IntentRule], configured: &Configured) -> String {
    let mut rules: Vec<String> = rules
        .iter()
        .map(|rule| {
            let IntentRule { name, trigger, score, half_life_days, count } = rule;
            format!("{name}\u{1f}{}\u{1f}{score}\u{1f}{half_life_days}\u{1f}{count:?}", trigger.as_str())
        })
        .collect();
    rules.sort();
    let is_watched = configured.alerts().iter().any(is_of_companies);
    let text = format!("{is_watched}\u{1e}{}", rules.join("\u{1e}"));
    hashed_message_id(&text)
}
