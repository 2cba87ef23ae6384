//! What people did: who was deleted, which ids were split off, joined or blocked, when, and by which token.
//!
//! No id stands in it, so that a person who is deleted leaves nothing: an id is its kind and a hash of it under the key of the
//! installation, as [tombstones](crate::tombstone) are. It is kept as long as data is.

use std::fmt;

use koala_destination::ids::Id;
use serde::Serialize;

use crate::credentials::fingerprint::Fingerprint;
use crate::identity::Decision;
use crate::tombstone::TombstoneKey;

/// How many digits of a hash tell ids from each other.
const DIGITS_OF_A_HASH: usize = 16;

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Actor {
    /// The token that they have; none where none is asked for.
    pub token: Option<Fingerprint>,
}

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// People were deleted.
    Deleted,
    /// An id was split off its visitor.
    Split,
    /// An id was joined to another one.
    Joined,
    /// An id was said to be nobody's.
    Blocked,
}

impl What {
    /// All of them.
    const ALL: [Self; 4] = [Self::Deleted, Self::Split, Self::Joined, Self::Blocked];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Split => "split",
            Self::Joined => "joined",
            Self::Blocked => "blocked",
        }
    }

    /// The one of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.name() == name)
    }

    /// What a decision is.
    #[must_use]
    pub fn of(decision: &Decision) -> Self {
        match decision {
            Decision::Attach { .. } => Self::Joined,
            Decision::Detach { .. } => Self::Split,
            Decision::Block { .. } => Self::Blocked,
        }
    }
}

/// An id of which only a hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HashedId {
    /// `user`, `email` or `device`.
    pub kind: String,
    /// The first digits of its HMAC-SHA256 under the key of the installation.
    pub hash: String,
}

impl HashedId {
    /// What is kept of an id.
    #[must_use]
    pub fn of(id: &Id, key: &TombstoneKey) -> Self {
        let hash = hex::encode(key.hash(id));
        Self { kind: id.kind().name().to_owned(), hash: hash.chars().take(DIGITS_OF_A_HASH).collect() }
    }

    /// One that was kept.
    pub(super) fn kept(kind: Option<String>, hash: Option<String>) -> Option<Self> {
        kind.zip(hash).map(|(kind, hash)| Self { kind, hash })
    }
}

/// Something that somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// Its place.
    #[serde(skip)]
    pub cursor: HistoryCursor,
    /// When.
    pub at: String,
    /// What.
    pub what: What,
    /// The fingerprint of the token; none where none was asked for.
    pub token: Option<String>,
    /// The id that it is about.
    pub id: Option<HashedId>,
    /// The id that it was joined to.
    pub to: Option<HashedId>,
    /// The deletion.
    pub deletion_request_id: Option<String>,
    /// How many visitors were deleted.
    pub visitors: Option<u64>,
}

/// A place in the history; older deeds are behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryCursor(pub(super) i64);

impl HistoryCursor {
    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number > 0).map(Self)
    }
}

impl fmt::Display for HistoryCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
