//! What a function did with an event, for people and for scripts.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::output::outln;

/// What a function did with an event.
#[derive(Serialize)]
pub struct Report {
    function: &'static str,
    answer: Box<RawValue>,
    queued: Vec<Queued>,
    sent: Vec<Sent>,
    dead_letters: Vec<Dead>,
    retried: Vec<ToRetry>,
    /// Whether it did all that the event asks for.
    #[serde(skip)]
    is_well: bool,
}

/// A message to a queue.
#[derive(Serialize)]
pub struct Queued {
    /// The function whose queue it is, or `rejected`.
    pub queue: &'static str,
    /// Its body.
    pub message: Box<RawValue>,
}

/// A request to the collector.
#[derive(Serialize)]
pub struct Sent {
    /// Its path below the key.
    pub route: &'static str,
    /// Its body.
    pub body: Box<RawValue>,
    /// Why the collector did not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A message that went to the dead letters.
#[derive(Serialize)]
pub struct Dead {
    /// The queue's id of it.
    pub message_id: String,
    /// The mapping that it names.
    pub mapping: String,
    /// Why it is dead.
    pub reason: String,
}

/// A message that went back to its queue.
#[derive(Serialize)]
pub struct ToRetry {
    /// The queue's id of it.
    pub message_id: String,
    /// How long it stays out of sight.
    pub after_seconds: u64,
    /// What failed.
    pub reason: String,
}

/// What a function did with queues and collector.
#[derive(Default)]
pub struct Kept {
    /// Messages to the queues.
    pub queued: Vec<Queued>,
    /// Requests to the collector.
    pub sent: Vec<Sent>,
    /// Messages that went to the dead letters.
    pub dead: Vec<Dead>,
    /// Messages that went back to their queue.
    pub retried: Vec<ToRetry>,
}

impl Report {
    /// What `function` answered, and what was kept of the rest. `is_taken` says whether the answer itself is a good one.
    pub fn new(function: &'static str, answer: Box<RawValue>, is_taken: bool, kept: Kept) -> Self {
        let Kept { queued, sent, dead, retried } = kept;
        let is_well =
            is_taken && dead.is_empty() && retried.is_empty() && queued.iter().all(|queued| queued.queue != "rejected");
        Self { function, answer, queued, sent, dead_letters: dead, retried, is_well }
    }

    /// Whether nothing was refused, rejected, retried or dead.
    pub fn is_well(&self) -> bool {
        self.is_well
    }

    /// A block for people.
    pub fn print(&self) {
        outln!("{:<12}{}", "answers", self.answer);
        for Queued { queue, message } in &self.queued {
            outln!("{:<12}{queue}  {message}", "queues");
        }
        for Sent { route, body, error } in &self.sent {
            outln!("{:<12}POST …/{route}  {body}", "sends");
            if let Some(error) = error {
                outln!("{:<12}{error}", "");
            }
        }
        for Dead { message_id, mapping, reason } in &self.dead_letters {
            // What cannot be read names no mapping.
            let of = if mapping.is_empty() { String::new() } else { format!("{mapping}: ") };
            outln!("{:<12}{message_id}  {of}{reason}", "dead letter");
        }
        for ToRetry { message_id, after_seconds, reason } in &self.retried {
            outln!("{:<12}{message_id}  in {after_seconds} s: {reason}", "retries");
        }
    }
}

/// A text as the JSON that it is, or as a JSON string where it is not JSON.
pub fn as_json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).or_else(|_| to_raw_value(text)).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
