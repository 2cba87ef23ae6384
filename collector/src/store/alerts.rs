//! Alerts as the store keeps them: what changed and was not looked at yet, how alerts stand with companies, and messages on their way.
//!
//! A batch that is ingested writes what it changed in its own transaction, so that no signal is lost. Whoever evaluates takes these rows
//! and writes what comes of them (messages that are due, how alerts stand) in one transaction, which takes the rows away: of two
//! who evaluate at once one finds them gone, or a company not as it was read, and writes nothing. Whoever sends claims a message before it is sent.

use async_trait::async_trait;
use serde::Serialize;

use super::StoreError;
use super::company::{Activity, CompanyId};
use super::visitor::VisitorId;
use crate::intent::Trend;

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
    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Claimed>, StoreError>;

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

/// What is left alone for a moment: what one of these rules took of a visitor of whom no company is known. Who says who they are
/// says it beside what they do, and the two come by different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled<'u> {
    /// The rules' names.
    pub rules: &'u [String],
    /// Noted at this time or later, in milliseconds since 1970 …
    pub since: i64,
    /// … and before this one, so that no clock that is wrong holds anything back.
    pub before: i64,
}

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Names the row, and what stood in it when it was read, to the engine alone.
    pub token: String,
    /// Whose points may be others.
    pub visitor: VisitorId,
    /// The company that the visitor is of now.
    pub company: Option<CompanyId>,
    /// The intent rule that took something of the visitor for the first time on a day; nothing where it happened long ago.
    pub rule: Option<String>,
    /// The UTC day that counts for the rule, counted from 1970; 0 where there is no rule.
    pub day: i64,
    /// When it happened, in milliseconds since 1970.
    pub at: i64,
}

/// How alerts stand with a company.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// What it was like when it was looked at last.
    pub look: Option<Look>,
    /// The alerts that it has set off, and that are not armed again; and those that wait until they are about it.
    pub fired: Vec<Fired>,
}

/// A company as it was looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Its points.
    pub points: f64,
    /// Its trend.
    pub trend: Trend,
}

/// An alert that a company has set off.
#[derive(Debug, Clone, PartialEq)]
pub struct Fired {
    /// The alert's name.
    pub alert: String,
    /// What sets it off; another condition under the same name is another alert.
    pub condition: String,
    /// The company's points at that time.
    pub points: f64,
}

/// How alerts stand with a company that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Stood {
    /// The company.
    pub company: CompanyId,
    /// As it was read.
    pub before: Standing,
    /// As it is now.
    pub after: Standing,
}

/// When all companies were looked at last, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The UTC day, counted from 1970.
    pub day: i64,
    /// What points were made of; where that is another, points move without anything having happened.
    pub made_of: String,
}

/// What came of an evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluated {
    /// The rows of what changed that were looked at.
    pub changed: Vec<String>,
    /// How alerts stand with the companies that were looked at.
    pub standings: Vec<Stood>,
    /// What is to be told.
    pub messages: Vec<NewMessage>,
    /// All companies were looked at: the turn that was read before, and that of now.
    pub turn: Option<(Option<Turn>, Turn)>,
}

/// Something that is to be told to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Its id, the same with each try.
    pub id: String,
    /// The alert's name.
    pub alert: String,
    /// The target's name.
    pub target: String,
    /// What it is told for: of each occasion once.
    pub occasion: String,
    /// The visitor whom it is about, where it is about one.
    pub visitor: Option<VisitorId>,
    /// The company that it is about.
    pub company: Option<CompanyId>,
    /// The visitors who are named in it: with the last of them it goes when they are deleted, and says less before.
    pub named: Vec<VisitorId>,
    /// It in one line.
    pub headline: String,
    /// It as JSON ([`Told`](crate::signals::told::Told)).
    pub told: String,
    /// When that was decided, in milliseconds since 1970.
    pub at: i64,
}

/// What is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'c> {
    /// For whom.
    pub target: &'c str,
    /// The most messages.
    pub most: u32,
    /// The time, in milliseconds since 1970.
    pub now: i64,
    /// Who still holds a message then has ended: see [`recover`](AlertStore::recover).
    pub until: i64,
    /// Whether a message may arrive only once.
    pub once: bool,
    /// Where one alone may send to the target at a time: until then it is this one's turn, unless it ends it before.
    pub turn_until: Option<i64>,
}

