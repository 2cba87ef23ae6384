//! Which collector is at the other end.

use std::str::FromStr;

use thiserror::Error;

/// Which of the two a collector is: they differ in what they understand beyond Koala's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CollectorKind {
    /// Ours: it resolves who is who itself, and knows page views, companies and aliases.
    Own,
    /// Koala's, or another that holds to Koala's guide and to nothing else.
    Koala,
}

/// A text that names neither.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("is {0:?}; own (a collector of this project) or koala (any other) is expected")]
pub struct UnknownCollectorKind(String);

impl FromStr for CollectorKind {
    type Err = UnknownCollectorKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "own" => Ok(Self::Own),
            "koala" => Ok(Self::Koala),
            _ => Err(UnknownCollectorKind(text.to_owned())),
        }
    }
}
