//! A company as a request about companies names it.

use serde_json::Value;

use super::domain::of_company;

/// A company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its domain, in lower case.
    pub domain: Option<String>,
    /// What a group call names it by, as it was written.
    pub group_id: Option<String>,
    /// Its name, as it was written.
    pub name: Option<String>,
}

/// The domain of a company that a text is, or that a URL leads to.
#[must_use]
pub fn domain_of(value: &Value) -> Option<String> {
    value.as_str().and_then(of_company)
}
