//! Intake: a request of Segment's, from its bytes to the answer.
//!
//! [`read`] is the decision, without I/O: is the request proven, which events are in it, which mappings take them.
//! [`handle`] puts I/O around it: settings before, the queue after.

mod answer;
mod outbox;
mod proof;
mod request;

use std::time::Duration;

use serde_json::value::RawValue;

pub use answer::{Answer, RejectedEvent};
pub use outbox::{Outbox, OutboxError};
pub use request::Request;

use crate::clock;
use crate::json::{self, Kind};
use crate::message::{self, OutgoingMessage};
use crate::segment::Event;
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
}

/// What a proven request brought.
#[derive(Debug, Default)]
pub struct Intake {
    /// What has to be durable before the answer may be 200.
    pub messages: Vec<OutgoingMessage>,
    /// How many events at least one mapping took.
    pub accepted: usize,
    /// How many events no enabled mapping took.
    pub skipped: usize,
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
    if let Some(refusal) = Answer::for_route(request) {
        return refusal;
    }
    let settings = match settings.current().await {
        Ok(settings) => settings,
        Err(error) => return Answer::settings_unavailable(&error),
    };
    let intake = match read(request, &settings, options) {
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
pub fn read(request: &Request<'_>, settings: &Settings, options: IntakeOptions) -> Result<Intake, Answer> {
    if request.body.len() > options.max_body_bytes {
        return Err(Answer::body_too_large(request.body.len(), options.max_body_bytes));
    }
    let body = serde_json::from_slice::<&RawValue>(request.body);
    let events = match &body {
        Ok(body) if json::kind((*body).into()) == Kind::Array => serde_json::from_str::<Vec<&RawValue>>(body.get()),
        Ok(body) => Ok(vec![*body]),
        Err(_) => Ok(Vec::new()),
    };
    // Who may not send at all is not told what is wrong with the body.
    let first_of_several = body
        .as_ref()
        .ok()
        .filter(|body| json::kind((**body).into()) == Kind::Array)
        .and_then(|_| events.as_ref().ok()?.first());
    proof::check(request, first_of_several.map(|event| event.get().as_bytes()), settings.proofs())?;
    body.map_err(|error| Answer::not_json(&error))?;
    let events = events.map_err(|error| Answer::not_json(&error))?;
    if events.is_empty() {
        return Err(Answer::no_event());
    }
    Ok(sort_out(&events, request, settings, options))
}

fn sort_out(events: &[&RawValue], request: &Request<'_>, settings: &Settings, options: IntakeOptions) -> Intake {
    let received_at = clock::now();
    let mut intake = Intake { messages: Vec::with_capacity(events.len()), ..Intake::default() };
    for (index, raw) in events.iter().enumerate() {
        let event = match Event::parse(raw) {
            Ok(event) => event,
            Err(error) => {
                let reason = error.to_string();
                intake.messages.push(message::rejected(raw, &reason, &received_at, request.id));
                intake.rejected.push(RejectedEvent::new(index, raw, reason));
                continue;
            }
        };
        if options.koala_pixel_installed && event.is_from_analytics_js() {
            intake.skipped += 1;
            continue;
        }
        let before = intake.messages.len();
        for (mapping, another) in settings.mappings_that_take(&event) {
            intake.messages.push(message::accepted(&event, mapping, another, &received_at, request.id));
        }
        if intake.messages.len() > before {
            intake.accepted += 1;
        } else {
            intake.skipped += 1;
        }
    }
    intake
}
