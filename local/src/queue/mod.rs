//! The queues of the local set, in a file of their own beside the data, so that no page, export or deletion delays a delivery.
//!
//! | module | what it does |
//! |---|---|
//! | `schedule` | whose turn it is, in memory: a lane for each visitor |
//! | `rows` | the rows of the file |
//! | `tally` | what messages came to, counted |
//! | `bring` | what an earlier version kept in the data file |
//!
//! A message is durable before it is answered for. It is loaded into the schedule, handed out with its lane, and each outcome
//! is recorded as it comes ([`Lease`]). Leases are in memory: when the process ends, all that has no outcome is in its queue.

mod bring;
mod rows;
mod schedule;
mod tally;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use koala_collector::store::sqlite::file::{FileError, Migration, SqliteFile};
use koala_collector::web::{QueueCounts, RequestTally, StoredDeadLetter, Tallies};
use koala_destination::delivery::{DeadReason, Outcome as DeliveryOutcome, Outcomes};
use koala_destination::intake::{AnswerCounts, Outbox, OutboxError};
use koala_destination::message::{OutgoingMessage, Queue};
use koala_destination::segment::Function;
use rusqlite::{Connection, params};
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::rows::Recorded;
use self::schedule::{Hand, LaneKey, Schedule, Waiting};
use self::tally::Outcome;

const MIGRATIONS: [Migration; 1] = [Migration::sql(include_str!("migrations/1.sql"))];

/// The most messages of a queue that the schedule knows; what is newer waits in the file until there is room. About 10 MB.
const MOST_KNOWN: usize = 100_000;
/// How many are loaded at once.
const LOADED_AT_ONCE: usize = 1_000;
/// What was tried for so long without success is dead. Time counts, not how often: crashes would inflate that.
const LONGEST_TRYING: Duration = Duration::from_hours(12);
/// What a consumer drops without a word comes back after this.
const AFTER_A_FAULT: Duration = Duration::from_secs(2);

/// The queues; clones share them.
#[derive(Clone)]
pub struct Queues {
    file: SqliteFile,
    queues: Arc<[ActionQueue; 2]>,
}

struct ActionQueue {
    function: Function,
    schedule: Mutex<Schedule>,
    /// The newest row that the schedule has been told of.
    loaded: tokio::sync::Mutex<i64>,
    /// Outcomes that could not be recorded, a full disk's fault; nothing more is handed out until they are.
    unrecorded: Mutex<Vec<Recorded>>,
    /// Rings when a message comes in, or a lane comes back.
    bell: Notify,
}

impl ActionQueue {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unrecorded(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    /// Opens the queues beside a data file (`koala.queue.db` beside `koala.db`), and brings over what an earlier version kept
    /// in it.
    ///
    /// # Errors
    /// When one of the files cannot be read or written.
    pub async fn open(data: &SqliteFile) -> Result<Self, FileError> {
        let file = SqliteFile::open(&beside(data.path()), &MIGRATIONS)?;
        bring::bring_over(&file, data).await?;
        let queue = |function| ActionQueue {
            function,
            schedule: Mutex::default(),
            loaded: tokio::sync::Mutex::default(),
            unrecorded: Mutex::default(),
            bell: Notify::new(),
        };
        Ok(Self { file, queues: Arc::new(Function::ALL.map(queue)) })
    }

    fn queue(&self, function: Function) -> &ActionQueue {
        let [first, second] = &*self.queues;
        if first.function == function { first } else { second }
    }

    /// Changes whenever something is written.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.file.changes()
    }

    /// Waits until something may be handed out, at most for `longest`.
    pub async fn turn(&self, function: Function, longest: Duration) {
        let queue = self.queue(function);
        let next = queue.schedule().next();
        let latest = Instant::now() + longest;
        let until = next.map_or(latest, |next| next.min(latest));
        // Whether it rang or time ran out: the caller looks.
        let _ = tokio::time::timeout_at(until, queue.bell.notified()).await;
    }

    /// Hands out up to `most` lanes of a function whose turn it is.
    ///
    /// # Errors
    /// When the file cannot be read or written; then nothing is handed out.
    pub async fn hand_out(&self, function: Function, most: usize) -> Result<Vec<Lease>, FileError> {
        self.record_again(function).await?;
        self.load(function).await?;
        let now = Instant::now();
        let hands = self.queue(function).schedule().take(most, now);
        // From here on a failure, or a caller that is gone, gives the lanes back.
        let mut leases: Vec<Lease> = hands.into_iter().map(|hand| Lease::new(self.clone(), function, hand)).collect();
        let marked = leases.iter().flat_map(|lease| lease.rows(now)).collect::<Vec<_>>();
        if marked.is_empty() {
            return Ok(leases);
        }
        let bodies = self.file.write(move |connection| rows::hand_out(connection, &marked)).await?;
        let mut bodies: std::collections::HashMap<i64, String> = bodies.into_iter().collect();
        for lease in &mut leases {
            lease.fill(&mut bodies);
        }
        leases.retain(|lease| !lease.messages.is_empty());
        Ok(leases)
    }

