//! The tables. Migrations only add, and suit the release before: one that meets a newer database leaves it as it is.

use tokio_postgres::Client;

use super::connection::connect;
use super::error::PostgresError;
use super::options::PostgresOptions;
use super::tombstones;
use super::transaction::Attempts;
use crate::tombstone::TombstoneKey;

/// What each version has more. One that was released is never changed.
const MIGRATIONS: [&str; 3] =
    [include_str!("migrations/1.sql"), include_str!("migrations/2.sql"), include_str!("migrations/3.sql")];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migration (version bigint PRIMARY KEY)";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM migration";
const DONE: &str = "INSERT INTO migration (version) VALUES ($1) ON CONFLICT DO NOTHING";

/// Brings a database to this version, and gives back the key of its tombstones. Several may do so at once: each statement is a transaction of its own, and does nothing where
/// it was done.
pub(super) async fn migrate(options: &PostgresOptions) -> Result<TombstoneKey, PostgresError> {
    let mut attempts = Attempts::default();
    loop {
        match migrate_once(options).await {
            Ok(key) => return Ok(key),
            Err(error) => attempts.again(error).await?,
        }
    }
}

async fn migrate_once(options: &PostgresOptions) -> Result<TombstoneKey, PostgresError> {
    let client = connect(options).await?;
    let version = version(&client).await?;
    for (number, migration) in (1_i64..).zip(MIGRATIONS).filter(|(number, _)| *number > version) {
        for statement in statements(migration) {
            client.batch_execute(&for_server(&statement, options.url.is_dsql())).await?;
        }
        client.execute(DONE, &[&number]).await?;
    }
    tombstones::key(&client).await
}

async fn version(client: &Client) -> Result<i64, PostgresError> {
    client.batch_execute(TABLE).await?;
    Ok(client.query_one(VERSION, &[]).await?.try_get(0)?)
}

/// What is needed of a database that was brought to this version or a later one: the key of its tombstones.
pub(super) async fn made(client: &Client) -> Result<TombstoneKey, PostgresError> {
    let version: i64 = client.query_one(VERSION, &[]).await?.try_get(0)?;
    if usize::try_from(version).is_ok_and(|version| version >= MIGRATIONS.len()) {
        tombstones::kept_key(client).await
    } else {
        Err(PostgresError::Older)
    }
}

/// The statements of a migration, without comments.
fn statements(migration: &str) -> impl Iterator<Item = String> {
    let lines = migration.lines().map(|line| line.split("--").next().unwrap_or_default().trim_end());
    let sql: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let sql = sql.join("\n");
    let statements: Vec<String> = sql.split(';').map(|statement| statement.trim().to_owned()).collect();
    statements.into_iter().filter(|statement| !statement.is_empty())
}

/// The tables that there are.
pub(super) fn tables() -> Vec<String> {
    let made = MIGRATIONS.into_iter().flat_map(statements).chain([TABLE.to_owned()]);
    let table = |statement: String| {
        Some(statement.strip_prefix("CREATE TABLE IF NOT EXISTS ")?.split_whitespace().next()?.to_owned())
    };
    made.filter_map(table).collect()
}

/// How many migrations there are: the version that a database is brought to.
#[must_use]
pub fn newest() -> usize {
    MIGRATIONS.len()
}

/// Aurora DSQL makes indexes beside the work that goes on, and wants it said; PostgreSQL does not know the word.
fn for_server(statement: &str, is_dsql: bool) -> String {
    if is_dsql { statement.to_owned() } else { statement.replace("CREATE INDEX ASYNC", "CREATE INDEX") }
}

/// All statements of all migrations, as Aurora DSQL gets them.
pub fn all() -> Vec<String> {
    let beside = [TABLE, VERSION, DONE, tombstones::INSTALL, tombstones::KEY].map(str::to_owned);
    MIGRATIONS.into_iter().flat_map(statements).chain(beside).collect()
}
