//! What intake writes into the queues.

use std::borrow::Cow;
use std::sync::Arc;

use koala_destination::intake::{Outbox, OutboxError};
use koala_destination::json::{Object, text_without_ip_addresses, without_ip_addresses};
use koala_destination::message::{OutgoingMessage, Queue};
use rusqlite::{Connection, ffi, params};
use serde::Deserialize;

use super::Queues;
use super::room::Pages;
use super::tally::{self, Tallied};

impl Outbox for Queues {
    const IS_ATOMIC: bool = true;

    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        let rows: Vec<(&'static str, String)> =
            messages.iter().map(|message| (queue_name(message.queue), self.body(message))).collect();
        let room = Arc::clone(&self.room);
        let insert = move |connection: &Connection| {
            if !room.is_there(Pages::of(connection)?) {
                return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None));
            }
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
        for queue in &self.of_functions {
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

#[cfg(test)]
mod tests {
    use koala_collector::store::sqlite::MIGRATIONS;
    use koala_collector::store::sqlite::file::SqliteFile;
    use koala_destination::segment::Function;

    use super::*;
    use crate::queue::room::{Disk, Room};

    #[tokio::test]
    async fn a_disk_that_the_queue_has_filled_takes_events_again_when_they_are_delivered() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = SqliteFile::open(&folder.path().join("koala.db"), &MIGRATIONS).expect("a file");
        // Of 4 MB one is left to deliveries, and nothing is free.
        let room = Room::seen(|| Some(Disk { free: 0, all: 4 * 1024 * 1024 }));
        let queues = Queues { room: Arc::new(room), ..Queues::open(&data).await.expect("queues") };
        let body = format!(r#"{{"v":1,"mapping":"track-event","event":{{"x":"{}"}}}}"#, "x".repeat(20_000));
        let message = OutgoingMessage { queue: Queue::Function(Function::TrackEvent), body };
        let messages = [message];
        let mut taken = 0;
        while queues.send(&messages).await.is_ok() {
            taken += 1;
            assert!(taken < 100, "it is never full");
        }
        assert!(taken > 2, "a queue that holds little takes events");
        assert!(queues.send(&messages).await.is_err());
        queues
            .file
            .write(|connection| connection.execute("DELETE FROM message", []))
            .await
            .expect("they are delivered");
        queues.send(&messages).await.expect("the pages of what was delivered are there");
    }
}
