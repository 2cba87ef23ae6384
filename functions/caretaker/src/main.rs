//! The function `caretaker`: the tables before any other function runs, and each minute what is to be counted and deleted.

use koala_collector::aws::caretaker;
use koala_destination::telemetry;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init_json();
    caretaker::serve().await
}
