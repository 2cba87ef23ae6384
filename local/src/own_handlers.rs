//! How the collector in here knows the deliveries of this process: by a token that is made with it and never leaves it.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use axum::http::HeaderValue;
use koala_collector::protocol::keys::{Keys, KeysUnavailable};
use koala_destination::settings::{SettingsCache, Token};
use secrecy::{ExposeSecret, SecretString};

use crate::parameter_directory::ParameterDirectory;

/// 128 bits cannot be guessed.
const TOKEN_BYTES: usize = 16;

/// The keys of the workspace, and the token of this process's deliveries.
pub struct OwnHandlers {
    settings: Arc<SettingsCache<ParameterDirectory>>,
    written: SecretString,
    token: Token,
}

impl OwnHandlers {
    /// Makes a token.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(settings: Arc<SettingsCache<ParameterDirectory>>) -> Result<Self> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let written = hex::encode(bytes);
        let token = Token::parse(&written).context("an empty token")?;
        Ok(Self { settings, written: written.into(), token })
    }

    /// The token as a delivery shows it.
    pub fn token(&self) -> Result<HeaderValue> {
        Ok(HeaderValue::from_str(self.written.expose_secret())?)
    }
}

#[async_trait]
impl Keys for OwnHandlers {
    async fn knows(&self, key: &str) -> Result<bool, KeysUnavailable> {
        self.settings.knows(key).await
    }

    async fn is_of_own_handlers(&self, token: &str) -> Result<bool, KeysUnavailable> {
        Ok(self.token.is(token.as_bytes()))
    }
}
