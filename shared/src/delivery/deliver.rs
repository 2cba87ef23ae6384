//! A batch of messages in, one outcome for each out.

use std::sync::Mutex;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::ledger::Ledger;
use super::{CollectorRequests, Delivery, Outcome, Outcomes, ReceivedMessage, group, send};
use crate::koala::Collector;
use crate::settings::ParameterSource;

impl<S: ParameterSource, C: Collector> Delivery<S, C> {
    /// Delivers a batch; tells `observer` each message's outcome as soon as it is known, and gives back all of them in the
    /// order of `messages`. Nothing is begun that cannot end before `deadline`. What the collector was asked for it is counted in
    /// `requests`.
    pub async fn deliver(
        &self,
        messages: &[ReceivedMessage<'_>],
        deadline: Instant,
        requests: &Mutex<CollectorRequests>,
        observer: &impl Outcomes,
    ) -> Vec<Outcome> {
        let ledger = Ledger::new(messages.len(), observer);
        let settings = match self.settings.current().await {
            Ok(settings) => settings,
            Err(error) => {
                tracing::error!(function = self.function.name(), %error, "no settings; the batch goes back to the queue");
                let all = 0..messages.len();
                ledger.settle(self.retry(messages, all, "no settings", None)).await;
                return self.whole(messages, ledger);
            }
        };
        let (prepared, settings) = self.prepare(messages, settings, &ledger).await;
        let groups = group::by_subject(prepared.entries);

        // Futures do nothing until they are polled: collected first, so that none borrows the iterator.
        let traces = &prepared.traces;
        let batch = send::Context { settings: &settings, messages, traces, deadline, requests, ledger: &ledger };
        let sends: Vec<_> = groups.iter().map(|group| self.send_group(group, batch)).collect();
        stream::iter(sends).buffer_unordered(self.options.concurrent_requests.max(1)).collect::<()>().await;

        let copies = prepared.copies.into_iter();
        ledger.settle(copies.filter_map(|(index, first)| Some((index, ledger.outcome(first)?))).collect()).await;
        self.whole(messages, ledger)
    }

    fn whole<O: Outcomes>(&self, messages: &[ReceivedMessage<'_>], ledger: Ledger<'_, O>) -> Vec<Outcome> {
        let outcomes = ledger.into_outcomes().into_iter().enumerate();
        let retried = |at: usize| self.retry(messages, std::iter::once(at), "not reached", None).remove(0).1;
        outcomes.map(|(at, outcome)| outcome.unwrap_or_else(|| retried(at))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::delivery::{DeliveryOptions, RetryPolicy, prepare};
    use crate::koala::{EntryOptions, Route, SendError};
    use crate::message::{self, Origin};
    use crate::segment::{Action, Event, Function, Mapping};
    use crate::settings::{Parameter, PublicApiKey, SettingsCache, SourceError};

    struct OneKey;

    impl ParameterSource for OneKey {
        async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
            Ok(vec![Parameter::new("public-api-key", "pk_1")])
        }
    }

    struct TakesAll;

    impl Collector for TakesAll {
        async fn send(&self, _: &PublicApiKey, _: Route, _: Bytes) -> Result<(), SendError> {
            Ok(())
        }
    }

    /// The outcomes of bodies, and what the collector was sent.
    async fn outcomes(bodies: &[&str]) -> (Vec<Outcome>, Vec<serde_json::Value>) {
        let settings = Arc::new(SettingsCache::new(OneKey, Duration::from_mins(5)));
        let retry = RetryPolicy { first_delay: Duration::from_secs(30), longest_delay: Duration::from_mins(15) };
        let options = DeliveryOptions { entry: EntryOptions::default(), retry, concurrent_requests: 1 };
        let keeps = Keeps::default();
        let delivery = Delivery::new(Function::TrackEvent, settings, &keeps, options);
        let messages: Vec<ReceivedMessage<'_>> =
            bodies.iter().map(|body| ReceivedMessage { id: "1", receipt: "1", body, receive_count: 1 }).collect();
        let outcomes =
            delivery.deliver(&messages, Instant::now() + Duration::from_secs(30), &Mutex::default(), &()).await;
        let bodies = keeps.0.lock().expect("a lock").clone();
        (outcomes, bodies.iter().map(|body| serde_json::from_slice(body).expect("strict JSON")).collect())
    }

    #[derive(Default)]
    struct Keeps(Mutex<Vec<Bytes>>);

    impl Collector for &Keeps {
        async fn send(&self, _: &PublicApiKey, _: Route, body: Bytes) -> Result<(), SendError> {
            self.0.lock().expect("a lock").push(body);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_message_of_a_newer_version_is_retried_and_its_neighbours_are_delivered() {
        let body = |v: u64| {
            format!(
                r#"{{"v":{v},"mapping":"track-event","received_at":"2026-01-01T00:00:00.000Z","event":{{"type":"track","event":"A","userId":"u"}}}}"#
            )
        };
        let of_another_form = r#"{"events":[{"type":"track"}],"v":7}"#;
        let (outcomes, sent) = outcomes(&[&body(1), &body(2), of_another_form, r#"{"v":"x"}"#]).await;
        assert_eq!(outcomes[0], Outcome::Delivered);
        assert!(matches!(&outcomes[1], Outcome::Retry { reason, .. } if reason.contains("version 2")), "{outcomes:?}");
        assert!(matches!(&outcomes[2], Outcome::Retry { reason, .. } if reason.contains("version 7")), "{outcomes:?}");
        assert!(matches!(&outcomes[3], Outcome::Dead(_)), "{outcomes:?}");
        assert_eq!(sent.len(), 1);
    }

    #[tokio::test]
    async fn an_event_without_an_id_is_delivered_under_that_of_its_message_each_time() {
        let event = Event::parse(r#"{"type":"track","event":"A","userId":"u"}"#).expect("an event");
        let origin = |place| Origin { request_id: "r-1", place, ..Origin::default() };
        let body = |place| message::accepted(&event, &Mapping::preset(Action::TrackEvent), false, origin(place)).body;
        let mut ids = Vec::new();
        for place in [0, 1, 0] {
            let (_, sent) = outcomes(&[&body(place)]).await;
            ids.push(sent[0]["events"][0]["message_id"].as_str().expect("an id").to_owned());
        }
        assert_eq!(ids[0], ids[2]);
        assert_ne!(ids[0], ids[1]);
    }

    /// Intake takes out what is half a surrogate pair; a message may have been written by another hand.
    #[tokio::test]
    async fn a_collector_is_sent_nothing_that_a_strict_parser_refuses() {
        let message = |event: &str| {
            format!(r#"{{"mapping":"track-event","received_at":"2026-01-01T00:00:00.000Z","event":{event}}}"#)
        };
        let cut = r#"{"type":"track","event":"A\ud83d","userId":"u\ud83d","properties":{"k\ud83d":"\udc00"},"context":{"a":"\ud83d"}}"#;
        let large = r#"{"type":"track","event":"A","userId":"v","properties":{"n":1e999}}"#;
        let (outcomes, sent) = outcomes(&[&message(cut), &message(large)]).await;
        assert_eq!(outcomes[0], Outcome::Delivered);
        assert!(matches!(&outcomes[1], Outcome::Dead(dead) if dead.reason.contains("properties.n")), "{outcomes:?}");
        let entry = &sent[0]["events"][0];
        assert_eq!((&entry["event"], &entry["properties"]["k\u{fffd}"]), (&"A\u{fffd}".into(), &"\u{fffd}".into()));
    }

    /// Caught for that message alone; a dead letter with the reason; its neighbours go through.
    #[tokio::test]
    async fn a_panic_while_one_message_is_handled_is_that_messages_alone() {
        let settings = Arc::new(SettingsCache::new(OneKey, Duration::from_mins(5)));
        let options = DeliveryOptions {
            entry: EntryOptions::default(),
            retry: RetryPolicy { first_delay: Duration::from_secs(30), longest_delay: Duration::from_mins(15) },
            concurrent_requests: 8,
        };
        let delivery = Delivery::new(Function::TrackEvent, settings, TakesAll, options);
        let event = r#"{"type":"track","messageId":"m-1","event":"Signed Up","userId":"u-1"}"#;
        let event = Event::parse(event).expect("an event");
        let good = message::accepted(&event, &Mapping::preset(Action::TrackEvent), false, Origin::default());
        let bodies = [good.body.as_str(), prepare::PANICS];
        let messages: Vec<ReceivedMessage<'_>> =
            bodies.iter().map(|body| ReceivedMessage { id: "1", receipt: "1", body, receive_count: 1 }).collect();
        let deadline = Instant::now() + Duration::from_secs(30);
        let outcomes = delivery.deliver(&messages, deadline, &Mutex::default(), &()).await;
        assert_eq!(outcomes[0], Outcome::Delivered);
        assert!(matches!(&outcomes[1], Outcome::Dead(dead) if dead.reason.contains("panicked")), "{outcomes:?}");
    }
}
