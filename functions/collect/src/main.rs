//! The function `collect`: entries in by Koala's protocol, from the stack's own handlers or from whoever has the public key; visitors
//! out, to the database.

use koala_collector::aws::collect;
use koala_destination::telemetry;
use lambda_runtime::Error;

#[allow(clippy::large_futures)] // once for the life of the function
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init_json();
    collect::serve().await
}
