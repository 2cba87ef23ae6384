//! Whose requests are taken.

use async_trait::async_trait;
use koala_destination::settings::{ParameterSource, SettingsCache};
use thiserror::Error;

/// Knows the public API keys of the workspace.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Whether the key is of this workspace.
    async fn knows(&self, key: &str) -> Result<bool, KeysUnavailable>;

    /// Whether requests are taken from who shows this token, or none: a collector may be for the stack's own handlers alone.
    async fn admits(&self, _token: Option<&str>) -> Result<bool, KeysUnavailable> {
        Ok(true)
    }

    /// Whether a request with this token is of the stack's own handlers, which are believed when they say when intake took an
    /// event. Anybody else could claim to have been first.
    async fn is_of_own_handlers(&self, _token: &str) -> Result<bool, KeysUnavailable> {
        Ok(false)
    }
}

/// The keys cannot be read now.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct KeysUnavailable(pub String);

#[async_trait]
impl<S: ParameterSource> Keys for SettingsCache<S> {
    async fn knows(&self, key: &str) -> Result<bool, KeysUnavailable> {
        let settings = self.current().await.map_err(|error| KeysUnavailable(error.to_string()))?;
        Ok(settings.public_api_key().as_str() == key)
    }
}
