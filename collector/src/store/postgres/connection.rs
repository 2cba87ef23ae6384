//! One connection to the database.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use futures_util::future::{try_join, try_join_all};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls, Statement};

use super::error::PostgresError;
use super::options::PostgresOptions;
use super::sql::Sql;
use super::tls;

/// How long a server may take to answer that we come.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A connection that was idle for longer may have died silently, as in a function that was frozen.
const LONGEST_IDLE: Duration = Duration::from_mins(1);
/// Aurora DSQL ends a connection after 60 min
/// (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/CHAP_quotas.html>).
const LONGEST_LIFE: Duration = Duration::from_mins(50);

/// What is asked here is answered in less time than PostgreSQL's compiler takes to start.
const NO_JIT: &str = "SET jit = off";

/// A connection with its prepared statements.
pub(super) struct Connection {
    client: Client,
    statements: HashMap<Sql, Statement>,
    age: Age,
    is_dsql: bool,
}

/// When a connection was made and used last, by the clock of the wall: that of a process stands still while the process is frozen.
#[derive(Debug, Clone, Copy)]
struct Age {
    made_at: SystemTime,
    used_at: SystemTime,
}

impl Age {
    /// Whether neither is too long ago. A clock that was set back says nothing: then it is.
    fn is_young(self, now: SystemTime) -> bool {
        let within = |since: SystemTime, most| now.duration_since(since).is_ok_and(|passed| passed < most);
        within(self.used_at, LONGEST_IDLE) && within(self.made_at, LONGEST_LIFE)
    }
}

impl Connection {
    /// Connects, and prepares statements, all at once.
    pub(super) async fn open(options: &PostgresOptions, statements: &[Sql]) -> Result<Self, PostgresError> {
        let client = connect(options).await?;
        let prepare = statements.iter().map(|sql| {
            let client = &client;
            async move { Ok::<_, PostgresError>((*sql, client.prepare(sql.0).await?)) }
        });
        let no_jit = async {
            // Aurora DSQL has no such setting.
            if options.url.is_dsql() { Ok(()) } else { Ok(client.batch_execute(NO_JIT).await?) }
        };
        let begun = timeout(CONNECT_WITHIN, try_join(try_join_all(prepare), no_jit)).await;
        let (prepared, ()) = begun.map_err(|_| PostgresError::TooSlow)??;
        let now = (options.clock)();
        let age = Age { made_at: now, used_at: now };
        Ok(Self { statements: prepared.into_iter().collect(), client, age, is_dsql: options.url.is_dsql() })
    }

    pub(super) fn is_dsql(&self) -> bool {
        self.is_dsql
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn statement(&self, sql: Sql) -> Result<&Statement, PostgresError> {
        self.statements.get(&sql).ok_or(PostgresError::Row("a statement that is not listed"))
    }

    /// Whether it can be used still.
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        !self.client.is_closed() && self.age.is_young(now)
    }

    pub(super) fn note_use(&mut self, now: SystemTime) {
        self.age.used_at = now;
    }
}

/// Connects without more.
pub(super) async fn connect(options: &PostgresOptions) -> Result<Client, PostgresError> {
    let client = timeout(CONNECT_WITHIN, connect_now(options)).await.map_err(|_| PostgresError::TooSlow)??;
    if let Some(schema) = &options.schema {
        client.batch_execute(&format!("SET search_path = {schema}")).await?;
    }
    Ok(client)
}

async fn connect_now(options: &PostgresOptions) -> Result<Client, PostgresError> {
    let mut config = options.url.config().clone();
    if let Some(passwords) = &options.passwords {
        config.password(passwords.next((options.clock)()).await?);
    }
    // What a connection has to say when it ends is said to whoever uses it.
    if config.get_ssl_mode() == SslMode::Disable {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    } else {
        let (client, connection) = config.connect(tls::connector(options.url.roots())?).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_replaced_when_idle_for_a_minute_or_fifty_minutes_old() {
        let made_at = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let is_young = |used_after: u64, now_after: i64| {
            let age = Age { made_at, used_at: made_at + Duration::from_secs(used_after) };
            let passed = Duration::from_secs(now_after.unsigned_abs());
            age.is_young(if now_after < 0 { made_at - passed } else { made_at + passed })
        };
        assert!(is_young(0, 59));
        assert!(!is_young(0, 60), "idle");
        assert!(is_young(2950, 2999));
        assert!(!is_young(2999, 3000), "old");
        assert!(!is_young(0, -1), "a clock that was set back");
    }
}
