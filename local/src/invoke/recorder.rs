//! What stands in for the queues and the collector: it keeps what it is told.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use koala_destination::delivery::{DeadLetter, ReceivedMessage, Retried, SourceQueue};
use koala_destination::intake::{Outbox, OutboxError};
use koala_destination::koala::{Collector, KoalaClient, Route, SendError};
use koala_destination::message::{OutgoingMessage, Queue};
use koala_destination::settings::PublicApiKey;

use super::report::{Dead, Kept, Queued, Sent, ToRetry, as_json};

/// All that a function did.
pub struct Recorder {
    kept: Mutex<Kept>,
    /// Who really gets the deliveries, where they are sent.
    koala: Option<KoalaClient>,
}

impl Recorder {
    /// One that is empty. `koala` really gets the deliveries.
    pub fn new(koala: Option<KoalaClient>) -> Self {
        Self { kept: Mutex::default(), koala }
    }

    /// What was kept, and nothing of it any longer.
    pub fn take(&self) -> Kept {
        self.with(std::mem::take)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Outbox for Recorder {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        let queued = messages.iter().map(|message| Queued {
            queue: match message.queue {
                Queue::Function(function) => function.name(),
                Queue::Rejected => "rejected",
            },
            message: as_json(&message.body),
        });
        self.with(|kept| kept.queued.extend(queued));
        Ok(())
    }
}

impl SourceQueue for &Recorder {
    async fn add_dead_letters(&self, letters: &[DeadLetter<'_>]) -> HashSet<String> {
        let dead = letters.iter().map(|letter| Dead {
            message_id: letter.message.id.to_owned(),
            mapping: letter.reason.mapping.clone(),
            reason: letter.reason.reason.clone(),
        });
        self.with(|kept| kept.dead.extend(dead));
        HashSet::new()
    }

    async fn retry(&self, messages: &[Retried<'_>]) {
        let retried = messages.iter().map(|retried| ToRetry {
            message_id: retried.message.id.to_owned(),
            after_seconds: retried.after.as_secs(),
            reason: retried.reason.to_owned(),
        });
        self.with(|kept| kept.retried.extend(retried));
    }

    /// What is deleted before its batch ends is delivered or skipped, as the answer says of it.
    async fn delete(&self, _: &[ReceivedMessage<'_>]) {}
}

impl Collector for &Recorder {
    async fn send(&self, key: &PublicApiKey, route: Route, body: Bytes) -> Result<(), SendError> {
        let request = as_json(&String::from_utf8_lossy(&body));
        let answered = match &self.koala {
            Some(koala) => koala.send(key, route, body).await,
            None => Ok(()),
        };
        let error = answered.as_ref().err().map(ToString::to_string);
        self.with(|kept| kept.sent.push(Sent { route: route.path(), body: request, error }));
        answered
    }
}
