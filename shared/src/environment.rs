//! The environment variables: every setting of a function that is no parameter, read and validated in one place.

use std::time::Duration;

use thiserror::Error;

use crate::delivery::{DeliveryOptions, RetryPolicy};
use crate::intake::IntakeOptions;
use crate::koala::{CollectorKind, EntryOptions, KoalaUrl, UnknownCollectorKind};

/// Koala's own collection host. It answers `ingest suspended` since the service was shut down.
pub const DEFAULT_KOALA_URL: &str = "https://api2.getkoala.com";

/// An environment variable that is missing or cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the environment variable {name} {problem}")]
pub struct EnvironmentError {
    /// The variable.
    pub name: &'static str,
    /// What is wrong and what is expected.
    pub problem: String,
}

/// A way to look variables up: the process's environment, or a table in a test.
pub trait Variables: Fn(&str) -> Option<String> {}
impl<F: Fn(&str) -> Option<String>> Variables for F {}

/// The process's environment; a variable that is set to nothing counts as not set, as SAM templates leave them.
#[must_use]
pub fn process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What every function is told.
#[derive(Debug, Clone)]
pub struct SettingsEnvironment {
    /// `PARAMETER_PREFIX`, required: the root of the parameter tree, as `/koala-destination/prod`.
    pub parameter_prefix: String,
    /// `SETTINGS_TTL_SECONDS`, 300: how long settings serve before they are read anew.
    pub settings_ttl: Duration,
}

impl SettingsEnvironment {
    /// Reads it.
    ///
    /// # Errors
    /// With the variable's name.
    pub fn read(variables: &impl Variables) -> Result<Self, EnvironmentError> {
        let parameter_prefix = required(variables, "PARAMETER_PREFIX")?;
        if !parameter_prefix.starts_with('/') {
            let problem = "must begin with `/`, as in /koala-destination/prod".to_owned();
            return Err(EnvironmentError { name: "PARAMETER_PREFIX", problem });
        }
        Ok(Self { parameter_prefix, settings_ttl: settings_ttl(variables, 300)? })
    }
}

/// `SETTINGS_TTL_SECONDS`, or `default_seconds`.
///
/// # Errors
/// When it is no number of seconds.
pub fn settings_ttl(variables: &impl Variables, default_seconds: u64) -> Result<Duration, EnvironmentError> {
    Ok(Duration::from_secs(number(variables, "SETTINGS_TTL_SECONDS", default_seconds)?))
}

/// `ANSWER_WITHIN_MILLISECONDS`, 1000, `MAX_BODY_BYTES`, 1 MiB, `KOALA_PIXEL_INSTALLED`, false, `FORWARD_IP`, true, and
/// `CONSENT_CATEGORIES`, none.
///
/// # Errors
/// With the variable's name.
pub fn intake_options(variables: &impl Variables) -> Result<IntakeOptions, EnvironmentError> {
    let max_body_bytes = number(variables, "MAX_BODY_BYTES", 1024 * 1024)?;
    Ok(IntakeOptions {
        answer_within: Duration::from_millis(number(variables, "ANSWER_WITHIN_MILLISECONDS", 1000)?),
        max_body_bytes: usize::try_from(max_body_bytes).unwrap_or(usize::MAX),
        koala_pixel_installed: flag(variables, "KOALA_PIXEL_INSTALLED", false)?,
        forward_ip: flag(variables, "FORWARD_IP", true)?,
        consent_categories: list(variables, "CONSENT_CATEGORIES").leak(),
    })
}

/// How delivery goes: `KEEP_ANONYMOUS_VISITORS` (true), `FORWARD_IP` (true), `REPEAT_IDENTIFY_TRAITS` (false),
/// `CONTEXT_SOURCE` (`segment-webhook`), `CONCURRENT_REQUESTS` (8), `RETRY_FIRST_DELAY_SECONDS` (`first_delay_seconds`),
/// `RETRY_LONGEST_DELAY_SECONDS` (900).
///
/// # Errors
/// With the variable's name.
pub fn delivery_options(
    variables: &impl Variables,
    first_delay_seconds: u64,
    collector: CollectorKind,
) -> Result<DeliveryOptions, EnvironmentError> {
    let defaults = EntryOptions::default();
    let concurrent_requests = number(variables, "CONCURRENT_REQUESTS", 8)?;
    if !(1..=100).contains(&concurrent_requests) {
        let problem = format!("is {concurrent_requests}; a number from 1 to 100 is expected");
        return Err(EnvironmentError { name: "CONCURRENT_REQUESTS", problem });
    }
    Ok(DeliveryOptions {
        entry: EntryOptions {
            keep_anonymous_visitors: flag(variables, "KEEP_ANONYMOUS_VISITORS", defaults.keep_anonymous_visitors)?,
            forward_ip: flag(variables, "FORWARD_IP", defaults.forward_ip)?,
            repeat_identify_traits: flag(variables, "REPEAT_IDENTIFY_TRAITS", defaults.repeat_identify_traits)?,
            context_source: variables("CONTEXT_SOURCE").unwrap_or(defaults.context_source),
            collector,
        },
        retry: RetryPolicy {
            first_delay: Duration::from_secs(number(variables, "RETRY_FIRST_DELAY_SECONDS", first_delay_seconds)?),
            longest_delay: Duration::from_secs(number(variables, "RETRY_LONGEST_DELAY_SECONDS", 900)?),
        },
        concurrent_requests: usize::try_from(concurrent_requests).unwrap_or(1),
    })
}

