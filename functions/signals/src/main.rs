//! The function `signals`: companies that changed, and who is told of it.

use koala_collector::aws::signals;
use koala_destination::telemetry;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init_json();
    signals::serve().await
}
