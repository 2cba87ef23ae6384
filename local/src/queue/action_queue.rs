//! The queue of one function: its schedule, and its rows in the file that all queues share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use koala_collector::store::sqlite::file::{FileError, SqliteFile};
use koala_destination::segment::Function;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::rows::{self, Recorded};
use super::schedule::{Schedule, Waiting};

/// The most messages of a queue that the schedule knows; what is newer waits in the file until there is room. About 10 MB.
const MOST_KNOWN: usize = 100_000;
/// How many are loaded at once.
const LOADED_AT_ONCE: usize = 1_000;

/// The queue of one function.
pub struct ActionQueue {
    /// Whose it is.
    pub function: Function,
    /// Rings when a message comes in, or a lane comes back.
    pub bell: Notify,
    file: SqliteFile,
    schedule: Mutex<Schedule>,
    /// The newest row that the schedule has been told of.
    loaded: tokio::sync::Mutex<i64>,
    /// Outcomes that could not be recorded, a full disk's fault; nothing more is handed out until they are.
    unrecorded: Mutex<Vec<Recorded>>,
}

impl ActionQueue {
    /// That of a function in a file.
    pub fn new(function: Function, file: SqliteFile) -> Self {
        let (bell, schedule) = (Notify::new(), Mutex::default());
        Self { function, bell, file, schedule, loaded: tokio::sync::Mutex::default(), unrecorded: Mutex::default() }
    }

    /// Whose turn it is.
    pub fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unrecorded(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the schedule of messages that it does not know.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn load(&self) -> Result<(), FileError> {
        let function = self.function;
        let mut loaded = self.loaded.lock().await;
        while self.schedule().known() < MOST_KNOWN {
            let after = *loaded;
            let rows =
                self.file.read(move |connection| rows::load(connection, function, after, LOADED_AT_ONCE)).await?;
            let is_last = rows.len() < LOADED_AT_ONCE;
            let now = Instant::now();
            let mut schedule = self.schedule();
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

    /// Records outcomes, now or as soon as that is possible.
    pub async fn record(&self, outcomes: Vec<Recorded>, keep_ip: bool) {
        let recorded = outcomes.clone();
        if let Err(error) = self.file.write(move |connection| rows::record(connection, &recorded, keep_ip)).await {
            tracing::error!(function = self.function.name(), %error, "outcomes cannot be recorded; nothing is delivered until they are");
            self.unrecorded().extend(outcomes);
        }
    }

    /// Records what could not be recorded when it came.
    ///
    /// # Errors
    /// When it still cannot.
    pub async fn record_again(&self, keep_ip: bool) -> Result<(), FileError> {
        let outcomes = self.unrecorded().clone();
        if outcomes.is_empty() {
            return Ok(());
        }
        let count = outcomes.len();
        self.file.write(move |connection| rows::record(connection, &outcomes, keep_ip)).await?;
        self.unrecorded().drain(..count);
        Ok(())
    }
}
