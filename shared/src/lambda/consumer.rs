//! A batch of SQS → delivery → the partial batch response.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use tokio::time::Instant;
use tracing::Instrument;

use super::span::invocation;
use crate::delivery::{Delivery, ReceivedMessage, SourceQueue, consume};
use crate::koala::Collector;
use crate::metrics::Metrics;
use crate::settings::{ParameterSource, SettingsCache};

/// As in `infra/template.yaml`.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30);

/// A delivering function, warm.
#[derive(Debug)]
pub struct Consumer<S, C, Q> {
    /// What it does with a batch.
    pub delivery: Delivery<S, C>,
    /// Where its batches come from.
    pub queue: Q,
    /// The parameters.
    pub settings: Arc<SettingsCache<S>>,
    /// Where its figures go.
    pub metrics: Metrics,
}

impl<S: ParameterSource, C: Collector, Q: SourceQueue> Consumer<S, C, Q> {
    /// Delivers a batch, and names the messages that stay in their queue.
    pub async fn handle(&self, event: &SqsEvent, request_id: &str, deadline: Instant) -> SqsBatchResponse {
        self.handle_in_span(event, request_id, deadline).instrument(invocation(request_id)).await
    }

    async fn handle_in_span(&self, event: &SqsEvent, request_id: &str, deadline: Instant) -> SqsBatchResponse {
        let messages: Vec<ReceivedMessage<'_>> = event.records.iter().filter_map(received).collect();
        if messages.len() < event.records.len() {
            // Only a hand-made event has such records. A failure without an id would make Lambda fail the whole batch.
            tracing::warn!("records without a message id are skipped");
        }
        let done = consume(&self.delivery, &self.queue, &messages, deadline).await;
        self.metrics.write(&done.counts, request_id, self.settings.freshness());
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = done.stays.into_iter().map(failure).collect();
        response
    }
}

fn received(record: &SqsMessage) -> Option<ReceivedMessage<'_>> {
    Some(ReceivedMessage {
        id: record.message_id.as_deref().filter(|id| !id.is_empty())?,
        receipt: record.receipt_handle.as_deref().unwrap_or_default(),
        body: record.body.as_deref().unwrap_or_default(),
        receive_count: record.attributes.get("ApproximateReceiveCount").and_then(|n| n.parse().ok()).unwrap_or(1),
    })
}

fn failure(id: &str) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    id.clone_into(&mut failure.item_identifier);
    failure
}

/// The end of an invocation, which Lambda gives in milliseconds since 1970. An end that is past when the invocation begins
/// is ignored: `cargo lambda watch` gives one in 1970, and then the functions' timeout holds.
#[must_use]
pub fn deadline(milliseconds: u64) -> Instant {
    let end = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
    Instant::now() + end.duration_since(SystemTime::now()).unwrap_or(FUNCTION_TIMEOUT)
}
