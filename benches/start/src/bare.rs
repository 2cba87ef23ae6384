//! The least that a Lambda function in Rust can be which opens the connections that ours open: what the others are measured beside.
//!
//! Two at init, to Parameter Store and to SQS; and in an invocation a request to SQS, or one to the collector with `--collector`, to which
//! the first invocation opens a connection of its own. With `--database` it is Parameter Store and the database of `DATABASE_URL`, on this machine and without TLS, and a query in an invocation.

use koala_destination::http_client;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let aws = std::env::var("AWS_ENDPOINT_URL")?;
    let collector = std::env::var("KOALA_URL")?;
    let asks_collector = std::env::args().any(|argument| argument == "--collector");
    if std::env::args().any(|argument| argument == "--database") {
        return ask_database(&aws).await;
    }
    let client = || -> Result<_, Error> { Ok(http_client::builder()?.build()?) };
    let clients = [client()?, client()?, client()?];
    let [parameter_store, sqs, of_collector] = &clients;
    let (parameters, connected) = tokio::join!(parameter_store.get(&aws).send(), sqs.get(&aws).send());
    parameters?.bytes().await?;
    connected?.bytes().await?;
    let (client, to) = if asks_collector { (of_collector, &collector) } else { (sqs, &aws) };
    run(service_fn(async |event: LambdaEvent<Value>| {
        client.post(to).send().await?.bytes().await?;
        Ok::<_, Error>(event.payload)
    }))
    .await
}

async fn ask_database(aws: &str) -> Result<(), Error> {
    let parameter_store = http_client::builder()?.build()?;
    let url = std::env::var("DATABASE_URL")?;
    let parameters = async { parameter_store.get(aws).send().await?.bytes().await };
    let (parameters, connected) = tokio::join!(parameters, tokio_postgres::connect(&url, tokio_postgres::NoTls));
    parameters?;
    let (client, connection) = connected?;
    tokio::spawn(connection);
    run(service_fn(async |event: LambdaEvent<Value>| {
        client.query("SELECT 1", &[]).await?;
        Ok::<_, Error>(event.payload)
    }))
    .await
}
