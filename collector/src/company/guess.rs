//! A company that is guessed.

use serde::{Deserialize, Serialize};

/// A company that is guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guess {
    /// Its registrable domain.
    pub domain: String,
    /// The name that the source gives the network's owner. It never becomes the name of a company that is known otherwise.
    pub name: Option<String>,
}
