//! How delivery works, as the settings say it.

use super::RetryPolicy;
use crate::environment::Variables;
use crate::koala::{CollectorKind, EntryOptions};

/// The delay grows no further: a recovery is noticed within a quarter of an hour.
const LONGEST_DELAY_SECONDS: u64 = 900;
/// Requests to the collector that are under way at once.
const CONCURRENT_REQUESTS: usize = 8;

/// How delivery works, as the settings say it.
#[derive(Debug, Clone)]
pub struct DeliveryOptions {
    /// How entries are made.
    pub entry: EntryOptions,
    /// How long failed messages wait.
    pub retry: RetryPolicy,
    /// How many requests are under way at once.
    pub concurrent_requests: usize,
}

impl DeliveryOptions {
    /// Reads `KEEP_ANONYMOUS_VISITORS` (true), `FORWARD_IP` (true), `REPEAT_IDENTIFY_TRAITS` (false), `CONTEXT_SOURCE`
    /// (`segment-webhook`), `CONCURRENT_REQUESTS` (8), `RETRY_FIRST_DELAY_SECONDS` (`first_delay_seconds`) and
    /// `RETRY_LONGEST_DELAY_SECONDS` (900).
    pub fn read(variables: &mut Variables<'_>, first_delay_seconds: u64, collector: CollectorKind) -> Self {
        let defaults = EntryOptions::default();
        Self {
            entry: EntryOptions {
                keep_anonymous_visitors: variables.flag("KEEP_ANONYMOUS_VISITORS", defaults.keep_anonymous_visitors),
                forward_ip: variables.flag("FORWARD_IP", defaults.forward_ip),
                repeat_identify_traits: variables.flag("REPEAT_IDENTIFY_TRAITS", defaults.repeat_identify_traits),
                context_source: variables.text("CONTEXT_SOURCE", &defaults.context_source),
                collector,
            },
            retry: RetryPolicy {
                first_delay: variables.seconds("RETRY_FIRST_DELAY_SECONDS", first_delay_seconds),
                longest_delay: variables.seconds("RETRY_LONGEST_DELAY_SECONDS", LONGEST_DELAY_SECONDS),
            },
            concurrent_requests: variables.number("CONCURRENT_REQUESTS", CONCURRENT_REQUESTS, 1..=100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment;

    #[test]
    fn a_message_waits_from_30_s_to_15_min_unless_it_is_said_otherwise() {
        let options =
            environment::read(|_| None, |variables| DeliveryOptions::read(variables, 30, CollectorKind::Koala));
        let options = options.expect("defaults");
        assert_eq!((options.retry.first_delay.as_secs(), options.retry.longest_delay.as_secs()), (30, 900));
        assert_eq!((options.entry.context_source.as_str(), options.concurrent_requests), ("segment-webhook", 8));
    }

    #[test]
    fn a_bad_value_is_named_with_what_is_expected() {
        let no = |name: &str| (name == "FORWARD_IP").then(|| "no".to_owned());
        let error = environment::read(no, |variables| DeliveryOptions::read(variables, 30, CollectorKind::Koala));
        let error = error.expect_err("a bad value").to_string();
        assert_eq!(error, "the environment variable FORWARD_IP is \"no\"; true or false is expected");
    }
}
