//! The function `page`: visitors and companies, for people and their programs.

use koala_collector::aws::page;
use koala_destination::telemetry;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init_json();
    Box::pin(page::serve()).await
}
