//! What a person decides of an id, and what comes of it.

use thiserror::Error;

pub use crate::identity::{Decision, Refused};

/// Why a decision was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Undone {
    /// Nothing is known of the id, or of the one that it shall belong to.
    #[error("no such id")]
    Unknown,
    /// It cannot be decided so.
    #[error(transparent)]
    Refused(#[from] Refused),
}