    /// Tells the schedule of messages that it does not know.
    async fn load(&self, function: Function) -> Result<(), FileError> {
        let queue = self.queue(function);
        let mut loaded = queue.loaded.lock().await;
        while queue.schedule().known() < MOST_KNOWN {
            let after = *loaded;
            let rows =
                self.file.read(move |connection| rows::load(connection, function, after, LOADED_AT_ONCE)).await?;
            let is_last = rows.len() < LOADED_AT_ONCE;
            let now = Instant::now();
            let mut schedule = queue.schedule();
            for row in rows {
                let tried_for = Duration::from_millis(u64::try_from(row.tried_for).unwrap_or(0));
                let message = Waiting { id: row.id, tried_for, since: now, retries: 0, crashes: row.crashes };
                schedule.add(row.lane, message, now);
                *loaded = row.id;
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }

    async fn record(&self, function: Function, outcomes: Vec<Recorded>) {
        let recorded = outcomes.clone();
        if let Err(error) = self.file.write(move |connection| rows::record(connection, &recorded)).await {
            tracing::error!(function = function.name(), %error, "outcomes cannot be recorded; nothing is delivered until they are");
            self.queue(function).unrecorded().extend(outcomes);
        }
    }

    /// Records what could not be recorded when it came.
    ///
    /// # Errors
    /// When it still cannot.
    pub async fn record_again(&self, function: Function) -> Result<(), FileError> {
        let outcomes = self.queue(function).unrecorded().clone();
        if outcomes.is_empty() {
            return Ok(());
        }
        let count = outcomes.len();
        self.file.write(move |connection| rows::record(connection, &outcomes)).await?;
        self.queue(function).unrecorded().drain(..count);
        Ok(())
    }

    /// Counts the events of a request that was answered; one of which none was read costs no writing.
    pub fn count_request(&self, counts: AnswerCounts) {
        if counts.accepted + counts.skipped.total() + counts.rejected == 0 {
            return;
        }
        self.file.write_later(move |connection| tally::count_request(connection, &counts));
    }

    /// What events of requests and messages of mappings came to.
    pub async fn tallies(&self) -> Result<(RequestTally, Tallies), FileError> {
        self.file.read(tally::read).await
    }

    /// The dead letters, the newest first.
    pub async fn dead_letters(&self, most: u32) -> Result<Vec<StoredDeadLetter>, FileError> {
        self.file.read(move |connection| rows::dead_letters(connection, most)).await
    }

    /// Puts dead letters back into their queues, those of one function or all, as if they had just come in. Gives back how
    /// many.
    pub async fn redrive(&self, function: Option<Function>) -> Result<u64, FileError> {
        let queue = function.map(Function::name);
        let redriven = self.file.write(move |connection| rows::redrive(connection, queue)).await?;
        for queue in self.queues.iter() {
            queue.bell.notify_one();
        }
        Ok(redriven)
    }

    /// Deletes the messages and dead letters in which one of these names stands, whatever its case. Gives back how many.
    pub async fn forget(&self, names: Vec<String>) -> Result<usize, FileError> {
        self.file.write(move |connection| rows::forget(connection, &names)).await
    }

    /// How many messages stand where.
    pub async fn counts(&self) -> Result<QueueCounts, FileError> {
        let counts = self.file.read(rows::counts).await?;
        let in_hand: usize = self.queues.iter().map(|queue| queue.schedule().in_hand()).sum();
        let in_flight = i64::try_from(in_hand).unwrap_or(i64::MAX).min(counts.waiting);
        Ok(QueueCounts { waiting: counts.waiting - in_flight, in_flight, ..counts })
    }
}

/// `koala.queue.db` beside `koala.db`.
pub fn beside(data: &Path) -> PathBuf {
    match data.extension() {
        Some(extension) => data.with_extension(Path::new("queue").with_extension(extension)),
        None => data.with_extension("queue"),
    }
}

/// A message that is handed out.
#[derive(Debug)]
pub struct LeasedMessage {
    /// Its row, as text.
    pub id: String,
    /// What intake wrote.
    pub body: String,
    /// How often it was given out, this time included.
    pub receive_count: u32,
    waiting: Waiting,
}

/// A lane that is handed out. When it is dropped, what has no outcome is retried; so a consumer may end in any way.
pub struct Lease {
    queues: Queues,
    function: Function,
    lane: LaneKey,
    /// What is to be delivered, oldest first.
    pub messages: Vec<LeasedMessage>,
    left: Mutex<Left>,
}

/// What of a hand has no final outcome, and how long it has to wait.
struct Left {
    waiting: Vec<Waiting>,
    after: Option<Duration>,
}

impl Lease {
    fn new(queues: Queues, function: Function, hand: Hand) -> Self {
        let left = Mutex::new(Left { waiting: hand.messages, after: None });
        Self { queues, function, lane: hand.lane, messages: Vec::new(), left }
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self, now: Instant) -> Vec<(i64, i64)> {
        self.left().waiting.iter().map(|message| (message.id, milliseconds(message.tried_for(now)))).collect()
    }

    /// Takes its messages' bodies; a message without one is not there any more.
    fn fill(&mut self, bodies: &mut std::collections::HashMap<i64, String>) {
        let waiting = std::mem::take(&mut self.left().waiting);
        for waiting in waiting {
            let Some(body) = bodies.remove(&waiting.id) else {
                self.queues.queue(self.function).schedule().settled();
                continue;
            };
            let receive_count = waiting.retries.saturating_add(1);
            self.left().waiting.push(waiting.clone());
            self.messages.push(LeasedMessage { id: waiting.id.to_string(), body, receive_count, waiting });
        }
    }
}

impl Outcomes for Lease {
    async fn settled(&self, settled: &[(usize, DeliveryOutcome)]) {
        let now = Instant::now();
        let mut outcomes = Vec::with_capacity(settled.len());
        let mut done = Vec::new();
        for (at, outcome) in settled {
            let waiting = &self.messages[*at].waiting;
            let tried_for = waiting.tried_for(now);
            let recorded = match outcome {
                DeliveryOutcome::Delivered => Recorded::Delivered(waiting.id),
                DeliveryOutcome::Skipped => Recorded::Skipped(waiting.id),
                DeliveryOutcome::Dead(reason) => Recorded::Dead(waiting.id, reason.clone()),
                DeliveryOutcome::Retry { reason, .. } if tried_for >= LONGEST_TRYING => {
                    Recorded::Dead(waiting.id, given_up(reason, &self.messages[*at].body))
                }
                DeliveryOutcome::Retry { after, .. } => {
                    let mut left = self.left();
                    left.after = left.after.max(Some(*after));
                    for message in left.waiting.iter_mut().filter(|message| message.id == waiting.id) {
                        message.retries = message.retries.saturating_add(1);
                        message.crashes = 0;
                    }
                    Recorded::Retried(waiting.id, milliseconds(tried_for))
                }
            };
            if let Recorded::Dead(_, why) = &recorded {
                // What Koala said may repeat the event, and stays in the letter.
                let (id, mapping, reason) = (waiting.id, &why.mapping, &why.reason);
                let function = self.function.name();
                tracing::error!(function, queue_message_id = id, mapping, reason, "message to the dead letters");
            }
            if !matches!(recorded, Recorded::Retried(..)) {
                done.push(waiting.id);
            }
            outcomes.push(recorded);
        }
        // First what is not to come again, whatever becomes of this task while it is recorded.
        {
            let mut left = self.left();
            left.waiting.retain(|message| !done.contains(&message.id));
        }
        self.queues.record(self.function, outcomes).await;
        let mut schedule = self.queues.queue(self.function).schedule();
        for _ in &done {
            schedule.settled();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let queue = self.queues.queue(self.function);
        let Left { waiting, after } = &mut *self.left();
        let after = after.unwrap_or(AFTER_A_FAULT);
        queue.schedule().give_back(self.lane, std::mem::take(waiting), after, Instant::now());
        queue.bell.notify_one();
    }
}

fn given_up(reason: &str, body: &str) -> DeadReason {
    let reason = format!("not delivered in {} hours of trying: {reason}", LONGEST_TRYING.as_secs() / 3600);
    let mapping = mapping_named_in(body).unwrap_or_default().into_owned();
    DeadReason { reason, mapping, koala_answer: None }
}

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
fn mapping_named_in(body: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        mapping: Cow<'a, str>,
    }
    serde_json::from_str(body).ok().map(|Named { mapping }| mapping)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
