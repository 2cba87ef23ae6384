//! The port of what stands before the collector: mappings, queues, dead letters.

use std::collections::BTreeMap;

use async_trait::async_trait;
use koala_destination::preview::Preview;
use koala_destination::segment::{Function, Mapping};
use serde::Serialize;
use thiserror::Error;

use super::intake::{Install, RejectedEvent, SettingsProblem, TestEvent};
use crate::store::Store;
use crate::store::deletion::{Departed, Forgotten};

/// The way of events to the collector, as people look at it.
#[async_trait]
pub trait Pipeline: Send + Sync {
    /// How many messages stand where.
    async fn counts(&self) -> Result<QueueCounts, PipelineError>;

    /// What events of requests and messages of mappings came to.
    async fn tallies(&self) -> Result<(RequestTally, Tallies), PipelineError>;

    /// The dead letters, the newest first.
    async fn dead_letters(&self, most: u32) -> Result<Vec<StoredDeadLetter>, PipelineError>;

    /// The rejected events, the newest first.
    async fn rejected_events(&self, most: u32) -> Result<Vec<RejectedEvent>, PipelineError>;

    /// Where events are sent to, and what came in.
    async fn install(&self) -> Result<Install, PipelineError>;

    /// Sends a test event through intake, as Segment would: a track call named [`super::TEST_EVENT_NAME`] of the user
    /// [`super::TEST_USER_ID`].
    async fn send_test_event(&self) -> Result<TestEvent, PipelineError>;

    /// What is wrong with the parameters as they are now, while what was read before serves on. Asked for with every page.
    async fn settings_problems(&self) -> Vec<SettingsProblem>;

    /// Puts dead letters back into their queues, those of one function or all. Gives back how many.
    async fn redrive(&self, function: Option<Function>) -> Result<u64, PipelineError>;

    /// Deletes the messages, dead letters and rejected events of people who are deleted, told by the ids that are read from each
    /// ([`Departed::whose`]); the store knows of whom else an id may be ([`Store::learn`]). Queues that cannot be searched have
    /// none: what is in them is dropped when it reaches the store.
    async fn forget(&self, departed: Departed, store: &dyn Store) -> Result<Forgotten, PipelineError>;

    /// The mappings by name.
    async fn mappings(&self) -> Result<Vec<Mapping>, PipelineError>;

    /// What would happen to an event, as JSON, without sending it.
    async fn preview(&self, event: &str) -> Result<Preview, PipelineError>;
}

/// The pipeline cannot do what was asked, for now.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// Its settings cannot be read.
    #[error("{0}")]
    Settings(Box<dyn std::error::Error + Send + Sync>),
    /// Its queues cannot be read or written.
    #[error("{0}")]
    Queues(Box<dyn std::error::Error + Send + Sync>),
}

/// How many messages stand where.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QueueCounts {
    /// Waiting for their turn, or for the end of their delay.
    pub waiting: i64,
    /// In a consumer's hands.
    pub in_flight: i64,
    /// In the dead letters of the two actions.
    pub dead: i64,
    /// Rejected at intake, kept to be looked at.
    pub rejected: i64,
}

/// How many events of requests came to what.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RequestTally {
    /// A mapping took it.
    pub accepted: i64,
    /// It was skipped: no mapping took it, or it was not to be sent.
    pub skipped: i64,
    /// It can never be delivered.
    pub rejected: i64,
}

/// How many messages of a mapping are where, and came to what.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct MappingTally {
    /// How many were put into the queue.
    pub queued: i64,
    /// How many are in it now.
    pub waiting: i64,
    /// How many the collector has.
    pub delivered: i64,
    /// Of how many nothing was to be sent.
    pub skipped: i64,
    /// How often one went back to the queue.
    pub retried: i64,
    /// How many are dead now.
    pub dead: i64,
}

/// The counts of each mapping, those of messages that name none under the empty name.
pub type Tallies = BTreeMap<String, MappingTally>;

/// A dead letter as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct StoredDeadLetter {
    /// The queue that it came from.
    pub queue: String,
    /// Its mapping, where the message could be read.
    pub mapping: String,
    /// Why it is dead.
    pub reason: String,
    /// What the collector said, when it was asked.
    pub collector_answer: Option<String>,
    /// The event as it came, or its beginning.
    pub event: String,
    /// How many bytes of it are kept; more than there are in `event` where that is only the beginning.
    pub bytes: usize,
}
