//! A message's body → the entry that the collector gets.

use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::DeadReason;
use crate::json::without_lone_surrogates;
use crate::koala::{Delivered, Entry, EntryOptions, EntryProblem, entry};
use crate::message::{Message, ReadMessageError};
use crate::segment::{Event, Function, hashed_message_id};
use crate::settings::Settings;

/// The messages of a batch that have something to send.
#[derive(Debug, Default)]
pub struct PreparedBatch {
    /// Each with its message's place.
    pub entries: Vec<(usize, Entry)>,
    /// Each message's trace, at its place.
    pub traces: Vec<String>,
    /// The messages whose event another one of the batch carries as well: theirs, and the other's place.
    pub copies: Vec<(usize, usize)>,
}

impl PreparedBatch {
    /// Sets the copies apart: SQS may give the same message twice in a batch, and a sender the same event; the collector gets one.
    pub fn of(ready: Vec<(usize, Prepared<'_>)>) -> Self {
        let mut firsts = HashMap::with_capacity(ready.len());
        let copies: Vec<(usize, usize)> = ready
            .iter()
            .filter_map(|(index, Prepared { mapping, entry, .. })| {
                let first = *firsts.entry((mapping.as_ref(), entry.message_id.as_str())).or_insert(*index);
                (first != *index).then_some((*index, first))
            })
            .collect();
        let mut traces = vec![String::new(); ready.last().map_or(0, |(index, _)| index + 1)];
        for (index, prepared) in &ready {
            prepared.trace_id.as_ref().clone_into(&mut traces[*index]);
        }
        let mut next_copy = copies.iter().map(|(index, _)| *index).peekable();
        let entries = ready.into_iter().map(|(index, prepared)| (index, prepared.entry));
        let entries = entries.filter(|(index, _)| next_copy.next_if_eq(index).is_none()).collect();
        Self { entries, traces, copies }
    }
}

/// A message that is ready to be sent.
#[derive(Debug)]
pub struct Prepared<'m> {
    /// The mapping's name.
    pub mapping: Cow<'m, str>,
    /// The trace of the request that brought it.
    pub trace_id: Cow<'m, str>,
    /// What the collector gets.
    pub entry: Entry,
}

/// A message that is not.
#[derive(Debug)]
pub enum Unprepared {
    /// It can never be sent as it is.
    Never(DeadReason),
    /// Its mapping is not in these settings.
    UnknownMapping(String),
    /// Its mapping is not in these settings, and newer ones cannot be read now.
    MappingNotRead(String),
    /// A later release wrote it and will deliver it.
    Newer(ReadMessageError),
    /// The settings say not to send it.
    Skipped,
}

/// Reads and maps one message. A panic in that is this message's alone.
pub fn prepare<'m>(
    body: &'m str,
    function: Function,
    settings: &Settings,
    options: &EntryOptions,
) -> Result<Prepared<'m>, Unprepared> {
    catch_unwind(AssertUnwindSafe(|| prepare_or_panic(body, function, settings, options)))
        .unwrap_or_else(|_| Err(never("internal error: mapping panicked; the log has the place".to_owned(), "")))
}

fn prepare_or_panic<'m>(
    body: &'m str,
    function: Function,
    settings: &Settings,
    options: &EntryOptions,
) -> Result<Prepared<'m>, Unprepared> {
    #[cfg(test)]
    assert!(body != PANICS, "as the test wants it");
    let message = Message::parse(body).map_err(|error| match error {
        ReadMessageError::Newer { .. } => Unprepared::Newer(error),
        ReadMessageError::Form { .. } => never(error.to_string(), ""),
    })?;
    let name = message.mapping.as_ref();
    let event = without_lone_surrogates(message.event.get());
    let event = Event::from_json(&event).map_err(|error| never(error.to_string(), name))?;
    // Intake gives an id to each event that has none; what a person put into the queue goes by its bytes.
    let event = event.or_message_id(message.message_id.clone().unwrap_or_else(|| hashed_message_id(body).into()));
    let mapping = settings.mapping(name).ok_or_else(|| Unprepared::UnknownMapping(name.to_owned()))?;
    if mapping.action().function() != function {
        let reason =
            format!("the mapping {name} has the action {} now, and this queue is for {function}", mapping.action());
        return Err(never(reason, name));
    }
    let delivered = Delivered { received_at: &message.received_at, another: message.another };
    match entry(&event, mapping, delivered, options) {
        Ok(entry) => Ok(Prepared { mapping: message.mapping, trace_id: message.trace_id, entry }),
        Err(EntryProblem::AnonymousSkipped) => Err(Unprepared::Skipped),
        Err(error) => Err(never(error.to_string(), name)),
    }
}

fn never(reason: String, mapping: &str) -> Unprepared {
    Unprepared::Never(DeadReason { reason, mapping: mapping.to_owned(), collector_answer: None })
}

/// A message that makes its mapping panic, in tests: no real one is known that does.
#[cfg(test)]
pub const PANICS: &str = "panics";
