//! What is told, as it is kept until it was sent.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::signal::Signal;

/// One thing that is told. It is kept as JSON; fields may be added to it, and what another release wrote is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Told {
    /// A company or a visitor showed intent.
    Signal(Signal),
    /// What a week brought.
    Digest(Digest),
    /// Somebody asked whether messages arrive.
    Test {
        /// The alert's name.
        alert: String,
    },
}

impl Told {
    /// It in one line.
    #[must_use]
    pub fn headline(&self) -> String {
        match self {
            Self::Signal(message) => message.headline(),
            Self::Digest(digest) => digest.headline(),
            Self::Test { alert } => format!("Koala destination: a test of the alert {alert}"),
        }
    }

    /// The name of its alert.
    #[must_use]
    pub fn alert(&self) -> &str {
        match self {
            Self::Signal(message) => &message.alert,
            Self::Digest(digest) => &digest.alert,
            Self::Test { alert } => alert,
        }
    }
}
