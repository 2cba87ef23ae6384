//! Where parameters come from.

use std::future::Future;

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::InvalidSettings;

/// One parameter of the tree. Its `Debug` shows its name alone, and its value is wiped from memory when it is dropped.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name relative to the tree's root: `public-api-key`, `mappings/checkout`.
    pub name: String,
    value: SecretString,
}

impl Parameter {
    /// A parameter with its value, decrypted.
    pub fn new(name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// Its value, decrypted.
    #[must_use]
    pub fn value(&self) -> &str {
        self.value.expose_secret()
    }
}

/// A tree of parameters that can be read: Parameter Store, or a directory.
pub trait ParameterSource: Send + Sync {
    /// The whole tree, values decrypted.
    ///
    /// # Errors
    /// When the tree cannot be read now; the caller goes on with the last good settings if it has some.
    fn read(&self) -> impl Future<Output = Result<Vec<Parameter>, SourceError>> + Send;
}

/// What a tree of parameters says once it was validated: the destination's part, or the collector's.
pub trait ParameterTree: Sized + Send + Sync {
    /// Validates the whole tree.
    ///
    /// # Errors
    /// With every problem in it, each under the name of its parameter. Values of secrets are never repeated.
    fn from_parameters(parameters: &[Parameter]) -> Result<Self, InvalidSettings>;
}

/// The tree could not be read.
#[derive(Debug, Error)]
#[error("the parameters at {place} cannot be read: {reason}")]
pub struct SourceError {
    /// The tree's root.
    pub place: String,
    /// What the source says, without any value.
    pub reason: String,
}
