//! The environments of the functions, each read whole at init; `infra/template.yaml` sets them.

use std::time::Duration;

use super::sdk::AwsEnvironment;
use crate::delivery::DeliveryOptions;
use crate::environment::{self, EnvironmentError, Variables};
use crate::intake::IntakeOptions;
use crate::koala::{CollectorAddress, CollectorKind};

/// How long settings serve before they are read again.
const SETTINGS_TTL_SECONDS: u64 = 300;
/// The first delay of a message that failed; it doubles with each failure.
const FIRST_DELAY_SECONDS: u64 = 30;
/// Where metrics go that no stage is set for.
const METRIC_NAMESPACE: &str = "KoalaDestination";

/// Every function's settings.
#[derive(Debug)]
pub struct FunctionEnvironment {
    /// `PARAMETER_PREFIX`, required: the root of the parameter tree, as `/koala-destination/prod`.
    pub parameter_prefix: String,
    /// `SETTINGS_TTL_SECONDS`, 300: how long settings serve before they are read again.
    pub settings_ttl: Duration,
    /// `METRIC_NAMESPACE`, `KoalaDestination`: where its metrics go.
    pub metric_namespace: String,
    /// `KOALA_URL` and `COLLECTOR_KIND`.
    pub collector: CollectorAddress,
    /// Where AWS is, and who the function is there.
    pub aws: AwsEnvironment,
}

impl FunctionEnvironment {
    /// Reads it.
    pub fn read(variables: &mut Variables<'_>) -> Self {
        let parameter_prefix = variables.required("PARAMETER_PREFIX");
        if !parameter_prefix.is_empty() && !parameter_prefix.starts_with('/') {
            variables.refuse("PARAMETER_PREFIX", "must begin with `/`, as in /koala-destination/prod");
        }
        Self {
            parameter_prefix,
            settings_ttl: variables.seconds("SETTINGS_TTL_SECONDS", SETTINGS_TTL_SECONDS),
            metric_namespace: variables.text("METRIC_NAMESPACE", METRIC_NAMESPACE),
            collector: CollectorAddress::read(variables, CollectorKind::Koala),
            aws: AwsEnvironment::read(variables),
        }
    }
}

/// `dispatch`'s settings.
#[derive(Debug)]
pub struct DispatchEnvironment {
    /// Every function's settings.
    pub function: FunctionEnvironment,
    /// How it takes requests.
    pub intake: IntakeOptions,
    /// The queues that it writes to.
    pub queues: OutgoingQueues,
}

impl DispatchEnvironment {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// With every variable that is missing or cannot be used.
    pub fn of_process() -> Result<Self, EnvironmentError> {
        environment::read(environment::process, |variables| Self {
            function: FunctionEnvironment::read(variables),
            intake: IntakeOptions::read(variables),
            queues: OutgoingQueues::read(variables),
        })
    }
}

/// A delivering function's settings.
#[derive(Debug)]
pub struct ConsumerEnvironment {
    /// Every function's settings.
    pub function: FunctionEnvironment,
    /// How it delivers.
    pub delivery: DeliveryOptions,
    /// Its queue and its dead letters.
    pub queue: OwnQueue,
}

impl ConsumerEnvironment {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// With every variable that is missing or cannot be used.
    pub fn of_process() -> Result<Self, EnvironmentError> {
        environment::read(environment::process, |variables| {
            let function = FunctionEnvironment::read(variables);
            let delivery = DeliveryOptions::read(variables, FIRST_DELAY_SECONDS, function.collector.kind);
            Self { function, delivery, queue: OwnQueue::read(variables) }
        })
    }
}

/// The URLs of the queues that `dispatch` writes to.
#[derive(Debug, Clone)]
pub struct OutgoingQueues {
    /// `IDENTIFY_QUEUE_URL`, required.
    pub identify: String,
    /// `TRACK_QUEUE_URL`, required.
    pub track: String,
    /// `REJECTED_QUEUE_URL`, required.
    pub rejected: String,
}

impl OutgoingQueues {
    /// Reads them.
    #[must_use]
    pub fn read(variables: &mut Variables<'_>) -> Self {
        Self {
            identify: variables.required("IDENTIFY_QUEUE_URL"),
            track: variables.required("TRACK_QUEUE_URL"),
            rejected: variables.required("REJECTED_QUEUE_URL"),
        }
    }
}

/// The URLs of a delivering function's queue and its dead letters.
#[derive(Debug, Clone)]
pub struct OwnQueue {
    /// `QUEUE_URL`, required.
    pub url: String,
    /// `DEAD_LETTER_QUEUE_URL`, required.
    pub dead_letters_url: String,
}

impl OwnQueue {
    /// Reads them.
    #[must_use]
    pub fn read(variables: &mut Variables<'_>) -> Self {
        Self { url: variables.required("QUEUE_URL"), dead_letters_url: variables.required("DEAD_LETTER_QUEUE_URL") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_without_its_environment_names_all_that_it_misses() {
        let error = environment::read(
            |_| None,
            |variables| {
                FunctionEnvironment::read(variables);
                OwnQueue::read(variables)
            },
        );
        let names: Vec<_> = error.expect_err("nothing is set").problems.iter().map(|problem| problem.name).collect();
        let of_aws = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let own = ["PARAMETER_PREFIX", "QUEUE_URL", "DEAD_LETTER_QUEUE_URL"];
        assert_eq!(names, [own[0], of_aws[0], of_aws[1], of_aws[2], own[1], own[2]]);
    }

    #[test]
    fn settings_serve_for_five_minutes_and_the_prefix_is_a_path() {
        let read = |prefix: &'static str| {
            environment::read(
                move |name| match name {
                    "PARAMETER_PREFIX" => Some(prefix.to_owned()),
                    name if name.starts_with("AWS_") && !name.contains("URL") && !name.contains("CA_") => {
                        Some("x".to_owned())
                    }
                    _ => None,
                },
                FunctionEnvironment::read,
            )
        };
        assert_eq!(read("/koala-destination/dev").expect("an environment").settings_ttl, Duration::from_mins(5));
        let error = read("koala-destination").expect_err("no path").to_string();
        assert!(error.contains("PARAMETER_PREFIX must begin with `/`"), "{error}");
    }
}
