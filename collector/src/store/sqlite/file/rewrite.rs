//! A file written anew, so that nothing of what was deleted is left in it.

use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::FileError;
use super::writer::Job;

/// A file that is written anew in so long holds up nobody.
const QUICK: Duration = Duration::from_millis(250);
/// A larger one is written anew after as many times what that took last, so that it costs a tenth of the writing at most.
const PAUSE_TIMES: u32 = 10;

/// When the file was last written anew, and how long that took.
#[derive(Debug, Clone, Copy)]
struct Rewritten {
    at: Instant,
    took: Duration,
}

/// A file that is written anew now and then.
#[derive(Debug, Default)]
pub struct Rewriting {
    last: Mutex<Option<Rewritten>>,
}

impl Rewriting {
    /// Writes the file anew, so that nothing of what was deleted is left in it: not in free pages, not between rows, where moved
    /// ones leave copies that no deletion finds, and not in the log. Gives back whether it is done. It is not while somebody
    /// reads what was there before, or when it was just done and took long: writing waits meanwhile.
    ///
    /// # Errors
    /// When SQLite refuses it, as where there is no room for a second copy.
    pub async fn run(&self, writer: &Sender<Job>) -> Result<bool, FileError> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.took > QUICK && last.at.elapsed() < last.took * PAUSE_TIMES) {
            return Ok(false);
        }
        let (answer, answered) = oneshot::channel();
        let work = move |connection: &Connection| {
            let begun = Instant::now();
            let done = rewrite(connection);
            // Nobody waits for the answer when the process ends.
            let _ = answer.send((done, begun.elapsed()));
        };
        writer.send(Job::Alone(Box::new(work))).map_err(|_| FileError::Closed)?;
        let (done, took) = answered.await.map_err(|_| FileError::Closed)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Rewritten { at: Instant::now(), took });
        Ok(done?)
    }
}

fn rewrite(connection: &Connection) -> rusqlite::Result<bool> {
    connection.execute_batch("VACUUM; PRAGMA busy_timeout = 100;")?;
    // The log is read to its end and cut off, unless somebody reads what it had before.
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    connection.execute_batch("PRAGMA busy_timeout = 5000;")?;
    Ok(!is_busy?)
}
