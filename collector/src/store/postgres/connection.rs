//! One connection to the database.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::try_join_all;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::DatabaseUrl;
use super::error::PostgresError;
use super::sql::{self, Sql};

/// How long a server may take to answer that we come.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A connection that was idle for longer may have died silently, as in a function that was frozen.
const LONGEST_IDLE: Duration = Duration::from_mins(1);
/// Aurora DSQL ends a connection after 60 min
/// (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/CHAP_quotas.html>).
const LONGEST_LIFE: Duration = Duration::from_mins(50);

/// A connection with its prepared statements.
pub(super) struct Connection {
    client: Client,
    statements: HashMap<Sql, Statement>,
    made_at: SystemTime,
    used_at: SystemTime,
}

impl Connection {
    /// Connects, and prepares all statements at once.
    pub(super) async fn open(url: &DatabaseUrl) -> Result<Self, PostgresError> {
        let client = connect(url).await?;
        let prepare = sql::all().map(|sql| {
            let client = &client;
            async move { Ok::<_, PostgresError>((sql, client.prepare(sql.0).await?)) }
        });
        let prepared = timeout(CONNECT_WITHIN, try_join_all(prepare)).await.map_err(|_| PostgresError::TooSlow)??;
        let now = SystemTime::now();
        Ok(Self { statements: prepared.into_iter().collect(), client, made_at: now, used_at: now })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn statement(&self, sql: Sql) -> Result<&Statement, PostgresError> {
        self.statements.get(&sql).ok_or(PostgresError::Row("a statement that is not listed"))
    }

    /// Whether it can be used still. The clock of the wall tells, since a frozen process has no other.
    pub(super) fn is_fresh(&self) -> bool {
        let now = SystemTime::now();
        // A clock that was set back says nothing: then it is replaced.
        let within = |since: SystemTime, most| now.duration_since(since).is_ok_and(|passed| passed < most);
        !self.client.is_closed() && within(self.used_at, LONGEST_IDLE) && within(self.made_at, LONGEST_LIFE)
    }

    pub(super) fn note_use(&mut self) {
        self.used_at = SystemTime::now();
    }
}

/// Connects without more.
pub(super) async fn connect(url: &DatabaseUrl) -> Result<Client, PostgresError> {
    timeout(CONNECT_WITHIN, connect_now(url)).await.map_err(|_| PostgresError::TooSlow)?
}

async fn connect_now(url: &DatabaseUrl) -> Result<Client, PostgresError> {
    let config = url.config();
    // What a connection has to say when it ends is said to whoever uses it.
    if config.get_ssl_mode() == SslMode::Disable {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    } else {
        let (client, connection) = config.connect(tls()?).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

/// TLS with Mozilla's roots.
fn tls() -> Result<MakeRustlsConnect, PostgresError> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| PostgresError::Url(error.to_string()))?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}
