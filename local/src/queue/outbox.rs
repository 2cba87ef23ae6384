//! What intake writes into the queues.

use std::borrow::Cow;

use koala_destination::intake::{Outbox, OutboxError};
use koala_destination::json::{Object, text_without_ip_addresses, without_ip_addresses};
use koala_destination::message::{OutgoingMessage, Queue};
use rusqlite::{Connection, params};
use serde::Deserialize;

use super::Queues;
use super::tally::{self, Tallied};

impl Outbox for Queues {
    const IS_ATOMIC: bool = true;

    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        if !self.room.is_there() {
            let reason = "the disk is nearly full; what is left is for deliveries".to_owned();
            return Err(OutboxError { failed: messages.len(), all: messages.len(), reason });
        }
        let rows: Vec<(&'static str, String)> =
            messages.iter().map(|message| (queue_name(message.queue), self.body(message))).collect();
        let insert = move |connection: &Connection| {
            let mut insert =
                connection.prepare_cached("INSERT INTO message (queue, mapping, body) VALUES (?1, ?2, ?3)")?;
            let mut mappings = Vec::with_capacity(rows.len());
            for (queue, body) in &rows {
                let mapping = mapping_named_in(body);
                insert.execute(params![queue, mapping, body])?;
                mappings.extend(mapping);
            }
            tally::count(connection, Tallied::Queued, mappings.iter().map(|mapping| &**mapping))
        };
        let all = messages.len();
        self.file.write(insert).await.map_err(|error| OutboxError { failed: all, all, reason: error.to_string() })?;
        for queue in self.of_functions.iter() {
            if messages.iter().any(|message| message.queue == Queue::Function(queue.function)) {
                queue.bell.notify_one();
            }
        }
        Ok(())
    }
}

impl Queues {
    /// What is kept of a message. A rejected event goes nowhere, so that the IP addresses in it serve nobody.
    fn body(&self, message: &OutgoingMessage) -> String {
        if self.keep_ip || message.queue != Queue::Rejected {
            return message.body.clone();
        }
        let has_event = Object::only(&message.body, &["event"]).is_ok_and(|message| message.get("event").is_some());
        if has_event {
            without_ip_addresses(&message.body).into_owned()
        } else {
            text_without_ip_addresses(&message.body)
        }
    }
}

fn queue_name(queue: Queue) -> &'static str {
    match queue {
        Queue::Function(function) => function.name(),
        Queue::Rejected => "rejected",
    }
}

/// The mapping that a message of intake is for; one of a rejected event names none.
pub fn mapping_named_in(body: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        mapping: Cow<'a, str>,
    }
    serde_json::from_str(body).ok().map(|Named { mapping }| mapping)
}
