//! What PostgreSQL says, and whether it is worth another try.

use std::error::Error;

use thiserror::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// The database cannot do what was asked.
#[derive(Debug, Error)]
pub enum PostgresError {
    /// The server refuses it, or the connection is gone.
    #[error("PostgreSQL: {}", said(.0))]
    Server(#[from] tokio_postgres::Error),
    /// It took too long.
    #[error("PostgreSQL does not answer in time")]
    TooSlow,
    /// No connection is free, and none will be.
    #[error("the connections to PostgreSQL are shut down")]
    ShutDown,
    /// What the URL of a database says cannot be followed.
    #[error("the URL of the database: {0}")]
    Url(String),
    /// What a server would have to prove is not known.
    #[error("TLS to the database: {0}")]
    Tls(String),
    /// No token opens a connection to Aurora DSQL.
    #[cfg(feature = "dsql")]
    #[error("{0}")]
    Token(#[from] TokenError),
    /// Its tables are of an older release.
    #[error("the tables are of an older release: deploy this one whole, or open the database with koala up --database")]
    Older,
    /// A row is not as it was written.
    #[error("a row cannot be read: {0}")]
    Row(&'static str),
}

/// No token can be signed.
#[cfg(feature = "dsql")]
#[derive(Debug, Error)]
pub enum TokenError {
    /// It is not the URL of a cluster of Aurora DSQL.
    #[error("the host is not an Aurora DSQL endpoint: <cluster>.dsql.<region>.on.aws")]
    NoCluster,
    /// There are no credentials, or none now.
    #[error("AWS credentials for Aurora DSQL: {0}")]
    Credentials(String),
    /// The host or the credentials cannot be signed.
    #[error("a token for Aurora DSQL: {0}")]
    Signing(String),
}

#[cfg(feature = "dsql")]
impl TokenError {
    pub(super) fn signing(error: impl std::error::Error) -> Self {
        Self::Signing(error.to_string())
    }
}

/// The server's own words, or what is wrong with the connection.
fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
    }
}

impl PostgresError {
    /// Whether the same transaction may go through when it is tried again: another one was in its way, or the server or the
    /// connection failed for a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Server(error) => error.code().map_or_else(|| !is_of_ours(error), is_passing),
            // Credentials are asked for anew for the next connection.
            #[cfg(feature = "dsql")]
            Self::Token(TokenError::Credentials(_)) => true,
            Self::TooSlow => true,
            #[cfg(feature = "dsql")]
            Self::Token(_) => false,
            Self::ShutDown | Self::Older | Self::Url(_) | Self::Tls(_) | Self::Row(_) => false,
        }
    }
}

/// Whether the client library refuses it, and not the network.
fn is_of_ours(error: &tokio_postgres::Error) -> bool {
    !error.is_closed() && error.source().is_none_or(|source| !source.is::<std::io::Error>())
}

/// The codes for which a transaction is tried again as a whole
/// (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/working-with-concurrency-control.html>,
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn is_passing(code: &SqlState) -> bool {
    const CODES: [SqlState; 12] = [
        SqlState::T_R_SERIALIZATION_FAILURE,    // 40001, at COMMIT on DSQL
        SqlState::T_R_DEADLOCK_DETECTED,        // 40P01
        SqlState::INTERNAL_ERROR,               // XX000, which DSQL gives for a moment
        SqlState::TOO_MANY_CONNECTIONS,         // 53300
        SqlState::CONFIGURATION_LIMIT_EXCEEDED, // 53400
        // Another writer has made the same id in between; the next attempt finds it.
        SqlState::UNIQUE_VIOLATION,
        // Of statements that travel together the answer to a later one may be seen first: another one failed before it.
        SqlState::IN_FAILED_SQL_TRANSACTION, // 25P02
        // The server shuts down or starts up.
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::CONNECTION_FAILURE,
        SqlState::CONNECTION_EXCEPTION,
    ];
    CODES.contains(code)
}

impl From<PostgresError> for StoreError {
    fn from(error: PostgresError) -> Self {
        Self::new(error)
    }
}
