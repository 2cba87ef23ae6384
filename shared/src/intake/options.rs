//! How intake works, as the settings say it.

use std::time::Duration;

use crate::environment::Variables;

/// How intake works, as the settings say it.
#[derive(Debug, Clone, Copy)]
pub struct IntakeOptions {
    /// An answer that takes longer is 503. Segment waits for 5 s
    /// (<https://segment.com/docs/connections/destinations/catalog/actions-webhook/>), a cold start included.
    pub answer_within: Duration,
    /// A larger body is refused unread.
    pub max_body_bytes: usize,
    /// Koala's own script runs in the visitor's browser too: events of analytics.js are skipped, since it has sent them.
    pub koala_pixel_installed: bool,
    /// Events of a visitor's browser or app get the address that they came from.
    pub forward_ip: bool,
    /// The consent categories that this destination is in; read once in a process's life.
    pub consent_categories: &'static [String],
}

impl IntakeOptions {
    /// Reads `ANSWER_WITHIN_MILLISECONDS` (3000), `MAX_BODY_BYTES` (1 MiB), `KOALA_PIXEL_INSTALLED` (false), `FORWARD_IP`
    /// (true) and `CONSENT_CATEGORIES` (none).
    pub fn read(variables: &mut Variables<'_>) -> Self {
        Self {
            answer_within: variables.milliseconds("ANSWER_WITHIN_MILLISECONDS", 3000),
            max_body_bytes: variables.number("MAX_BODY_BYTES", 1024 * 1024, 0..=usize::MAX),
            koala_pixel_installed: variables.flag("KOALA_PIXEL_INSTALLED", false),
            forward_ip: variables.flag("FORWARD_IP", true),
            consent_categories: variables.list("CONSENT_CATEGORIES").leak(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment;

    #[test]
    fn a_body_has_a_mebibyte_and_an_answer_three_seconds_unless_it_is_said_otherwise() {
        let options = environment::read(|_| None, IntakeOptions::read).expect("defaults");
        assert_eq!((options.max_body_bytes, options.answer_within), (1_048_576, Duration::from_secs(3)));
        assert!(options.forward_ip && !options.koala_pixel_installed && options.consent_categories.is_empty());
    }
}
