//! The database that keeps visitors.

use anyhow::{Context, Result};
use koala_collector::store::postgres::{DatabaseUrl, PostgresOptions, PostgresStore};

/// Connects to it.
pub async fn open(url: &DatabaseUrl) -> Result<PostgresStore> {
    let options = options(url)?;
    PostgresStore::open_with(options).await.with_context(|| format!("cannot use the database {url}"))
}

/// How it is connected to.
pub fn options(url: &DatabaseUrl) -> Result<PostgresOptions> {
    let options = PostgresOptions::new(url.clone());
    if url.has_password() {
        return Ok(options);
    }
    #[cfg(feature = "aws")]
    if url.is_dsql() {
        use koala_collector::store::postgres::token::DsqlTokens;
        return Ok(options.passwords(DsqlTokens::new(url, crate::aws_credentials::OfShell::default())?));
    }
    #[cfg(not(feature = "aws"))]
    if url.is_dsql() {
        anyhow::bail!(
            "{url} takes IAM tokens for passwords: this koala is built without them (--features koala-local/aws)"
        );
    }
    Ok(options)
}
