//! The tables: made, tried and opened to the functions.

use lambda_runtime::Error;

use crate::store::postgres::{PostgresOptions, administration, self_test};

/// Makes the tables that are not there, tries the database in tables of its own, and lets the functions use it.
pub async fn make(options: &PostgresOptions, roles: &[String], user: &str) -> Result<(), Error> {
    let url = options.url();
    administration::migrate(options).await.map_err(|error| format!("the tables cannot be made in {url}: {error}"))?;
    self_test::run(options)
        .await
        .map_err(|error| format!("{url} does not do what the collector counts on: {error}"))?;
    if url.is_dsql() {
        let granted = administration::grant(options, user, roles).await;
        granted.map_err(|error| format!("cannot grant the functions access to {url}: {error}"))?;
    }
    Ok(())
}
