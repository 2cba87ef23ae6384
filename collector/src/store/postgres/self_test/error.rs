//! Why a database is not one for the collector.

use thiserror::Error;

use super::super::error::PostgresError;
use crate::store::StoreError;

/// Why a database is not one for the collector.
#[derive(Debug, Error)]
pub enum SelfTestError {
    /// It refuses a statement.
    #[error("{0}: {1}")]
    Refused(&'static str, PostgresError),
    /// The role may not do it.
    #[error("{what}: {why}; its owner lets the role do it: {grant}")]
    MayNot {
        /// What was tried.
        what: &'static str,
        /// What the server says.
        why: String,
        /// The statement that lets the role do it.
        grant: String,
    },
    /// It refuses what the store asks.
    #[error("{0}: {1}")]
    Store(&'static str, StoreError),
    /// It does otherwise than was counted on.
    #[error("{0}")]
    Otherwise(String),
}

impl SelfTestError {
    /// The statement that lets the role do what it may not.
    #[must_use]
    pub fn grant(&self) -> Option<&str> {
        match self {
            Self::MayNot { grant, .. } => Some(grant),
            _ => None,
        }
    }
}
