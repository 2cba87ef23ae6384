//! Intake: a request of Segment's or of one of its SDKs, from its bytes to the answer.
//!
//! [`handle`] has the I/O: the settings before, the queue after. Between them are decisions: are its credentials valid
//! (`credentials`), which events are in it (`body`, `tracking`), which mappings take them (`sorting`).
//!
//! Whatever is in a body, the work for it and the memory stay within a small multiple of it: nothing is kept of each field
//! of a body, what a batch shares is counted before it is copied, and messages go to the queue part by part.

mod answer;
mod body;
mod bots;
mod counts;
mod credentials;
mod figures;
mod options;
mod outbox;
mod received;
mod refusals;
mod request;
mod route;
mod shared_context;
mod skip;
mod sorting;
mod tracking;

pub use answer::Answer;
pub use body::MOST_EVENTS;
pub use counts::{AnswerCounts, EventRejection};
pub use options::IntakeOptions;
pub use outbox::{Outbox, OutboxError};
pub use received::{EventOutcome, EventTallyKey, EventType, ReceivedCounts};
pub use request::Request;
pub use route::IntakeRoute;
pub use skip::{ArrivedBy, SkipCounts, SkipReason};

use self::route::NoRoute;
use self::sorting::Sorting;
use self::tracking::TrackingBody;
use crate::clock;
use crate::json::without_lone_surrogates;
use crate::message::{Origin, OutgoingMessage};
use crate::settings::{ParameterSource, Settings, SettingsCache};

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
    let route = match IntakeRoute::of(request) {
        Ok(IntakeRoute::Metrics) => return Answer::metrics(),
        Ok(route) => route,
        Err(NoRoute::Preflight) => return Answer::preflight(),
        Err(NoRoute::Method) => return Answer::method_not_allowed(request.method),
        Err(NoRoute::Path) => return Answer::not_found(request.path),
    };
    let settings = match settings.current().await {
        Ok(settings) => settings,
        Err(error) => return Answer::settings_unavailable(&error),
    };
    match take(request, route, &settings, outbox, options).await {
        Ok(answer) | Err(answer) => answer,
    }
}

/// Takes the events of a request in, part by part: what waits for the queue stays small whatever the events come to.
async fn take<O: Outbox>(
    request: &Request<'_>,
    route: IntakeRoute,
    settings: &Settings,
    outbox: &O,
    options: IntakeOptions,
) -> Result<Answer, Answer> {
    let received_at = clock::now();
    let signed = body::text(request, options.max_body_bytes)?;
    let json = body::without_mark(&signed);
    let text = without_lone_surrogates(json);
    let origin = Origin { received_at: &received_at, request_id: request.id, trace_id: request.trace_id, place: 0 };
    let mut sorting = match route {
        IntakeRoute::Webhook => {
            // Who may not send at all is not told what is wrong with the body.
            credentials::of_webhook(request, &signed, body::first_of_several(json), settings.credentials())?;
            Sorting::new(settings, options, origin, body::events(&text)?, None)
        }
        IntakeRoute::Event(_) | IntakeRoute::Batch => {
            let body = TrackingBody::parse(&text, route);
            let write_key = body.as_ref().ok().and_then(TrackingBody::write_key);
            credentials::of_sdk(request, write_key.as_deref(), settings.credentials())?;
            let (events, mut additions) = body?.into_events()?;
            additions.ip = request.source_ip.filter(|_| options.forward_ip);
            // A body may be sent that is as large as this without any context, so that a small one may come to it.
            additions.copies_left = (3 * text.len()).max(options.max_body_bytes);
            Sorting::new(settings, options, origin, events, Some(additions))
        }
        IntakeRoute::Metrics => return Ok(Answer::metrics()),
    };
    let mut gathered = Vec::new();
    while let Some(messages) = sorting.next_messages()? {
        gathered.extend(messages);
        if !O::IS_ATOMIC {
            send(outbox, &std::mem::take(&mut gathered)).await?;
        }
    }
    send(outbox, &gathered).await?;
    let sorted = sorting.end();
    Ok(Answer::taken(sorted.counts, &sorted.rejected))
}

async fn send<O: Outbox>(outbox: &O, messages: &[OutgoingMessage]) -> Result<(), Answer> {
    if messages.is_empty() {
        return Ok(());
    }
    outbox.send(messages).await.map_err(|error| Answer::queue_unavailable(&error))
}