/// `COLLECTOR_KIND`: which of the two the collector at `KOALA_URL` is, `own` or `koala`. Where it is not set it is `koala`,
/// and `without_url` where `KOALA_URL` is not set either: a set that brings its own collector delivers to that one.
///
/// # Errors
/// When it is neither.
pub fn collector_kind(
    variables: &impl Variables,
    without_url: CollectorKind,
) -> Result<CollectorKind, EnvironmentError> {
    match variables("COLLECTOR_KIND") {
        Some(text) => text.parse().map_err(|error: UnknownCollectorKind| EnvironmentError {
            name: "COLLECTOR_KIND",
            problem: error.to_string(),
        }),
        None if variables("KOALA_URL").is_some() => Ok(CollectorKind::Koala),
        None => Ok(without_url),
    }
}

/// `KOALA_URL`, where it is set.
///
/// # Errors
/// When it is no URL.
pub fn koala_url(variables: &impl Variables) -> Result<Option<KoalaUrl>, EnvironmentError> {
    let parse = |text: String| {
        KoalaUrl::parse(&text).map_err(|error| EnvironmentError { name: "KOALA_URL", problem: error.to_string() })
    };
    variables("KOALA_URL").map(parse).transpose()
}

/// A variable that has no default.
///
/// # Errors
/// When it is not set.
pub fn required(variables: &impl Variables, name: &'static str) -> Result<String, EnvironmentError> {
    variables(name)
        .ok_or_else(|| EnvironmentError { name, problem: "is not set; infra/template.yaml sets it".to_owned() })
}

fn number(variables: &impl Variables, name: &'static str, default: u64) -> Result<u64, EnvironmentError> {
    let Some(text) = variables(name) else { return Ok(default) };
    let problem = |_| EnvironmentError { name, problem: format!("is {text:?}; a whole number is expected") };
    text.trim().parse().map_err(problem)
}

/// Values with commas between them.
fn list(variables: &impl Variables, name: &'static str) -> Vec<String> {
    let text = variables(name).unwrap_or_default();
    text.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
}

fn flag(variables: &impl Variables, name: &'static str, default: bool) -> Result<bool, EnvironmentError> {
    match variables(name).as_deref().map(str::trim) {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(text) => Err(EnvironmentError { name, problem: format!("is {text:?}; true or false is expected") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_default() {
        let nothing = |_: &str| None;
        assert_eq!(settings_ttl(&nothing, 300), Ok(Duration::from_mins(5)));
        assert_eq!(intake_options(&nothing).expect("options").max_body_bytes, 1_048_576);
        let delivery = delivery_options(&nothing, 30, CollectorKind::Koala).expect("options");
        assert_eq!((delivery.retry.first_delay.as_secs(), delivery.retry.longest_delay.as_secs()), (30, 900));
        assert_eq!(delivery.entry.context_source, "segment-webhook");
    }

    #[test]
    fn which_collector_it_is_is_said_or_follows_from_its_url() {
        let kind = |kind: Option<&'static str>, url: Option<&'static str>| {
            let variables = move |name: &str| match name {
                "COLLECTOR_KIND" => kind.map(str::to_owned),
                "KOALA_URL" => url.map(str::to_owned),
                _ => None,
            };
            collector_kind(&variables, CollectorKind::Own)
        };
        let url = Some("https://collector.example");
        assert_eq!(kind(None, None), Ok(CollectorKind::Own));
        assert_eq!(kind(None, url), Ok(CollectorKind::Koala));
        assert_eq!(kind(Some("own"), url), Ok(CollectorKind::Own));
        assert_eq!(kind(Some("koala"), None), Ok(CollectorKind::Koala));
        let error = kind(Some("mine"), url).expect_err("a bad value");
        assert!(error.to_string().starts_with("the environment variable COLLECTOR_KIND is \"mine\"; own"), "{error}");
    }

    #[test]
    fn a_bad_value_is_named_with_what_is_expected() {
        let ten = |name: &str| (name == "FORWARD_IP").then(|| "no".to_owned());
        let error = delivery_options(&ten, 30, CollectorKind::Koala).expect_err("a bad value");
        assert_eq!(error.to_string(), "the environment variable FORWARD_IP is \"no\"; true or false is expected");
        let error = SettingsEnvironment::read(&|_: &str| None).expect_err("a missing value");
        assert!(error.to_string().contains("PARAMETER_PREFIX is not set"));
    }
}
