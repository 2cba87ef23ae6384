//! What is wrong with a trigger's text.

use thiserror::Error;

/// What is wrong with a trigger's text.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("at character {position}: expected {expected}")]
pub struct TriggerError {
    /// Where, counted in characters from 1.
    pub position: usize,
    /// What should stand there.
    pub expected: &'static str,
}
