//! A batch of SQS → delivery → the partial batch response.

use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use std::sync::Arc;
use tokio::time::Instant;

use super::parameter_store::ParameterStore;
use super::sdk::AwsEnvironment;
use super::sqs::SqsSource;
use crate::delivery::{Delivery, Received, SourceQueue, TIME_TO_TELL_THE_QUEUE, consume};
use crate::environment::{self, DEFAULT_KOALA_URL, SettingsEnvironment};
use crate::koala::{Collector, CollectorKind, KoalaClient, KoalaUrl};
use crate::metrics::Metrics;
use crate::segment::Function;
use crate::settings::{ParameterSource, SettingsCache};

/// The first delay of a message that failed; it doubles with each failure.
const FIRST_DELAY_SECONDS: u64 = 30;

/// What one call of SQS may take: dead letters that are refused at first take two, and must be told in the time that delivery
/// leaves of the invocation.
const TIME_OF_A_CALL: Duration = Duration::from_secs(2);
const _: () = assert!(TIME_OF_A_CALL.as_millis() * 2 <= TIME_TO_TELL_THE_QUEUE.as_millis());
/// As in `infra/template.yaml`.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a function: reads the environment, builds the adapters, then serves batches for ever.
///
/// # Errors
/// When the environment lacks something, which ends the function's init with the variable's name.
pub async fn serve(function: Function) -> Result<(), Error> {
    let variables = environment::process;
    let settings_environment = SettingsEnvironment::read(&variables)?;
    let collector = environment::collector_kind(&variables, CollectorKind::Koala)?;
    let options = environment::delivery_options(&variables, FIRST_DELAY_SECONDS, collector)?;
    let url = environment::koala_url(&variables)?.map_or_else(|| KoalaUrl::parse(DEFAULT_KOALA_URL), Ok)?;
    let aws = AwsEnvironment::read(&variables)?;

    let source = ParameterStore::new(aws.ssm(), &settings_environment.parameter_prefix);
    let settings = SettingsCache::new(source, settings_environment.settings_ttl).with_collector(collector);
    let settings = Arc::new(settings);
    let queue = SqsSource::new(aws.sqs_within(TIME_OF_A_CALL), &variables)?;
    let delivery = Delivery::new(function, Arc::clone(&settings), KoalaClient::new(url)?, options);

    let metrics = Metrics::new(function.name(), &variables);
    let consumer = Consumer { delivery, queue, settings: Arc::clone(&settings), metrics };
    // The settings are read while Lambda is asked for the first batch; a failure is not fatal, the batch tries again.
    let serve = run(service_fn(|event: LambdaEvent<SqsEvent>| consumer.handle(event)));
    tokio::join!(serve, settings.load_at_init()).0
}

/// A function, warm.
struct Consumer<S, C, Q> {
    delivery: Delivery<S, C>,
    queue: Q,
    settings: Arc<SettingsCache<S>>,
    metrics: Metrics,
}

impl<S: ParameterSource, C: Collector, Q: SourceQueue> Consumer<S, C, Q> {
    async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
        let messages: Vec<Received<'_>> = event.payload.records.iter().filter_map(received).collect();
        if messages.len() < event.payload.records.len() {
            // Only a hand-made event has such records. A failure without an id would make Lambda fail the whole batch.
            tracing::warn!("records without a message id are passed over");
        }
        let done = consume(&self.delivery, &self.queue, &messages, deadline(event.context.deadline)).await;
        self.metrics.batch(&done.counts, &event.context.request_id, self.settings.age());
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = done.stays.into_iter().map(failure).collect();
        Ok(response)
    }
}

fn received(record: &SqsMessage) -> Option<Received<'_>> {
    Some(Received {
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

/// Lambda tells the invocation's end in milliseconds since 1970. An end that is past when the invocation begins is none:
/// `cargo lambda watch` tells one in 1970, and then the functions' timeout holds.
fn deadline(milliseconds: u64) -> Instant {
    let end = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
    Instant::now() + end.duration_since(SystemTime::now()).unwrap_or(FUNCTION_TIMEOUT)
}
