//! `koala`: the Koala destination for Segment, the whole set on one machine.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    koala_local::command::run().await
}
