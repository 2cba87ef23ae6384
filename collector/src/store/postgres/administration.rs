//! What an administrator does: the tables, and who may use them.

use tokio_postgres::Client;

use super::connection::connect;
use super::error::PostgresError;
use super::migrations;
use super::options::PostgresOptions;
use super::transaction::Attempts;

/// Indexes that a cluster of Aurora DSQL could not make
/// (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/working-with-create-index-async.html>).
const FAILED_JOBS: &str = "SELECT job_id::text, coalesce(details, '') FROM sys.jobs WHERE status = 'failed'";
const HAS_ROLE: &str = "SELECT 1 FROM pg_roles WHERE rolname = $1";
/// Which roles of IAM are which of the database's
/// (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/using-database-and-iam-roles.html>).
const HAS_GRANT: &str = "SELECT 1 FROM sys.iam_pg_role_mappings WHERE arn = $1 AND pg_role_name = $2";

/// Makes the tables that are not there.
///
/// # Errors
/// When the database cannot be reached, or refuses them.
pub async fn migrate(options: &PostgresOptions) -> Result<(), PostgresError> {
    migrations::migrate(options).await.map(drop)
}

/// Lets the functions that have these roles of IAM use a cluster of Aurora DSQL as `user`.
///
/// # Errors
/// When the database cannot be reached, or refuses it.
pub async fn grant(options: &PostgresOptions, user: &str, roles: &[String]) -> Result<(), PostgresError> {
    let mut attempts = Attempts::default();
    loop {
        match grant_once(options, user, roles).await {
            Ok(()) => return Ok(()),
            Err(error) => attempts.again(error).await?,
        }
    }
}

async fn grant_once(options: &PostgresOptions, user: &str, roles: &[String]) -> Result<(), PostgresError> {
    let client = connect(options).await?;
    let name = quoted_name(user);
    if client.query_opt(HAS_ROLE, &[&user]).await?.is_none() {
        client.batch_execute(&format!("CREATE ROLE {name} WITH LOGIN")).await?;
    }
    for role in roles {
        if client.query_opt(HAS_GRANT, &[role, &user]).await?.is_none() {
            client.batch_execute(&format!("AWS IAM GRANT {name} TO {}", quoted_text(role))).await?;
        }
    }
    client.batch_execute(&format!("GRANT USAGE ON SCHEMA public TO {name}")).await?;
    for table in migrations::tables() {
        let table = quoted_name(&table);
        client.batch_execute(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {table} TO {name}")).await?;
    }
    Ok(())
}

/// The indexes that could not be made; none where indexes are made at once.
pub(super) async fn failed_index_jobs(client: &Client, is_dsql: bool) -> Result<Vec<String>, PostgresError> {
    if !is_dsql {
        return Ok(Vec::new());
    }
    let rows = client.query(FAILED_JOBS, &[]).await?;
    let job = |row: &tokio_postgres::Row| Ok(format!("{}: {}", row.try_get::<_, &str>(0)?, row.try_get::<_, &str>(1)?));
    rows.iter().map(job).collect()
}

/// A name in a statement that takes no values.
pub(super) fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in a statement that takes no values.
fn quoted_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_statement_that_takes_no_values_cannot_end_it() {
        assert_eq!(quoted_name(r#"koala"; DROP TABLE entry; --"#), r#""koala""; DROP TABLE entry; --""#);
        assert_eq!(quoted_text("arn'; DROP TABLE entry; --"), "'arn''; DROP TABLE entry; --'");
    }
}
