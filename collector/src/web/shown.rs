//! What a pipeline shows the same way whatever its queues are: settings, and events that were kept.

use koala_destination::segment::Mapping;
use koala_destination::settings::{ParameterSource, Problem, Settings, SettingsCache};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::intake::{Install, ReceivedTally, RejectedEvent, WebhookAddress};
use crate::settings::CollectorSettingsCache;

/// The most bytes of an event that are shown.
const MOST_SHOWN: usize = 8 * 1024;

/// The event of a message as intake wrote it, or its beginning, and how many bytes it has. A message that cannot be read is shown as
/// it is.
#[must_use]
pub fn event_of_message(body: &str) -> (String, usize) {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Message<'a> {
        #[serde(borrow)]
        event: Option<&'a RawValue>,
    }
    let message: Message<'_> = serde_json::from_str(body).unwrap_or_default();
    let event = message.event.map_or(body, RawValue::get);
    (beginning(event), event.len())
}

fn beginning(event: &str) -> String {
    event[..event.floor_char_boundary(MOST_SHOWN)].to_owned()
}

impl RejectedEvent {
    /// Reads a message as intake keeps a rejected event: whole, or its beginning as text.
    #[must_use]
    pub fn of_message(body: &str) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Kept<'a> {
            reason: String,
            received_at: String,
            #[serde(borrow)]
            event: Option<&'a RawValue>,
            beginning: String,
        }
        let kept: Kept<'_> = serde_json::from_str(body)
            .unwrap_or_else(|_| Kept { reason: "the message is damaged".to_owned(), ..Kept::default() });
        let event = kept.event.map_or(&*kept.beginning, RawValue::get);
        Self { reason: kept.reason, received_at: kept.received_at, event: beginning(event), bytes: event.len() }
    }
}

impl Install {
    /// What the settings say, with where to send and what came in.
    #[must_use]
    pub fn of(
        settings: &Settings,
        webhook: WebhookAddress,
        delivers_to: Option<String>,
        received: Vec<ReceivedTally>,
    ) -> Self {
        let credentials = settings.credentials();
        let named = [
            ("webhook-secret", credentials.webhook_secrets.is_empty()),
            ("bearer-token", credentials.bearer_tokens.is_empty()),
            ("write-keys", credentials.write_keys.is_empty()),
        ];
        Self {
            webhook,
            public_api_key: settings.public_api_key().masked(),
            credentials: named.into_iter().filter(|(_, is_empty)| !is_empty).map(|(name, _)| name).collect(),
            delivers_to,
            received,
        }
    }
}

/// All mappings by name, presets that are off as well.
#[must_use]
pub fn mappings_by_name(settings: &Settings) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = settings.mappings().iter().chain(settings.presets_off()).cloned().collect();
    mappings.sort_by(|a, b| a.name().cmp(b.name()));
    mappings
}

/// What is wrong with the destination's parameters and with the collector's, as they are now.
pub async fn problems_of<S: ParameterSource>(
    destination: &SettingsCache<S>,
    collector: &CollectorSettingsCache<S>,
) -> (Vec<Problem>, Vec<Problem>) {
    // Read again where they are due; what cannot be read is among the problems.
    let of_destination = match destination.current().await {
        Ok(_) | Err(_) => destination.problems(),
    };
    let of_collector = match collector.current().await {
        Ok(settings) => [collector.problems(), settings.problems().to_vec()].concat(),
        Err(_) => collector.problems(),
    };
    (of_destination, of_collector)
}
