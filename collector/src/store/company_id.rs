//! What a company is known by outside an engine, and what a visitor is taken to be of one by.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A company's id, which means something to the engine alone. It stays when further domains, groups and names join; that of a
/// company that was merged with another leads to that one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CompanyId(String);

impl CompanyId {
    /// The id that an engine gave, or that an address names.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// As the engine wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CompanyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What it is by that somebody is taken to be of a company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CompanySource {
    /// Somebody said so: a trait, a group call, an address.
    Said,
    /// Nobody did: it is the company whose network an IP address is of. A guess.
    Network,
}