/// The longest that a target is left alone, in milliseconds: somewhat more than the longest delay between two tries. A later time is that
/// of a clock that was wrong, and counts for nothing.
pub const LONGEST_REST: i64 = 23 * 60 * 1000;

/// Until when a target is left alone by everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Until when it would have been one's turn, which ends with this.
    pub turn_until: Option<i64>,
    /// In milliseconds since 1970.
    pub until: i64,
}

impl Rest {
    /// The rest that goes with what came of a try.
    pub(super) fn with(rest: Option<Self>, settled: &Settled) -> Option<Self> {
        let Settled::Later { at, .. } = settled else { return rest };
        let rest = rest.unwrap_or(Self { turn_until: None, until: *at });
        Some(Self { until: rest.until.max(*at), ..rest })
    }
}

/// A message in one's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its id.
    pub id: String,
    /// It as JSON.
    pub told: String,
    /// When it was decided to tell it.
    pub at: i64,
    /// How often it was tried, this time too.
    pub tries: u32,
    /// The visitor whom it is about, where it is about one.
    pub visitor: Option<VisitorId>,
    /// Whether it goes by itself.
    pub alone: bool,
}

/// Of messages that may go together, oldest first, those that do: one that was refused with others goes by itself, since it may have
/// been refused for the sake of one of them.
pub(super) fn alone_or_together(claimed: &mut Vec<Claimed>) {
    if claimed.first().is_some_and(|first| first.alone) {
        claimed.truncate(1);
    } else {
        claimed.retain(|one| !one.alone);
    }
}

/// What is told without who did what: who was named in it is gone, and the others are told all the same. Nothing where it cannot be read.
pub(super) fn without_deeds(told: &str) -> Option<String> {
    let mut told: serde_json::Map<String, serde_json::Value> = serde_json::from_str(told).ok()?;
    told.insert("deeds".to_owned(), serde_json::Value::Array(Vec::new()));
    serde_json::to_string(&told).ok()
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It arrived.
    Sent {
        /// When.
        at: i64,
    },
    /// Nobody knows whether it arrived, and it is not sent again.
    Unknown {
        /// What happened.
        reason: String,
    },
    /// It is tried again, with all that is due for the target not before `at`.
    Later {
        /// What happened.
        reason: String,
        /// When.
        at: i64,
        /// Whether each goes by itself from now on.
        alone: bool,
    },
    /// There is nobody left to tell.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It never will arrive as it is.
    Dead {
        /// Why.
        reason: String,
    },
}

impl Settled {
    /// Whether each message goes by itself from now on.
    pub(super) fn is_alone(&self) -> bool {
        matches!(self, Self::Later { alone: true, .. })
    }
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// It waits for its turn, or for the end of its delay.
    Due,
    /// Somebody is sending it.
    Sending,
    /// It arrived.
    Sent,
    /// It may have arrived, and is not sent again.
    Unknown,
    /// There was nobody left to tell when its turn came.
    Skipped,
    /// It was given up.
    Dead,
}

impl MessageState {
    /// The name in the store and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
            Self::Dead => "dead",
        }
    }

    /// The state that has a name in the store.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let all = [Self::Due, Self::Sending, Self::Sent, Self::Unknown, Self::Skipped, Self::Dead];
        all.into_iter().find(|state| state.name() == name)
    }
}

/// A message as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredMessage {
    /// Its id.
    pub id: String,
    /// The alert's name.
    pub alert: String,
    /// The target's name.
    pub target: String,
    /// It in one line.
    pub headline: String,
    /// The company that it is about.
    pub company: Option<CompanyId>,
    /// When it was decided to tell it.
    pub at: String,
    /// Where it is.
    pub state: MessageState,
    /// How often it was tried.
    pub tries: u32,
    /// What happened at the last try, where it did not arrive.
    pub reason: Option<String>,
    /// When it is tried next, or when it arrived.
    pub when: Option<String>,
}
