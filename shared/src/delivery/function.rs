//! The delivery of one function: its settings, its collector, and how it goes on.

use std::sync::Arc;

use tokio::sync::watch;

use super::breaker::Breaker;
use super::{DeliveryOptions, Outcome, ReceivedMessage};
use crate::koala::Collector;
use crate::segment::Function;
use crate::settings::{ParameterSource, SettingsCache};

/// The delivery of one function.
#[derive(Debug)]
pub struct Delivery<S, C> {
    pub(super) function: Function,
    pub(super) settings: Arc<SettingsCache<S>>,
    pub(super) collector: C,
    pub(super) options: DeliveryOptions,
    pub(super) breaker: Breaker,
    pub(super) stopping: watch::Sender<bool>,
}

impl<S: ParameterSource, C: Collector> Delivery<S, C> {
    /// Delivery of what comes to `function` to `collector`.
    pub fn new(function: Function, settings: Arc<SettingsCache<S>>, collector: C, options: DeliveryOptions) -> Self {
        let breaker = Breaker::new(options.retry.first_delay);
        let stopping = watch::Sender::new(false);
        Self { function, settings, collector, options, breaker, stopping }
    }

    /// Begins no further request: what is under way ends, all else is retried after the next start.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// The function whose queue it serves.
    #[must_use]
    pub fn function(&self) -> Function {
        self.function
    }

    /// What has to be retried together, by place: one delay, so that it comes back together.
    pub(super) fn retry(
        &self,
        messages: &[ReceivedMessage<'_>],
        places: impl Iterator<Item = usize>,
        reason: &str,
        retry_after: Option<std::time::Duration>,
    ) -> Vec<(usize, Outcome)> {
        let places: Vec<usize> = places.collect();
        let receive_count = places.iter().map(|at| messages[*at].receive_count).max().unwrap_or(1);
        let after = self.options.retry.delay_of_visitor(receive_count, retry_after, fastrand::f64());
        places.into_iter().map(|at| (at, Outcome::Retry { reason: reason.to_owned(), after })).collect()
    }
}
