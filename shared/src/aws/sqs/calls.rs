//! What calls of SQS have in common: its limits, batches of bodies, and what it says of entries that failed.

use std::collections::HashSet;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::builders::SendMessageBatchRequestEntryBuilder;
use aws_sdk_sqs::types::{BatchResultErrorEntry, SendMessageBatchRequestEntry};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;

/// SQS takes at most ten messages in a batch
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
pub(super) const MOST_IN_A_BATCH: usize = 10;
/// …and at most 1 MiB over all of them; the rest is room for the request's own words.
const MOST_BYTES_IN_A_BATCH: usize = 1024 * 1024 - 64 * 1024;
/// Requests to SQS at once, each on a connection: the 100 batches of the largest body take 10 times as long as one, which is
/// far below a second, and cost ten handshakes instead of a hundred.
pub(super) const REQUESTS_AT_ONCE: usize = 10;

/// Bodies in batches that SQS takes, by number and by size.
pub(super) fn batches<'b>(bodies: impl Iterator<Item = &'b str>) -> Vec<Vec<&'b str>> {
    let mut batches: Vec<Vec<&str>> = Vec::new();
    let mut bytes = 0;
    for body in bodies {
        match batches.last_mut() {
            Some(batch) if batch.len() < MOST_IN_A_BATCH && bytes + body.len() <= MOST_BYTES_IN_A_BATCH => {
                bytes += body.len();
                batch.push(body);
            }
            _ => {
                bytes = body.len();
                batches.push(vec![body]);
            }
        }
    }
    batches
}

/// Opens a connection that the next call finds in the client's pool: with a `GET /`, which is no action of SQS's and needs no
/// permission. Whatever the answer is, the connection stays.
pub(super) async fn connect(client: &Client) {
    let once = aws_sdk_sqs::Config::builder().retry_config(RetryConfig::disabled());
    let call = client.list_queues().customize().config_override(once).mutate_request(|request| {
        // What cannot be set leaves a call that is refused, which opens the connection as well.
        let _ = request.set_method("GET");
        for header in ["x-amz-target", "content-type", "content-length"] {
            request.headers_mut().remove(header);
        }
        *request.body_mut() = SdkBody::empty();
    });
    let answered = call.send().await;
    tracing::debug!(?answered, "connected to SQS");
}

pub(super) fn entry(id: usize, body: &str) -> SendMessageBatchRequestEntryBuilder {
    SendMessageBatchRequestEntry::builder().id(id.to_string()).message_body(body)
}

pub(super) fn failed_ids(failed: &[BatchResultErrorEntry]) -> HashSet<&str> {
    failed.iter().map(|failed| failed.id.as_str()).collect()
}

pub(super) fn failure(failed: &BatchResultErrorEntry) -> String {
    format!("{}: {}", failed.code, failed.message.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_ten_messages_and_a_mebibyte_at_most() {
        let small = vec!["x"; 25];
        assert_eq!(batches(small.into_iter()).iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
        let large = "x".repeat(400 * 1024);
        assert_eq!(batches([large.as_str(); 5].into_iter()).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    }
}
