//! A few connections that all share.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::connection::Connection;
use super::error::PostgresError;
use super::options::PostgresOptions;
use super::sql::Sql;

/// How long one waits for a free connection before the sender is told to come again.
const WAIT_AT_MOST: Duration = Duration::from_secs(20);

/// The connections to a database; clones share them.
#[derive(Clone)]
pub(super) struct Pool {
    options: Arc<PostgresOptions>,
    /// What each connection prepares.
    statements: Arc<[Sql]>,
    idle: Arc<Mutex<Vec<Connection>>>,
    /// One permit for each connection.
    permits: Arc<Semaphore>,
    /// The version of what is kept out of the ranking, which who writes a visitor goes by.
    pub(super) excludes: Arc<AtomicI64>,
}

impl Pool {
    pub(super) fn new(options: PostgresOptions, statements: impl Iterator<Item = Sql>) -> Self {
        let permits = Arc::new(Semaphore::new(options.connections));
        Self {
            options: Arc::new(options),
            statements: statements.collect(),
            idle: Arc::default(),
            permits,
            excludes: Arc::default(),
        }
    }

    /// Whether it is a cluster of Aurora DSQL.
    pub(super) fn is_dsql(&self) -> bool {
        self.options.url.is_dsql()
    }

    /// A connection that is free, or a new one.
    pub(super) async fn take(&self) -> Result<Lent, PostgresError> {
        let permit = timeout(WAIT_AT_MOST, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| PostgresError::TooSlow)?.map_err(|_| PostgresError::ShutDown)?;
        loop {
            // Never held across an await.
            let free = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match free {
                Some(connection) if connection.is_fresh((self.options.clock)()) => {
                    return Ok(self.lend(connection, permit));
                }
                Some(_) => {}
                None => return Ok(self.lend(Connection::open(&self.options, &self.statements).await?, permit)),
            }
        }
    }

    fn lend(&self, connection: Connection, permit: OwnedSemaphorePermit) -> Lent {
        let (idle, options) = (Arc::clone(&self.idle), Arc::clone(&self.options));
        Lent { connection, idle, options, _permit: permit }
    }
}

/// A connection while somebody uses it. One that is dropped and not given back is closed: nobody knows what it is in the middle of.
pub(super) struct Lent {
    connection: Connection,
    idle: Arc<Mutex<Vec<Connection>>>,
    options: Arc<PostgresOptions>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Gives it back: it is in the middle of nothing.
    pub(super) fn give_back(mut self) {
        self.connection.note_use((self.options.clock)());
        if !self.connection.client().is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.connection);
        }
    }
}
