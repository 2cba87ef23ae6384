//! A delivering function on AWS: batches of SQS for ever, settings from Parameter Store.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

use super::parameter_store::ParameterStore;
use super::sdk::AwsEnvironment;
use super::sqs::SqsSource;
use crate::delivery::{Delivery, TIME_TO_TELL_THE_QUEUE};
use crate::environment::{self, DEFAULT_KOALA_URL, SettingsEnvironment};
use crate::koala::{CollectorKind, KoalaClient, KoalaUrl};
use crate::lambda::consumer::{Consumer, deadline};
use crate::metrics::Metrics;
use crate::segment::Function;
use crate::settings::SettingsCache;

/// The first delay of a message that failed; it doubles with each failure.
const FIRST_DELAY_SECONDS: u64 = 30;

/// What one call of SQS may take: dead letters that are refused at first take two, and must be told in the time that delivery
/// leaves of the invocation.
const TIME_OF_A_CALL: Duration = Duration::from_secs(2);
const _: () = assert!(TIME_OF_A_CALL.as_millis() * 2 <= TIME_TO_TELL_THE_QUEUE.as_millis());

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
    let serve = run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let (batch, context) = event.into_parts();
        Ok::<_, Error>(consumer.handle(&batch, &context.request_id, deadline(context.deadline)).await)
    }));
    tokio::join!(serve, settings.load_at_init()).0
}
