//! The function `dispatch`: Segment's events in, by way of API Gateway; a message for each (event, mapping) out, to SQS.
//!
//! It is the only function on the visitor's side, and never waits for the collector.

use koala_destination::aws::environment::DispatchEnvironment;
use koala_destination::aws::init::before_the_first_event;
use koala_destination::aws::parameter_store::ParameterStore;
use koala_destination::aws::sqs::SqsOutbox;
use koala_destination::lambda::dispatch::answer;
use koala_destination::metrics::Metrics;
use koala_destination::settings::SettingsCache;
use koala_destination::telemetry;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[allow(clippy::large_futures)] // once for the life of the function
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init_json();
    let DispatchEnvironment { function: environment, intake: options, queues } = DispatchEnvironment::of_process()?;
    let aws = &environment.aws;

    let source = ParameterStore::new(aws.ssm(), &environment.parameter_prefix);
    let settings = SettingsCache::new(source, environment.settings_ttl);
    let settings = &settings.with_collector(environment.collector.kind);
    let metrics = &Metrics::new("dispatch", &environment.metric_namespace);
    let outbox = &SqsOutbox::new(aws.sqs_within(options.answer_within), queues);

    // A failure is not fatal: requests get a 503 and try again.
    before_the_first_event(settings.load_at_init(), outbox.connect()).await;
    run(service_fn(async |event: LambdaEvent<_>| {
        let (request, context) = event.into_parts();
        Ok::<_, Error>(answer(&request, &context.request_id, settings, outbox, options, metrics).await)
    }))
    .await
}
