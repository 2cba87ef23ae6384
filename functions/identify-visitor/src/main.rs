//! The function `identify-visitor`: identify events to visitor traits. Batches of its queue in, batch requests to Koala out.

use koala_destination::aws::consumer;
use koala_destination::segment::Action;
use koala_destination::telemetry;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init_json();
    consumer::serve(Action::IdentifyVisitor).await
}
