//! The events of a request on their way into messages.

use super::counts::{AnswerCounts, EventRejection};
use super::received::EventOutcome;
use super::tracking::Additions;
use super::{Answer, ArrivedBy, IntakeOptions, SkipReason};
use crate::clock;
use crate::message::{self, Origin, OutgoingMessage, Queue};
use crate::segment::{Event, EventError};
use crate::settings::Settings;

/// How many bytes of messages go to the queue at once. The queue's client holds them two or three times more, so that this
/// is what keeps a request's memory small; it fills several of SQS's batches.
const PART_BYTES: usize = 512 * 1024;

/// What a request brought so far.
#[derive(Debug, Default)]
pub struct Sorted {
    /// How many events came to what.
    pub counts: AnswerCounts,
    /// The events that can never be delivered, with their reasons.
    pub rejected: Vec<EventRejection>,
}

/// The events of a request that have not been looked at yet, and what came of the others.
#[derive(Debug)]
pub struct Sorting<'r> {
    settings: &'r Settings,
    options: IntakeOptions,
    origin: Origin<'r>,
    events: std::vec::IntoIter<&'r str>,
    /// What an SDK's request adds to its events. Those of a webhook pass as they came.
    additions: Option<Additions<'r>>,
    sorted: Sorted,
}

impl<'r> Sorting<'r> {
    /// Begins with the first of `events`.
    pub fn new(
        settings: &'r Settings,
        options: IntakeOptions,
        origin: Origin<'r>,
        events: Vec<&'r str>,
        additions: Option<Additions<'r>>,
    ) -> Self {
        Self { settings, options, origin, events: events.into_iter(), additions, sorted: Sorted::default() }
    }

    /// The messages of the next events, as many as go to the queue at once; none when all events have been looked at.
    ///
    /// # Errors
    /// With the answer to a body of a single event that is not JSON.
    pub fn next_messages(&mut self) -> Result<Option<Vec<OutgoingMessage>>, Answer> {
        let mut part: Vec<OutgoingMessage> = Vec::new();
        let mut bytes = 0;
        while bytes < PART_BYTES
            && let Some(event) = self.events.next()
        {
            let before = part.len();
            self.take(event, &mut part)?;
            self.origin.place += 1;
            bytes += part[before..].iter().map(|message| message.body.len()).sum::<usize>();
        }
        Ok((!part.is_empty()).then_some(part))
    }

    /// What all events came to.
    pub fn end(self) -> Sorted {
        self.sorted
    }

    /// Makes the messages of one event, or of its rejection.
    fn take(&mut self, json: &str, part: &mut Vec<OutgoingMessage>) -> Result<(), Answer> {
        let Some(additions) = &mut self.additions else {
            return match Event::parse(json) {
                Ok(event) => {
                    self.accept(&event, part);
                    Ok(())
                }
                // The elements of an array are JSON: this is a body of a single event.
                Err(EventError::NotJson(why)) => Err(Answer::not_json(&why)),
                Err(error) => {
                    self.reject(json, &error, part);
                    Ok(())
                }
            };
        };
        match additions.to(json, &self.origin) {
            Ok(added) => match Event::from_json(&added) {
                Ok(event) => self.accept(&event, part),
                Err(error) => self.reject(&added, &error, part),
            },
            Err(error) => self.reject(json, &error, part),
        }
        Ok(())
    }

    fn reject(&mut self, json: &str, error: &EventError, part: &mut Vec<OutgoingMessage>) {
        let reason = error.to_string();
        part.push(message::rejected(json, &reason, self.origin));
        self.sorted.counts.rejected += 1;
        self.sorted.counts.received.add_rejected();
        self.sorted.rejected.push(EventRejection::new(self.origin.place, json, reason));
    }

    /// Makes the messages of an event, unless it is skipped.
    fn accept(&mut self, event: &Event<'_>, part: &mut Vec<OutgoingMessage>) {
        let arrived_by = match &self.additions {
            Some(additions) => ArrivedBy::Sdk { integrations: additions.integrations() },
            None => ArrivedBy::Webhook,
        };
        if let Some(reason) = SkipReason::of(event, &self.options, arrived_by) {
            self.skip(event, reason);
            return;
        }
        let said = self.received_at(event);
        let origin = Origin { received_at: said.as_deref().unwrap_or(self.origin.received_at), ..self.origin };
        let before = part.len();
        for (mapping, another) in self.settings.mappings_that_take(event) {
            part.push(message::accepted(event, mapping, another, origin));
        }
        let counts = &mut self.sorted.counts;
        counts.queued.extend(part[before..].iter().filter_map(|message| match message.queue {
            Queue::Function(function) => Some(function),
            Queue::Rejected => None,
        }));
        if part.len() > before {
            counts.accepted += 1;
            counts.received.add(event, EventOutcome::Accepted);
        } else {
            self.skip(event, SkipReason::NoMapping);
        }
    }

    fn skip(&mut self, event: &Event<'_>, reason: SkipReason) {
        self.sorted.counts.skipped.add(reason);
        self.sorted.counts.received.add(event, EventOutcome::Skipped(reason));
    }

    /// When Segment received an event that its webhook brings: it may have kept it for hours, or replay it. What an SDK
    /// says of that is nothing to go by, and nobody has received what is yet to come.
    fn received_at(&self, event: &Event<'_>) -> Option<String> {
        if self.additions.is_some() {
            return None;
        }
        let said = clock::milliseconds(&event.fields().get_str("receivedAt")?)?;
        let now = clock::milliseconds(self.origin.received_at)?;
        Some(clock::from_milliseconds(said.min(now))).filter(|said| !said.is_empty())
    }
}
