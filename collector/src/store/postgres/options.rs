//! How a database is connected to.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;

use super::address::DatabaseUrl;
use super::error::PostgresError;

/// Connections of one process: more would wait for the same cores.
const CONNECTIONS: usize = 8;

/// Passwords that are not in the URL: one for each new connection.
#[async_trait]
pub trait Passwords: fmt::Debug + Send + Sync {
    /// The password of a connection that is made now.
    ///
    /// # Errors
    /// When no password can be made.
    async fn next(&self, now: SystemTime) -> Result<String, PostgresError>;
}

/// How a database is connected to.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) url: DatabaseUrl,
    pub(super) connections: usize,
    pub(super) passwords: Option<Arc<dyn Passwords>>,
    pub(super) clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// Where tables are looked for, where it is not the user's own way.
    pub(super) schema: Option<Arc<str>>,
}

impl PostgresOptions {
    /// The connections of a process that does many things at once, with the password that the URL has.
    #[must_use]
    pub fn new(url: DatabaseUrl) -> Self {
        Self { url, connections: CONNECTIONS, passwords: None, clock: Arc::new(SystemTime::now), schema: None }
    }

    /// At most so many connections at once, and at least one: a function that does one thing at a time keeps one.
    #[must_use]
    pub fn connections(self, most: usize) -> Self {
        Self { connections: most.max(1), ..self }
    }

    /// A password of its own for each new connection.
    #[must_use]
    pub fn passwords(self, passwords: impl Passwords + 'static) -> Self {
        Self { passwords: Some(Arc::new(passwords)), ..self }
    }

    /// The same with tables in a schema of their own.
    #[must_use]
    pub(super) fn in_schema(self, schema: &str) -> Self {
        Self { schema: Some(schema.into()), ..self }
    }

    /// Which database it is.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Another clock of the wall, which tells how old a connection is.
    #[must_use]
    pub fn clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresOptions")
            .field("url", &self.url)
            .field("connections", &self.connections)
            .field("passwords", &self.passwords)
            .finish_non_exhaustive()
    }
}
