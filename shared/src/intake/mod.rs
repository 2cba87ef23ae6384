//! Intake: a request of Segment's or of one of its SDKs, from its bytes to the answer.
//!
//! [`read`] is the decision, without I/O: is the request proven, which events are in it, which mappings take them.
//! [`handle`] puts I/O around it: settings before, the queue after.

mod answer;
mod body;
mod bots;
mod outbox;
mod proof;
mod request;
mod route;
mod skip;
mod tracking;

use std::time::Duration;

pub use answer::{Answer, AnswerCounts, RejectedEvent};
pub use body::MOST_EVENTS;
pub use outbox::{Outbox, OutboxError};
pub use request::Request;
pub use route::Route;
pub use skip::{SkipCounts, SkipReason};

use self::body::Events;
use self::tracking::TrackingBody;
use crate::clock;
use crate::message::{self, Origin, OutgoingMessage};
use crate::segment::{self, Event, EventError};
use crate::settings::{ParameterSource, Settings, SettingsCache};

/// What intake may be told.
#[derive(Debug, Clone, Copy)]
pub struct IntakeOptions {
    /// An answer that takes longer is 503. Segment waits for 5 s
    /// (<https://segment.com/docs/connections/destinations/catalog/actions-webhook/>), a cold start included.
    pub answer_within: Duration,
    /// A larger body is refused unread.
    pub max_body_bytes: usize,
    /// Koala's own script runs in the visitor's browser too: events of analytics.js are skipped, since it has sent them.
    pub koala_pixel_installed: bool,
    /// Events of a visitor's browser or app get the address that they came from.
    pub forward_ip: bool,
    /// The consent categories that this destination is in; read once in a process's life.
    pub consent_categories: &'static [String],
}

/// What a proven request brought.
#[derive(Debug, Default)]
pub struct Intake {
    /// What has to be durable before the answer may be 200.
    pub messages: Vec<OutgoingMessage>,
    /// How many events at least one mapping took.
    pub accepted: usize,
    /// How many events were skipped, by the reason.
    pub skipped: SkipCounts,
    /// The events that can never be delivered, with their reasons.
    pub rejected: Vec<RejectedEvent>,
}

/// Takes a request in: the whole job of `dispatch`.
///
/// The answer is 200 only when every message is durable, 4xx only for what can never be right, and 503 for all that may
/// pass; it comes within `options.answer_within`.
pub async fn handle<S: ParameterSource, O: Outbox>(
    request: &Request<'_>,
    settings: &SettingsCache<S>,
    outbox: &O,
    options: IntakeOptions,
) -> Answer {
    let work = handle_in_time(request, settings, outbox, options);
    let answer = tokio::time::timeout(options.answer_within, work).await.unwrap_or_else(|_| Answer::too_slow());
    answer.log(request);
    answer
}

async fn handle_in_time<S: ParameterSource, O: Outbox>(
    request: &Request<'_>,
    settings: &SettingsCache<S>,
    outbox: &O,
    options: IntakeOptions,
) -> Answer {
    let route = match Route::of(request) {
        Ok(Route::Metrics) => return Answer::metrics(),
        Ok(route) => route,
        Err(answer) => return answer,
    };
    let settings = match settings.current().await {
        Ok(settings) => settings,
        Err(error) => return Answer::settings_unavailable(&error),
    };
    let intake = match read(request, route, &settings, options) {
        Ok(intake) => intake,
        Err(refusal) => return refusal,
    };
    if !intake.messages.is_empty()
        && let Err(error) = outbox.send(&intake.messages).await
    {
        return Answer::queue_unavailable(&error);
    }
    Answer::taken(&intake)
}

/// Decides on a request: the messages to send, or the answer that refuses it.
///
/// # Errors
/// With the refusal: too large, no proof, not JSON.
pub fn read(
    request: &Request<'_>,
    route: Route,
    settings: &Settings,
    options: IntakeOptions,
) -> Result<Intake, Answer> {
    let received_at = clock::now();
    let text = body::text(request, options.max_body_bytes)?;
    let origin = Origin { received_at: &received_at, request_id: request.id, trace_id: request.trace_id };
    let mut sorting = Sorting { settings, options, origin, intake: Intake::default() };
    match route {
        Route::Metrics => {}
        Route::Webhook => {
            let events = Events::of(&text);
            // Who may not send at all is not told what is wrong with the body.
            let first = events.as_ref().ok().and_then(Events::first_of_several);
            proof::of_webhook(request, &text, first, settings.proofs())?;
            let events = events.map_err(|error| Answer::not_json(&error.to_string()))?;
            for event in events.within_limit()? {
                sorting.take(event, Event::parse(event), false)?;
            }
        }
        Route::Event(_) | Route::Batch => {
            let body = TrackingBody::parse(&text, route);
            let write_key = body.as_ref().ok().and_then(TrackingBody::write_key);
            proof::of_sdk(request, write_key.as_deref(), settings.proofs())?;
            let body = body?;
            let additions = body.additions(request, &received_at, options.forward_ip);
            for event in body.events()? {
                let added = segment::fits(event).ok().and_then(|()| additions.to(event));
                let Some(added) = added else {
                    sorting.take(event, Event::parse(event), true)?;
                    continue;
                };
                match Event::from_json(&added) {
                    // As Segment does: what the person allows is looked at first, then where the sender wants it to go.
                    Ok(event)
                        if additions.is_for_others(event.fields())
                            && SkipReason::of(&event, &options, true) != Some(SkipReason::Consent) =>
                    {
                        sorting.intake.skipped.add(SkipReason::Integrations);
                    }
                    event => sorting.take(&added, event, true)?,
                }
            }
        }
    }
    Ok(sorting.intake)
}

/// Events of a request on their way into messages.
struct Sorting<'s> {
    settings: &'s Settings,
    options: IntakeOptions,
    origin: Origin<'s>,
    intake: Intake,
}

impl Sorting<'_> {
    /// Makes the messages of one event, or of its rejection.
    fn take(&mut self, json: &str, event: Result<Event<'_>, EventError>, from_sdk: bool) -> Result<(), Answer> {
        let Self { settings, options, origin, intake } = self;
        let event = match event {
            Ok(event) => event,
            // The elements of an array are JSON: this is a body of a single event.
            Err(EventError::NotJson(why)) => return Err(Answer::not_json(&why)),
            Err(error) => {
                let reason = error.to_string();
                intake.messages.push(message::rejected(json, &reason, *origin));
                let index = intake.accepted + intake.skipped.total() + intake.rejected.len();
                intake.rejected.push(RejectedEvent::new(index, json, reason));
                return Ok(());
            }
        };
        if let Some(reason) = SkipReason::of(&event, options, from_sdk) {
            intake.skipped.add(reason);
            return Ok(());
        }
        let before = intake.messages.len();
        for (mapping, another) in settings.mappings_that_take(&event) {
            intake.messages.push(message::accepted(&event, mapping, another, *origin));
        }
        if intake.messages.len() > before {
            intake.accepted += 1;
        } else {
            intake.skipped.add(SkipReason::NoMapping);
        }
        Ok(())
    }
}
