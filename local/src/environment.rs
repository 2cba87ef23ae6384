//! The environment of `koala`: the variables of the functions, with the defaults of one machine, read whole.

use std::time::Duration;

use koala_collector::CollectorOptions;
use koala_collector::networks::NetworkOptions;
use koala_collector::signals::SignalsOptions;
use koala_destination::delivery::DeliveryOptions;
use koala_destination::environment::{self, EnvironmentError};
use koala_destination::intake::IntakeOptions;
use koala_destination::koala::{CollectorAddress, CollectorKind};
use secrecy::SecretString;

/// Reading a few files costs little, and who edits one wants to see it work.
const SETTINGS_TTL_SECONDS: u64 = 2;
/// The first delay of a message that failed. Looking into the queue costs nothing here, so it is shorter than on AWS.
const FIRST_DELAY_SECONDS: u64 = 2;
/// The same of a function, as in `koala_destination::aws::environment`.
const FIRST_DELAY_SECONDS_OF_A_FUNCTION: u64 = 30;

/// The settings of `koala` beside its options.
#[derive(Debug)]
pub struct Environment {
    /// `SETTINGS_TTL_SECONDS`, 2: how long settings serve before they are read again.
    pub settings_ttl: Duration,
    /// `KOALA_URL` and `COLLECTOR_KIND`.
    pub collector: CollectorAddress,
    /// How requests are taken.
    pub intake: IntakeOptions,
    /// How it is delivered.
    pub delivery: DeliveryOptions,
    /// What the set's own collector keeps.
    pub own_collector: CollectorOptions,
    /// How its alerts are evaluated and sent.
    pub signals: SignalsOptions,
    /// What tells whose network an address is of.
    pub networks: Option<NetworkOptions>,
}

/// What a person's shell says to the AWS CLI, which `koala check --stack` runs.
#[derive(Debug, Clone, Default)]
pub struct AwsShell {
    /// `AWS_REGION`, which SAM goes by.
    pub region: Option<String>,
    /// `AWS_DEFAULT_REGION`, which version 2 of the CLI goes by.
    pub default_region: Option<String>,
    /// `AWS_ENDPOINT_URL`: another server in place of AWS.
    pub endpoint_url: Option<String>,
}

impl AwsShell {
    /// Reads the process's environment.
    pub fn of_process() -> Self {
        Self {
            region: environment::process("AWS_REGION"),
            default_region: environment::process("AWS_DEFAULT_REGION"),
            endpoint_url: environment::process("AWS_ENDPOINT_URL"),
        }
    }
}

/// Whether `NO_COLOR` is set (<https://no-color.org>).
pub fn refuses_colour() -> bool {
    environment::process("NO_COLOR").is_some()
}

/// `DATABASE_URL`, for `koala check --database`, which looks at a database only where it is asked to; other commands have it as an option.
pub fn database_url() -> Option<SecretString> {
    environment::process("DATABASE_URL").filter(|url| !url.is_empty()).map(SecretString::from)
}

impl Environment {
    /// Reads the process's environment. Where it names no collector, it is the set's own.
    ///
    /// # Errors
    /// With every variable that cannot be used.
    pub fn of_process() -> Result<Self, EnvironmentError> {
        Self::read(CollectorKind::Own, FIRST_DELAY_SECONDS)
    }

    /// Reads it as a function would, with the kind of collector that it is where `KOALA_URL` is not set.
    ///
    /// # Errors
    /// With every variable that cannot be used.
    pub fn of_function(without_url: CollectorKind) -> Result<Self, EnvironmentError> {
        Self::read(without_url, FIRST_DELAY_SECONDS_OF_A_FUNCTION)
    }

    fn read(without_url: CollectorKind, first_delay_seconds: u64) -> Result<Self, EnvironmentError> {
        environment::read(environment::process, |variables| {
            let collector = CollectorAddress::read(variables, without_url);
            Self {
                settings_ttl: variables.seconds("SETTINGS_TTL_SECONDS", SETTINGS_TTL_SECONDS),
                intake: IntakeOptions::read(variables),
                delivery: DeliveryOptions::read(variables, first_delay_seconds, collector.kind),
                own_collector: CollectorOptions::read(variables),
                signals: SignalsOptions::read(variables),
                networks: NetworkOptions::read(variables),
                collector,
            }
        })
    }
}
