//! The function `signals`: woken by `collect`, and each minute by its schedule. What changed stands in the database; the event says
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use koala_destination::lambda::consumer::deadline;
use koala_destination::lambda::span::invocation;
use koala_destination::metrics::Metrics;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::Instrument;

use super::database::{Database, DatabaseUnavailable};
use super::environment::CollectorEnvironment;
use super::figures::Requested;
use super::parameters::SharedCollectorSettings;
use crate::signals::SignalsOptions;
use crate::signals::deliver::Deliver;
use crate::signals::outbound::Client;
use crate::signals::watch::Watch;
use crate::signals::work::SignalsWork;
use crate::store::Store;

/// Between two looks at what is due.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// What is left of an invocation for what is on its way: it is sent for eight seconds, and the last request may take fifteen.
const TIME_TO_END: Duration = Duration::from_secs(25);

/// Runs the function.
///
/// # Errors
/// When the environment lacks something, which ends the function's init with the names of the variables.
pub async fn serve() -> Result<(), Error> {
    let (environment, options) = CollectorEnvironment::with(SignalsOptions::read)?;
    let settings = environment.collector_settings();
    let work = Work {
        database: Database::new(&environment, Arc::clone(&settings))?,
        client: Client::new(options.reach)?,
        settings: Arc::clone(&settings),
        options,
    };
    let metrics = Metrics::new("signals", &environment.function.metric_namespace);
    run(service_fn(async |event: LambdaEvent<Value>| {
        let context = event.context;
        let end = deadline(context.deadline).checked_sub(TIME_TO_END).unwrap_or_else(Instant::now);
        let done = Box::pin(work.until(end).instrument(invocation(&context.request_id))).await;
        if let Err(error) = &done {
            tracing::error!(%error, "the database cannot be read; what changed waits in it for the next minute");
        }
        metrics.write(&Requested { is_unavailable: done.is_err() }, &context.request_id, settings.freshness());
        // A doorbell that was heard in vain need not ring again: the schedule does.
        Ok::<_, Error>(json!({"batchItemFailures": []}))
    }))
    .await
}

/// What is worked with.
struct Work {
    database: Database,
    settings: SharedCollectorSettings,
    options: SignalsOptions,
    client: Client,
}

impl Work {
    /// Looks at what changed until there is no more, or `end`, and waits for what is on its way.
    async fn until(&self, end: Instant) -> Result<(), DatabaseUnavailable> {
        let (store, _) = self.database.store().await?;
        while store.look_back().await? && Instant::now() < end {}
        let store = Arc::new(store);
        let watch = Watch::new(store.clone(), store.clone(), self.options.clone());
        let deliver = Deliver::new(store.clone(), store, self.client.clone());
        let mut work = SignalsWork::new(self.settings.clone(), watch, deliver).until(end);
        let looked = async {
            loop {
                while work.round().await? && Instant::now() < end {}
                work.finish().await;
                if Instant::now() >= end || !work.is_any_due().await? {
                    return Ok(());
                }
                // A target rests after a request, and what is unsettled waits.
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
        };
        let looked = looked.await;
        work.finish().await;
        looked
    }
}
