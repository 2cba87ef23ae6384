//! A schema of the test's own, so that nothing of the collector's is touched; and nothing left of it.

use std::time::{Duration, Instant};

use koala_destination::clock::now_milliseconds;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::super::administration::quoted_name;
use super::super::connection::connect;
use super::super::error::PostgresError;
use super::super::migrations;
use super::super::options::PostgresOptions;
use super::super::transaction::Attempts;
use super::error::SelfTestError;

/// How the name of each begins. The time at which it was made follows, by which one that a test has left is known.
const NAME: &str = "koala_self_test_";
/// No test takes as long: a deploy has five minutes for it.
const LONGEST_TEST: Duration = Duration::from_hours(1);

/// What makes a table or an index takes no longer, where none has a row.
const LONGEST_STATEMENT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

const THERE_ARE: &str = r"SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'koala\_self\_test\_%'";
/// Who asks where, where the tables of the collector go, and whether they are there.
const ROOM: &str =
    "SELECT current_user::text, current_schema()::text, has_schema_privilege(current_schema(), 'CREATE'),
    to_regclass('migration') IS NOT NULL";
const WHO_AND_WHERE: &str = "SELECT current_user::text, current_database()::text";

/// A name that no other test has, be it at the same time.
pub fn new_name() -> String {
    format!("{NAME}{:x}_{:08x}", now_milliseconds(), fastrand::u32(..))
}

/// Whether a schema was left by a test that ended long ago.
fn is_left(name: &str, now: i64) -> bool {
    let made_at = name.strip_prefix(NAME).and_then(|rest| i64::from_str_radix(rest.split('_').next()?, 16).ok());
    let longest = i64::try_from(LONGEST_TEST.as_millis()).unwrap_or(i64::MAX);
    made_at.is_some_and(|made_at| now.saturating_sub(made_at) > longest)
}

/// Whether the collector's own tables are there, or the role may make them.
pub async fn has_room(client: &Client) -> Result<(), SelfTestError> {
    const WHAT: &str = "looking where the collector's own tables go";
    let refused = |error: tokio_postgres::Error| SelfTestError::Refused(WHAT, error.into());
    let row = client.query_one(ROOM, &[]).await.map_err(refused)?;
    if row.try_get(3).map_err(refused)? {
        return Ok(());
    }
    let Some(schema) = row.try_get::<_, Option<String>>(1).map_err(refused)? else {
        return Err(SelfTestError::Otherwise("none of the schemas in search_path exists".to_owned()));
    };
    if row.try_get::<_, Option<bool>>(2).map_err(refused)?.unwrap_or(false) {
        return Ok(());
    }
    let role: String = row.try_get(0).map_err(refused)?;
    let grant = format!("GRANT CREATE ON SCHEMA {} TO {}", quoted_name(&schema), quoted_name(&role));
    let why = format!("the role {role} may not make tables in the schema {schema}");
    Err(SelfTestError::MayNot { what: WHAT, why, grant })
}

/// Makes the schema, and drops those that tests have left.
pub async fn make(client: &Client, apart: &PostgresOptions) -> Result<(), SelfTestError> {
    const WHAT: &str = "making a schema for the test";
    let Some(name) = apart.schema.as_deref() else { return Ok(()) };
    match client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {name}")).await {
        Ok(()) => {}
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            let refused = |error: tokio_postgres::Error| SelfTestError::Refused(WHAT, error.into());
            let row = client.query_one(WHO_AND_WHERE, &[]).await.map_err(refused)?;
            let (role, database): (String, String) =
                (row.try_get(0).map_err(refused)?, row.try_get(1).map_err(refused)?);
            let grant = format!("GRANT CREATE ON DATABASE {} TO {}", quoted_name(&database), quoted_name(&role));
            let why = format!("the role {role} may not make a schema in the database {database}");
            return Err(SelfTestError::MayNot { what: WHAT, why, grant });
        }
        Err(error) => return Err(SelfTestError::Refused(WHAT, error.into())),
    }
    if let Err(error) = drop_left(client).await {
        tracing::warn!(%error, "what another test has left stays");
    }
    Ok(())
}

async fn drop_left(client: &Client) -> Result<(), PostgresError> {
    let now = now_milliseconds();
    for row in client.query(THERE_ARE, &[]).await? {
        let name: String = row.try_get(0)?;
        if is_left(&name, now) {
            drop_once(client, &name).await?;
        }
    }
    Ok(())
}

/// Drops the schema with all that is in it. A statement that was under way when a test was stopped ends first, and may have made a table
/// meanwhile: then it is done again.
pub async fn leave_nothing(apart: &PostgresOptions) -> Result<(), SelfTestError> {
    let Some(name) = apart.schema.as_deref() else { return Ok(()) };
    let (mut attempts, begun) = (Attempts::default(), Instant::now());
    loop {
        let dropped = async { drop_once(&connect(apart).await?, name).await }.await;
        let Err(error) = dropped else { return Ok(()) };
        let again = if is_not_empty(&error) && begun.elapsed() < LONGEST_STATEMENT {
            tokio::time::sleep(PAUSE).await;
            Ok(())
        } else {
            attempts.again(error).await
        };
        if let Err(error) = again {
            return Err(SelfTestError::Otherwise(format!("the schema {name} is left and can be dropped: {error}")));
        }
    }
}

fn is_not_empty(error: &PostgresError) -> bool {
    matches!(error, PostgresError::Server(error) if error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST))
}

/// A table at a time: Aurora DSQL takes one such statement a transaction.
async fn drop_once(client: &Client, name: &str) -> Result<(), PostgresError> {
    // Whoever may make schemas may have given one any name.
    let name = quoted_name(name);
    for table in migrations::tables() {
        client.batch_execute(&format!("DROP TABLE IF EXISTS {name}.{table}")).await?;
    }
    Ok(client.batch_execute(&format!("DROP SCHEMA IF EXISTS {name}")).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_left_when_no_test_can_be_at_it_any_more() {
        let (name, now) = (new_name(), now_milliseconds());
        assert_ne!(name, new_name());
        assert!(!is_left(&name, now) && !is_left(&name, now + 3_500_000));
        assert!(is_left(&name, now + 3_700_000));
        for other in ["koala_self_test_", "koala_self_test_x_1", "koala", "koala_self_test"] {
            assert!(!is_left(other, now + 3_700_000), "{other}");
        }
    }
}
