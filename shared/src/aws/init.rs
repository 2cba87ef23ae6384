//! What a function does before it asks Lambda for its first event.
//!
//! Lambda may start a function long before the event that it is for, and then freezes it as soon as it has asked for one:
//! what is under way at that moment is cut off. And until then a function has more processor time than its memory buys
//! (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>). So the handshakes of TLS, which are most of
//! a first invocation, are done here.

use std::future::Future;
use std::time::Duration;

/// How long it may take. Lambda allows 10 s, and starts the function again after that; whoever waits for a cold start does
/// not have them.
const LONGEST_INIT: Duration = Duration::from_secs(2);

/// Reads the settings and opens connections at once. What fails or takes too long is left to the first event.
pub async fn before_the_first_event(settings: impl Future<Output = ()>, connections: impl Future<Output = ()>) {
    let both = async { tokio::join!(settings, connections) };
    if tokio::time::timeout(LONGEST_INIT, both).await.is_err() {
        let longest = LONGEST_INIT.as_secs();
        tracing::warn!("init gave up after {longest} s; the first event does the rest");
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_init_whose_services_hang_ends_after_two_seconds() {
        let begun = Instant::now();
        before_the_first_event(pending(), ready(())).await;
        assert_eq!(begun.elapsed().as_secs(), 2);
        before_the_first_event(ready(()), pending()).await;
        assert_eq!(begun.elapsed().as_secs(), 4);
    }
}
