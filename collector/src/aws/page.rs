//! The function `page`: the page and the API, the same routes as on one machine.

use std::sync::Arc;
use std::time::Duration;

use koala_destination::aws::init::before_the_first_event;
use koala_destination::delivery::DeliveryOptions;
use koala_destination::intake::IntakeOptions;
use koala_destination::koala::CollectorKind;
use lambda_http::Error;

use super::database::Database;
use super::environment::CollectorEnvironment;
use super::pipeline::{StackPipeline, StackQueues};
use super::site::Site;
use crate::signals::SignalsOptions;
use crate::signals::desk::SignalsDesk;
use crate::signals::outbound::Client;
use crate::web::{Access, Pipeline, Presentation, router};

/// What one call of SQS may take while somebody waits for a page.
const TIME_OF_A_CALL: Duration = Duration::from_secs(3);

/// Runs the function.
///
/// # Errors
/// When the environment lacks something, which ends the function's init with the names of the variables.
#[allow(clippy::large_futures)] // once for the life of a function
pub async fn serve() -> Result<(), Error> {
    let (environment, (queues, intake, delivery, reach, webhook_url)) = CollectorEnvironment::with(|variables| {
        let queues = StackQueues::read(variables);
        let intake = IntakeOptions::read(variables);
        let delivery = DeliveryOptions::read(variables, 0, CollectorKind::Own);
        let reach = SignalsOptions::read(variables).reach;
        (queues, intake, delivery, reach, variables.required("WEBHOOK_URL"))
    })?;
    let (settings, collector_settings) = (environment.settings(), environment.collector_settings());
    let pipeline: Arc<dyn Pipeline> = Arc::new(StackPipeline {
        settings: Arc::clone(&settings),
        collector_settings: Arc::clone(&collector_settings),
        sqs: environment.function.aws.sqs_within(TIME_OF_A_CALL),
        queues,
        intake,
        entry: delivery.entry,
        webhook_url,
    });
    // Others can reach it: it is closed until there is a token.
    let access = Access::of_function();
    let database = Database::new(&environment, Arc::clone(&collector_settings))?;
    let retention = environment.collector.retention;
    let opened = access.clone();
    let of_desk = Arc::clone(&collector_settings);
    let client = Client::new(reach)?;
    let site = Site::new("page", &environment, Arc::clone(&collector_settings), database, move |store| {
        let desk = SignalsDesk::new(of_desk.clone(), store.clone(), client.clone());
        router(
            store,
            Arc::clone(&pipeline),
            opened.clone(),
            retention,
            Some(Arc::new(desk)),
            Presentation::of_function(),
        )
    });
    let site = site.before_each(move |settings| access.follow(settings));
    before_the_first_event(settings.load_at_init(), site.connect()).await;
    site.serve().await
}
