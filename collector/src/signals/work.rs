//! Alerts at work: what changed is looked at, and what is due is sent, round after round.

use std::sync::Arc;

use koala_destination::clock::now_milliseconds;
use koala_destination::settings::ParameterSource;

use super::deliver::Deliver;
use super::watch::Watch;
use crate::settings::CollectorSettingsCache;
use crate::store::StoreError;

/// The watch and the sender, kept to the settings.
pub struct SignalsWork<S> {
    settings: Arc<CollectorSettingsCache<S>>,
    watch: Watch,
    deliver: Deliver,
}

impl<S: ParameterSource> SignalsWork<S> {
    /// Work that has yet to begin.
    pub fn new(settings: Arc<CollectorSettingsCache<S>>, watch: Watch, deliver: Deliver) -> Self {
        Self { settings, watch, deliver }
    }

    /// Looks at what changed, and begins to send what is due. Gives back whether more is to be looked at now.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn round(&mut self) -> Result<bool, StoreError> {
        // Settings that cannot be read now: what changed waits.
        let Ok(settings) = self.settings.current().await else { return Ok(false) };
        let looked = self.watch.round(settings.signals(), now_milliseconds()).await;
        // What is due is sent also when nothing can be looked at. By the time of now: others beside this one go by it.
        self.deliver.round(settings.signals(), now_milliseconds()).await?;
        looked
    }

    /// Whether messages are due, or something is to be looked at, now or in a moment.
    ///
    /// # Errors
    /// When the store or the settings cannot be read.
    pub async fn is_any_due(&self) -> Result<bool, StoreError> {
        let Ok(settings) = self.settings.current().await else { return Ok(false) };
        let (signals, now) = (settings.signals(), now_milliseconds());
        Ok(self.deliver.is_any_due(signals, now).await? || self.watch.is_any_unsettled(signals, now).await?)
    }

    /// Waits for what is on its way.
    pub async fn finish(&mut self) {
        self.deliver.finish().await;
    }
}
