//! What stands in an archive: what was said and decided, and nothing that is made from it. Rows are named by what they are of, never by
//! their numbers, which are each store's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of archives that is written; it is 1 as long as an older reader reads all of it rightly.
pub const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the archive.
    pub koala_archive: u32,
    /// When it was made.
    pub at: String,
}

/// The last line: what has none was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// How many records stand before it.
    pub records: u64,
}

/// A line in between.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// What makes the hashes of tombstones: without it nobody who was deleted would be known again.
    TombstoneKey(String),
    /// An id, before anything that names it.
    Identity(IdentityRecord),
    /// What is known of an id besides its entries.
    About(Box<AboutRecord>),
    /// What requests about companies alone, or group calls, say of a company.
    Company(CompanyRecord),
    /// What a request about companies alone says belongs together.
    Said(SaidRecord),
    /// An entry.
    Entry(EntryRecord),
    /// Keeps an id of somebody who was deleted away: its hash, the time, and whether it was asked for by itself.
    Tombstone(String, i64, bool),
    /// A deletion that was asked for.
    Deletion(Box<DeletionRecord>),
}

/// The name of an id: its kind and its value.
pub type IdName = (String, String);

/// A row of an id. Those that were known first come first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRecord {
    /// Its kind and its value.
    pub id: IdName,
    /// The earliest time as of which an event was filed under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_at: Option<i64>,
    /// `attached`, `detached` or `blocked`, by a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// When it was seen first and last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<(i64, i64)>,
}

/// What is known of an id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AboutRecord {
    /// Its kind and its value.
    pub id: IdName,
    /// Whom it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<IdName>,
    /// Whom it claims: the owner, the claim's rank and time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<(IdName, i64, i64)>,
    /// What people decided: when, what, and to whom.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<(i64, String, Option<IdName>)>,
    /// Traits: JSON, and when it was said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traits: BTreeMap<String, (String, i64)>,
    /// What was said of companies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<SaidRecord>,
    /// The company whose network the address was of, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guess: Option<(String, i64)>,
}

impl AboutRecord {
    /// Whether it says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { id: self.id.clone(), ..Self::default() }
    }
}

/// What was given together of a company; empty where it was not said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SaidRecord {
    /// Its domain.
    pub domain: String,
    /// A group call's id of it.
    pub group: String,
    /// Its name in lower case, and as it was written first.
    pub name: String,
    /// The name as it was written first.
    pub written: String,
    /// Whether a group call said so.
    pub by_group_call: bool,
    /// The earliest time as of which it was said.
    pub at: i64,
}

/// An identity of a company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanyRecord {
    /// `domain`, `group` or `name`, and its value.
    pub id: IdName,
    /// Whether a request about companies alone told of it.
    pub is_told: bool,
    /// Traits: JSON, and when it was said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traits: BTreeMap<String, (String, i64)>,
}

/// An entry as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRecord {
    /// The id that it is filed under.
    pub of: IdName,
    /// `event`, `identify` or `page_view`.
    pub kind: String,
    /// An event's name, or a page's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// When it happened.
    pub at: i64,
    /// The text of it, byte for byte.
    pub json: String,
}

/// A deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionRecord {
    /// What it was answered with.
    pub id: String,
    /// When it was asked for.
    pub requested_at: i64,
    /// When the queues had nothing of it any more.
    pub forgotten_at: Option<i64>,
    /// When nothing was left.
    pub completed_at: Option<i64>,
    /// How many visitors, entries and messages it was.
    pub counts: [i64; 3],
    /// How many visitors say an address that was asked for, and stay.
    #[serde(default)]
    pub others: i64,
    /// The ids that queues are looked through for: when each was deleted, and whether it was asked for by itself.
    pub departed: Vec<(IdName, i64, bool)>,
}

impl Record {
    /// About how many rows it is in a store.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::About(about) => {
                2 + about.claims.len() + about.decisions.len() + about.traits.len() + about.said.len()
            }
            Self::Company(company) => 2 + company.traits.len(),
            // What it is about, where it came from, how often either was, and its id.
            Self::Entry(_) => 6,
            Self::Deletion(deletion) => 1 + deletion.departed.len(),
            Self::TombstoneKey(_) | Self::Identity(_) | Self::Said(_) | Self::Tombstone(..) => 2,
        }
    }
}
