//! The function `caretaker`: the only one that makes tables. `CloudFormation` calls it before any other function of the collector is
//! made or updated, its schedule each minute.
//!
//! | module | what it does |
//! |---|---|
//! | [`cloudformation`] | the custom resource: what is asked, and the answer, which always comes |
//! | [`schema`] | the tables, their test, and who may use them |
//! | [`secrets`] | the parameters that nobody has to think of |
//! | [`rounds`] | counting, deleting and looking back, in pieces |

pub mod cloudformation;
mod rounds;
mod schema;
mod secrets;

use std::sync::Arc;
use std::time::Duration;

use koala_destination::lambda::consumer::deadline;
use koala_destination::lambda::span::invocation;
use koala_destination::metrics::Metrics;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use self::cloudformation::{Invocation, ResourceRequest, ResourceStatus};
use self::rounds::Rounds;
use super::database::{Database, DatabaseUnavailable};
use super::environment::CollectorEnvironment;
use super::figures::Requested;

/// The administrator of a cluster of Aurora DSQL
/// (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/authentication-authorization.html>).
const ADMINISTRATOR: &str = "admin";
/// What is left of an invocation for the answer to `CloudFormation`: it waits for an hour for one that never comes.
const TIME_TO_ANSWER: Duration = Duration::from_secs(15);
/// How long a failure may pass: a role of IAM that was made a moment ago is not known everywhere.
const PATIENCE: Duration = Duration::from_secs(45);
/// Longer than settings that failed are not asked for again.
const PAUSE: Duration = Duration::from_secs(6);
/// What is left of a scheduled one.
const TIME_TO_END: Duration = Duration::from_secs(5);

/// Runs the function.
///
/// # Errors
/// When the environment lacks something, which ends the function's init with the names of the variables.
pub async fn serve() -> Result<(), Error> {
    let (mut environment, ()) = CollectorEnvironment::with(|_| ())?;
    ADMINISTRATOR.clone_into(&mut environment.database_user);
    let caretaker = Caretaker::new(environment)?;
    run(service_fn(async |event: LambdaEvent<Value>| {
        let (event, context) = event.into_parts();
        let ends = deadline(context.deadline);
        let handled = caretaker.handle(event, ends, &context.request_id);
        Box::pin(handled.instrument(invocation(&context.request_id))).await
    }))
    .await
}

/// Whether somebody has to do something before another try is of use.
fn is_for_a_person(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(DatabaseUnavailable::NotSaid))
}

struct Caretaker {
    environment: CollectorEnvironment,
    database: Arc<Database>,
    rounds: Rounds,
    metrics: Metrics,
}

impl Caretaker {
    fn new(environment: CollectorEnvironment) -> Result<Self, Error> {
        let settings = environment.collector_settings();
        let database = Arc::new(Database::new(&environment, Arc::clone(&settings))?);
        let rounds = Rounds::new(Arc::clone(&database), settings, environment.collector.retention);
        let metrics = Metrics::new("caretaker", &environment.function.metric_namespace);
        Ok(Self { environment, database, rounds, metrics })
    }

    async fn handle(&self, event: Value, ends: Instant, request_id: &str) -> Result<(), Error> {
        match Invocation::of(event) {
            Invocation::ByCloudFormation(request) => {
                let outcome = self.make(&request, ends.checked_sub(TIME_TO_ANSWER).unwrap_or(ends)).await;
                cloudformation::answer(&request, &outcome).await
            }
            Invocation::BySchedule => {
                let done = self.rounds.until(ends.checked_sub(TIME_TO_END).unwrap_or(ends)).await;
                if let Err(error) = &done {
                    tracing::error!(%error, "database maintenance failed; retrying in the next minute");
                }
                let is_unavailable = done.is_err();
                self.metrics.write(&Requested { is_unavailable }, request_id, self.rounds.freshness());
                Ok(())
            }
        }
    }

    /// What `CloudFormation` asked for, before `until`.
    async fn make(&self, request: &ResourceRequest, until: Instant) -> ResourceStatus {
        if !request.is_to_make() {
            return ResourceStatus::Done;
        }
        let patient_until = (Instant::now() + PATIENCE).min(until);
        loop {
            match timeout_at(until, Box::pin(self.make_once(request))).await {
                Ok(Ok(())) => return ResourceStatus::Done,
                Ok(Err(error)) if Instant::now() < patient_until && !is_for_a_person(&error) => {
                    tracing::warn!(%error, "the database is not ready; retrying");
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(Err(error)) => return ResourceStatus::failed(&*error),
                Err(_) => {
                    return ResourceStatus::Failed(
                        "the database was not ready within the time that a deploy has".to_owned(),
                    );
                }
            }
        }
    }

    async fn make_once(&self, request: &ResourceRequest) -> Result<(), Error> {
        secrets::make(&self.environment).await?;
        let options = self.database.options().await?;
        let roles = request.application_roles();
        schema::make(&options, &roles, self.environment.application_user()).await?;
        // The intent rules are in force before the first event.
        Box::pin(self.rounds.until(Instant::now())).await
    }
}
