//! Whose requests are taken.

use async_trait::async_trait;
use koala_destination::settings::{ParameterSource, SettingsCache};
use thiserror::Error;

/// Knows the public API keys of the workspace.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Whether the key is of this workspace.
    async fn knows(&self, key: &str) -> Result<bool, KeysUnavailable>;
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
