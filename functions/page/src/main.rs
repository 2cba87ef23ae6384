//! The function `page`: visitors and companies, for people and their programs.

use koala_collector::aws::page;
use koala_destination::telemetry;
use lambda_runtime::Error;

#[allow(clippy::large_futures)] // once for the life of the function
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init_json();
    page::serve().await
}
