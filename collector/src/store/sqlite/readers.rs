//! Connections that read: so many at once, and no longer than somebody waits for what they read.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task;

/// After as many steps of SQLite's a read looks whether somebody waits for it: some tens of microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1000;

/// Connections of one kind; clones share them. Who finds them all busy waits for the next.
#[derive(Clone)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    /// One permit for each connection.
    permits: Arc<Semaphore>,
}

impl Readers {
    /// As many connections as `count`, each made by `connect`.
    pub(super) fn open(
        path: &Path,
        count: usize,
        connect: impl Fn(&Path) -> rusqlite::Result<Connection>,
    ) -> rusqlite::Result<Self> {
        let idle = (0..count).map(|_| connect(path)).collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(idle)), permits: Arc::new(Semaphore::new(count)) })
    }

    /// Reads on a connection; nothing when there is none left. A read that is given up, as when the client that asked for it is
    /// gone, is interrupted.
    pub(super) async fn read<T, F>(&self, read: F) -> Option<rusqlite::Result<T>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        // It comes back whatever happens to the read, a panic too; the permit after it.
        let lent = Lent { connection: Some(connection), idle: Arc::clone(&self.idle), _permit: permit };
        let given_up = Arc::new(AtomicBool::new(false));
        let _told_when_dropped = GivesUp(Arc::clone(&given_up));
        let reading = task::spawn_blocking(move || lent.read(given_up, read));
        reading.await.ok()
    }
}

/// Says when it is dropped that nobody waits for a read.
struct GivesUp(Arc<AtomicBool>);

impl Drop for GivesUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection while somebody reads on it.
struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    fn read<T>(
        mut self,
        given_up: Arc<AtomicBool>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        // There until it is dropped.
        let Some(connection) = &mut self.connection else { return Err(rusqlite::Error::InvalidQuery) };
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || given_up.load(Ordering::Relaxed)))?;
        read(connection)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    fn readers(count: usize) -> Readers {
        Readers::open(Path::new(":memory:"), count, |path| Connection::open(path)).expect("connections")
    }

    /// A read that goes on for ever.
    fn endless(connection: &Connection) -> rusqlite::Result<i64> {
        let endless = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT max(n) FROM n";
        connection.query_row(endless, [], |row| row.get(0))
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_is_interrupted() {
        let readers = readers(2);
        for _ in 0..20 {
            let given_up = tokio::time::timeout(Duration::from_millis(20), readers.read(endless)).await;
            given_up.expect_err("it goes on for ever");
        }
        let one = readers.read(|connection| connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0)));
        let one = tokio::time::timeout(Duration::from_secs(5), one).await.expect("a connection is free");
        assert_eq!(one.expect("a connection").expect("a row"), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_read_at_once_than_there_are_connections() {
        let readers = readers(2);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let read = || {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            readers.read(move |_| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            })
        };
        for read in futures_util::future::join_all((0..50).map(|_| read())).await {
            read.expect("a connection").expect("a read");
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_read_that_panics_takes_no_connection_along() {
        let readers = readers(1);
        for _ in 0..3 {
            readers.read(|_| -> rusqlite::Result<()> { panic!("a bug") }).await.ok_or(()).expect_err("a panic");
        }
        readers.read(|_| Ok(())).await.expect("a connection is free").expect("a read");
    }
}
