//! The function `identify-visitor`: who somebody is (Identify Visitor, Identify Account). Batches of its queue in, batch requests to the collector out.

use koala_destination::aws::consumer;
use koala_destination::segment::Function;
use koala_destination::telemetry;
use lambda_runtime::Error;

#[allow(clippy::large_futures)] // once for the life of the function
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init_json();
    consumer::serve(Function::IdentifyVisitor).await
}
