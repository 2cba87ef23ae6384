//! A cluster of Aurora DSQL for the suite, where `tests/dsql` names one: its schema is emptied before each case.

use std::env;
use std::sync::Arc;

use koala_collector::store::postgres::DatabaseUrl;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The cluster, empty; none where none is named.
pub async fn empty() -> Option<DatabaseUrl> {
    let url = env::var("KOALA_TEST_CLUSTER").ok()?;
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let tls = MakeRustlsConnect::new(config.with_no_client_auth());
    let (client, connection) = tokio_postgres::connect(&format!("{url}?sslmode=require"), tls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    for row in client.query(tables, &[]).await.unwrap() {
        // One statement of that kind a transaction.
        client.batch_execute(&format!("DROP TABLE {}", row.get::<_, String>(0))).await.unwrap();
    }
    Some(DatabaseUrl::parse(&url).unwrap())
}
