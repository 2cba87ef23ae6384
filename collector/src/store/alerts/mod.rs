//! Alerts as the store keeps them: what changed and was not looked at yet, how alerts stand with companies, and messages on their way.
//!
//! A batch that is ingested writes what it changed in its own transaction, so that no signal is lost. Whoever evaluates takes these rows
//! and writes what comes of them (messages that are due, how alerts stand) in one transaction, which takes the rows away: of two
//! who evaluate at once one finds them gone, or a company not as it was read, and writes nothing. Whoever sends claims a message before it is sent.

mod changes;
mod messages;

use async_trait::async_trait;

pub use self::changes::{Changed, Evaluated, Fired, Look, Standing, Stood, Turn, Unsettled};
pub use self::messages::{Claimed, LONGEST_REST, MessageClaim, MessageState, NewMessage, Rest, Settled, StoredMessage};
pub(super) use self::messages::{alone_or_together, without_deeds};
use super::StoreError;
use super::company::{Activity, CompanyId};

/// What alerts are worked on with. The store is one with all the rest ([`Store`](super::Store)).
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// At most `limit` rows of what changed and was not looked at yet, but for what is unsettled. What changed of a visitor who is gone
    /// is no row.
    async fn changed(&self, limit: u32, unsettled: Unsettled<'_>) -> Result<Vec<Changed>, StoreError>;

    /// Whether something changed that is unsettled.
    async fn is_any_unsettled(&self, unsettled: Unsettled<'_>) -> Result<bool, StoreError>;

    /// How alerts stand with a company.
    async fn standing(&self, company: &CompanyId) -> Result<Standing, StoreError>;

    /// What a company's visitors did since a time (milliseconds since 1970), the newest first: at most `limit` entries.
    async fn recent(&self, company: &CompanyId, since: i64, limit: u32) -> Result<Vec<Activity>, StoreError>;

    /// When all companies were looked at last.
    async fn turn(&self) -> Result<Option<Turn>, StoreError>;

    /// Whether each company's points are of today and of the intent rules of now.
    async fn is_counted(&self) -> Result<bool, StoreError>;

    /// Whether there is a message of an alert for an occasion.
    async fn is_told(&self, alert: &str, occasion: &str) -> Result<bool, StoreError>;

    /// Writes what came of an evaluation, all of it or nothing: nothing where a row of what changed, how alerts stand with a company,
    /// or the turn is another one than was looked at. Gives back whether it was written.
    ///
    /// A message is not written where there is one of the same alert, target and occasion about the same visitor (by whatever ids they
    /// were known), the same company, or about nobody.
    async fn tell(&self, evaluated: Evaluated) -> Result<bool, StoreError>;

    /// The targets that have messages due at `now`.
    async fn due_targets(&self, now: i64) -> Result<Vec<String>, StoreError>;

    /// Takes messages that are due for a target, the oldest first, into one's hands; none while the target rests, or while it is
    /// another one's turn.
    async fn claim(&self, claim: MessageClaim<'_>) -> Result<Vec<Claimed>, StoreError>;

    /// Messages whose holder is gone are due again; of those that may arrive only once nobody knows whether they did.
    async fn recover(&self, now: i64) -> Result<u64, StoreError>;

    /// Writes what came of claimed messages, and, with it, until when the target rests: nothing is due for it before. What is
    /// retried holds back all that is due for the target.
    async fn settle(
        &self,
        target: &str,
        ids: &[String],
        settled: Settled,
        rest: Option<Rest>,
    ) -> Result<(), StoreError>;

    /// The newest messages.
    async fn messages(&self, limit: u32) -> Result<Vec<StoredMessage>, StoreError>;

    /// Dead letters of alerts are due again. Gives back how many.
    async fn redrive_messages(&self, now: i64) -> Result<u64, StoreError>;

    /// Forgets at most `limit` messages that came to an end before a time. Gives back how many.
    async fn forget_messages(&self, before: i64, limit: u32) -> Result<u64, StoreError>;
}
