//! A delivering function on AWS: batches of SQS for ever, settings from Parameter Store.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use http::HeaderValue;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

use super::environment::ConsumerEnvironment;
use super::init::before_the_first_event;
use super::parameter_store::ParameterStore;
use super::sqs::SqsSource;
use crate::delivery::{Delivery, TIME_TO_TELL_THE_QUEUE};
use crate::koala::{CollectorKind, KoalaClient};
use crate::lambda::consumer::{Consumer, deadline};
use crate::metrics::Metrics;
use crate::segment::Function;
use crate::settings::SettingsCache;

/// What one call of SQS may take: dead letters that are refused at first take two, and must be told in the time that delivery
/// leaves of the invocation.
const TIME_OF_A_CALL: Duration = Duration::from_secs(2);
const _: () = assert!(TIME_OF_A_CALL.as_millis() * 2 <= TIME_TO_TELL_THE_QUEUE.as_millis());

/// Runs a function: reads the environment, builds the adapters, then serves batches for ever.
///
/// # Errors
/// When the environment lacks something, which ends the function's init with the names of the variables.
#[allow(clippy::large_futures)] // once for the life of a function
pub async fn serve(function: Function) -> Result<(), Error> {
    let ConsumerEnvironment { function: environment, delivery: options, queue } = ConsumerEnvironment::of_process()?;
    let aws = &environment.aws;

    let source = ParameterStore::new(aws.ssm(), &environment.parameter_prefix);
    let settings = SettingsCache::new(source, environment.settings_ttl).with_collector(environment.collector.kind);
    let settings = Arc::new(settings);
    let queue = SqsSource::new(aws.sqs_within(TIME_OF_A_CALL), queue);
    // A failure is not fatal: the batch tries again.
    before_the_first_event(settings.load_at_init(), queue.connect()).await;
    let client = KoalaClient::new(environment.collector.url_or_hosted()?)?;
    let client = match environment.collector.kind {
        CollectorKind::Own => with_token(client, Arc::clone(&settings)),
        CollectorKind::Koala => client,
    };
    let delivery = Delivery::new(function, Arc::clone(&settings), client, options);

    let metrics = Metrics::new(function.name(), &environment.metric_namespace);
    let consumer = Consumer { delivery, queue, settings: Arc::clone(&settings), metrics };
    run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let (batch, context) = event.into_parts();
        Ok::<_, Error>(consumer.handle(&batch, &context.request_id, deadline(context.deadline)).await)
    }))
    .await
}

/// Shows our own collector the token of the parameters, as it is when a request is sent.
fn with_token(client: KoalaClient, settings: Arc<SettingsCache<ParameterStore>>) -> KoalaClient {
    client.with_collector_token_of(move || {
        let settings = settings.last_good()?;
        HeaderValue::from_bytes(settings.collector_tokens().first()?.as_bytes()).ok()
    })
}
