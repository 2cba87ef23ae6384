//! Where parameters come from.

use std::future::Future;

use thiserror::Error;

/// One parameter of the tree.
#[derive(Clone)]
pub struct Parameter {
    /// Its name relative to the tree's root: `public-api-key`, `mappings/checkout`.
    pub name: String,
    /// Its value, decrypted.
    pub value: String,
}

/// A tree of parameters that can be read: Parameter Store, or a directory.
pub trait ParameterSource: Send + Sync {
    /// The whole tree, values decrypted.
    ///
    /// # Errors
    /// When the tree cannot be read now; the caller goes on with the last good settings if it has some.
    fn read(&self) -> impl Future<Output = Result<Vec<Parameter>, SourceError>> + Send;
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
