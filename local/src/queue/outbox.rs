//! What intake writes into the queues.

use std::borrow::Cow;

use koala_destination::intake::{Outbox, OutboxError};
use koala_destination::message::{OutgoingMessage, Queue};
use rusqlite::{Connection, params};
use serde::Deserialize;

use super::Queues;
use super::tally::{self, Outcome};

impl Outbox for Queues {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        let rows: Vec<(&'static str, String)> =
            messages.iter().map(|message| (queue_name(message.queue), message.body.clone())).collect();
        let insert = move |connection: &Connection| {
            let mut insert =
                connection.prepare_cached("INSERT INTO message (queue, mapping, body) VALUES (?1, ?2, ?3)")?;
            let mut mappings = Vec::with_capacity(rows.len());
            for (queue, body) in &rows {
                let mapping = mapping_named_in(body);
                insert.execute(params![queue, mapping, body])?;
                mappings.extend(mapping);
            }
            tally::count(connection, Outcome::Queued, mappings.iter().map(|mapping| &**mapping))
        };
        let all = messages.len();
        self.file.write(insert).await.map_err(|error| OutboxError { failed: all, all, reason: error.to_string() })?;
        for queue in self.queues.iter() {
            if messages.iter().any(|message| message.queue == Queue::Function(queue.function)) {
                queue.bell.notify_one();
            }
        }
        Ok(())
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
