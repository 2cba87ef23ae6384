//! The queues of the local set, in a file of their own beside the data, so that no page, export or deletion delays a delivery.
//!
//! | module | what it does |
//! |---|---|
//! | `action_queue` | the queue of one function: its schedule and its rows |
//! | `outbox` | what intake writes |
//! | `lease` | a lane in hand, and what becomes of its messages |
//! | `schedule` | whose turn it is, in memory: a lane for each visitor |
//! | `rows` | the rows of the file |
//! | `room` | how full the disk is: intake leaves the rest to delivery |
//! | `tally`, `received` | what messages and events came to, counted |
//! | `forget`, `ids_of_body` | people who are deleted, told by the ids in their messages |
//! | `bring` | what an earlier version kept in the data file |
//!
//! A message is durable before it is answered for. It is loaded into the schedule, handed out with its lane, and each outcome
//! is recorded as it comes ([`Lease`]). Leases are in memory: when the process ends, all that has no outcome is in its queue.

mod action_queue;
mod bring;
mod forget;
mod ids_of_body;
mod lease;
mod outbox;
mod received;
mod room;
mod rows;
mod schedule;
mod tally;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use koala_collector::store::sqlite::file::{FileError, Migration, SqliteFile};
use koala_collector::web::{QueueCounts, ReceivedTally, RejectedEvent, RequestTally, StoredDeadLetter, Tallies};
use koala_destination::intake::AnswerCounts;
use koala_destination::segment::Function;
use tokio::sync::watch;
use tokio::time::Instant;

use self::action_queue::ActionQueue;
pub use self::lease::Lease;
use self::room::Room;

const MIGRATIONS: [Migration; 3] = [
    Migration::sql(include_str!("migrations/1.sql")),
    Migration::sql(include_str!("migrations/2.sql")),
    Migration::sql(include_str!("migrations/3.sql")),
];

/// The queues; clones share them.
#[derive(Clone)]
pub struct Queues {
    file: SqliteFile,
    keep_ip: bool,
    room: Arc<Room>,
    of_functions: [Arc<ActionQueue>; 2],
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
        let queue = |function| Arc::new(ActionQueue::new(function, file.clone()));
        let room = Arc::new(Room::beside(file.path().to_owned()));
        let of_functions = Function::ALL.map(queue);
        Ok(Self { file, keep_ip: false, room, of_functions })
    }

    /// The same, that keep IP addresses in what is not on its way any more: dead letters and rejected events.
    #[must_use]
    pub fn keeping_ip(self, keep_ip: bool) -> Self {
        Self { keep_ip, ..self }
    }

    fn queue(&self, function: Function) -> &Arc<ActionQueue> {
        let [first, second] = &self.of_functions;
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
        let (queue, keep_ip) = (self.queue(function), self.keep_ip);
        queue.record_again(keep_ip).await?;
        queue.load().await?;
        let now = Instant::now();
        let hands = queue.schedule().take(most, now);
        // From here on a failure, or a caller that is gone, gives the lanes back.
        let mut leases: Vec<Lease> =
            hands.into_iter().map(|hand| Lease::new(Arc::clone(queue), hand, keep_ip)).collect();
        let marked = leases.iter().flat_map(|lease| lease.rows(now)).collect::<Vec<_>>();
        if marked.is_empty() {
            return Ok(leases);
        }
        let bodies = self.file.write(move |connection| rows::hand_out(connection, &marked, keep_ip)).await?;
        let mut bodies: HashMap<i64, String> = bodies.into_iter().collect();
        for lease in &mut leases {
            lease.fill(&mut bodies);
        }
        leases.retain(|lease| !lease.messages.is_empty());
        Ok(leases)
    }

    /// Records what could not be recorded when it came.
    ///
    /// # Errors
    /// When it still cannot.
    pub async fn record_again(&self, function: Function) -> Result<(), FileError> {
        self.queue(function).record_again(self.keep_ip).await
    }

    /// Counts the events of a request that was answered; one of which none was read costs no writing.
    pub fn count_request(&self, counts: AnswerCounts) {
        if counts.accepted + counts.skipped.total() + counts.rejected == 0 {
            return;
        }
        self.file.write_later(move |connection| {
            tally::count_request(connection, &counts)?;
            received::count(connection, &counts.received)
        });
    }

    /// Waits until all that was to be written is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn flush(&self) -> Result<(), FileError> {
        self.file.write(|_| Ok(())).await
    }

    /// What events of requests and messages of mappings came to.
    pub async fn tallies(&self) -> Result<(RequestTally, Tallies), FileError> {
        self.file.read(tally::read).await
    }

    /// What came in by source, type and outcome.
    pub async fn received(&self) -> Result<Vec<ReceivedTally>, FileError> {
        self.file.read(received::read).await
    }

    /// The rejected events, the newest first.
    pub async fn rejected_events(&self, most: u32) -> Result<Vec<RejectedEvent>, FileError> {
        self.file.read(move |connection| rows::rejected_events(connection, most)).await
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
        for queue in &self.of_functions {
            queue.bell.notify_one();
        }
        Ok(redriven)
    }

    /// How many messages stand where.
    pub async fn counts(&self) -> Result<QueueCounts, FileError> {
        let counts = self.file.read(rows::counts).await?;
        let in_hand: usize = self.of_functions.iter().map(|queue| queue.schedule().in_hand()).sum();
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
