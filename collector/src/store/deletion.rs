//! People whose data is to go, how far that is, and how long data is kept.
//!
//! Whom an id leads to, and who else is the same person:
//!
//! - **An address** leads to its visitor, and to those of the user ids whose events said it as their own, unless a person split
//!   it off or blocked it, or more than five said so: two accounts are never one visitor, and are one person where the address
//!   is asked for. It leads as well to whom it is said of as a trait `email`, in whatever letters, also where it is a role's (`info@…`),
//!   unless of more than five.
//! - **A user id or a device** leads to its visitor alone.
//!
//! All ids of these visitors go, with all that is filed under them, their traits, intent, claims and decisions. An id that a person
//! has blocked stays blocked, without anything under it, unless it was asked for by itself. What is filed under an id of
//! another visitor stays, whatever it says; and an address or a device that another visitor's own events have as theirs is that
//! one's now, as if the person had never been there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use koala_destination::clock::MILLISECONDS_OF_A_DAY;
use koala_destination::ids::{EventIds, Id, IdKind};
use serde::{Deserialize, Serialize};

use super::visitor::VisitorId;
use crate::tombstone::{Tombstone, Whose, whose};

/// How many user ids may say an address before it is no one's: as many as people may log in on a device.
pub const MOST_ACCOUNTS: usize = crate::identity::CROWD;

/// Whether a trait that is stored as JSON is an address, in whatever letters it was written.
pub(super) fn is_address(json: &str, email: &Id) -> bool {
    let text =
        serde_json::from_str::<&str>(json).map(Cow::Borrowed).or_else(|_| serde_json::from_str(json).map(Cow::Owned));
    text.is_ok_and(|text: Cow<'_, str>| Id::parse(IdKind::Email, &text).as_ref() == Some(email))
}

/// Whose data is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Person {
    /// Whoever an id leads to.
    Id(Id),
    /// This visitor, who may have no address.
    Visitor(VisitorId),
}

/// The id of a deletion: that of its request, and of the receipt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeletionId(String);

impl DeletionId {
    /// The id that an engine gave, or that an address names.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// A new one, that says nothing of whom it is about.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::from_u128(fastrand::u128(..)).to_string())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeletionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How far a deletion is. It repeats none of the ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deletion {
    /// Its id.
    #[serde(rename = "deletion_request_id")]
    pub id: DeletionId,
    /// Whether all of it is gone.
    pub status: DeletionStatus,
    /// When it was asked for. What was received by then does not come back.
    pub requested_at: String,
    /// When all of it was gone.
    pub completed_at: Option<String>,
    /// Visitors that there were.
    pub visitors: u64,
    /// Entries of theirs that are deleted.
    pub entries: u64,
    /// Messages of theirs that were deleted from queues, dead letters and rejected events.
    pub messages: u64,
    /// Visitors who say an address that was asked for, and stay, since more than five do or a person decided whose it is: as it was when
    /// the deletion was asked for. Who is to go as well is deleted by a user id.
    pub others: u64,
}

/// Whether a deletion is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionStatus {
    /// The people are gone from all that is shown; what was kept of them is being deleted.
    InProgress,
    /// Nothing is kept of them, in the store and in the queues of the local set.
    Completed,
}

/// People who are deleted, for whoever holds messages of theirs.
#[derive(Debug, Clone)]
pub struct Departed {
    /// Their deletion.
    pub id: DeletionId,
    /// Their ids.
    pub ids: HashMap<Id, Tombstone>,
}

impl Departed {
    /// Whose a message with these ids is, that was received at a time.
    #[must_use]
    pub fn whose(&self, ids: &EventIds, received_at: i64) -> Whose {
        whose(ids, received_at, |id| self.ids.get(id).copied(), |_| false)
    }
}

/// What was deleted of people's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// How many messages.
    pub messages: u64,
    /// Whether nothing of them is left; else it is looked for again.
    pub is_all: bool,
    /// How many ids of the deletion were looked for. Where it has more by now, they are looked for as well.
    pub ids: usize,
}

/// How long data is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    days: u32,
}

impl Retention {
    /// As many days.
    #[must_use]
    pub fn of_days(days: u32) -> Self {
        Self { days }
    }

    /// How many days.
    #[must_use]
    pub fn days(self) -> u32 {
        self.days
    }

    /// What is older than this is deleted, at a time in milliseconds since 1970.
    #[must_use]
    pub fn cutoff(self, now: i64) -> i64 {
        now - i64::from(self.days) * MILLISECONDS_OF_A_DAY
    }
}

/// How often the whole store is looked through for what is older than it may be.
pub const RETENTION_EVERY: Duration = Duration::from_hours(1);
