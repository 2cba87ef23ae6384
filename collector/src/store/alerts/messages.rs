//! Messages on their way to a target: as they are decided, claimed, settled and shown.

use serde::Serialize;

use crate::store::company::CompanyId;
use crate::store::visitor::VisitorId;

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
pub struct MessageClaim<'c> {
    /// For whom.
    pub target: &'c str,
    /// The most messages.
    pub most: u32,
    /// The time, in milliseconds since 1970.
    pub now: i64,
    /// Who still holds a message then has ended: see [`recover`](super::AlertStore::recover).
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
    pub(in crate::store) fn with(rest: Option<Self>, settled: &Settled) -> Option<Self> {
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
pub(in crate::store) fn alone_or_together(claimed: &mut Vec<Claimed>) {
    if claimed.first().is_some_and(|first| first.alone) {
        claimed.truncate(1);
    } else {
        claimed.retain(|one| !one.alone);
    }
}

/// What is told without who did what: who was named in it is gone, and the others are told all the same. Nothing where it cannot be read.
pub(in crate::store) fn without_deeds(told: &str) -> Option<String> {
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
    pub(in crate::store) fn is_alone(&self) -> bool {
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
