//! Alerts at work: what changed is looked at, and what is due is sent, round after round.

use std::sync::Arc;

use koala_destination::clock::now_milliseconds;
use tokio::time::Instant;

use super::configured::CurrentlyConfigured;
use super::deliver::Deliver;
use super::watch::Watch;
use crate::store::StoreError;

/// The watch and the sender, kept to the settings.
pub struct SignalsWork {
    settings: Arc<dyn CurrentlyConfigured>,
    watch: Watch,
    deliver: Deliver,
    /// When the last look began, in milliseconds since 1970.
    looked_at: i64,
    /// After which nothing more is sent.
    end: Option<Instant>,
}

impl SignalsWork {
    /// Work that has yet to begin.
    pub fn new(settings: Arc<dyn CurrentlyConfigured>, watch: Watch, deliver: Deliver) -> Self {
        Self { settings, watch, deliver, looked_at: 0, end: None }
    }

    /// The same for a process that ends soon: from then on nothing is begun.
    #[must_use]
    pub fn until(self, end: Instant) -> Self {
        Self { end: Some(end), ..self }
    }

    /// Looks at what changed, and begins to send what is due. Gives back whether more is to be looked at now.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn round(&mut self) -> Result<bool, StoreError> {
        // Settings that cannot be read now: what changed waits.
        let Some(configured) = self.settings.configured().await else { return Ok(false) };
        self.looked_at = now_milliseconds();
        let looked = self.watch.round(&configured, self.looked_at).await;
        if self.end.is_some_and(|end| Instant::now() >= end) {
            return looked;
        }
        // What is due is sent also when nothing can be looked at. By the time of now: others beside this one go by it.
        self.deliver.round(&configured, now_milliseconds()).await?;
        looked
    }

    /// Whether messages are due, or something is to be looked at, now or in a moment.
    ///
    /// # Errors
    /// When the store or the settings cannot be read.
    pub async fn is_any_due(&self) -> Result<bool, StoreError> {
        let Some(configured) = self.settings.configured().await else { return Ok(false) };
        let now = now_milliseconds();
        // What was unsettled when it was looked at last, and may have settled since, was left alone then.
        Ok(self.deliver.is_any_due(&configured, now).await?
            || self.watch.is_any_unsettled(&configured, self.looked_at).await?)
    }

    /// Waits for what is on its way.
    pub async fn finish(&mut self) {
        self.deliver.finish().await;
    }
}
