//! Why an event is skipped: accepted as a request, and for nobody here.

use std::fmt::Write;

use serde::Serialize;

use super::{IntakeOptions, bots};
use crate::json::{Object, RawJson};
use crate::segment::Event;

/// Why an event is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// No enabled mapping takes it.
    NoMapping,
    /// Its `integrations` keep it from Koala.
    Integrations,
    /// Its `context.consent` forbids it.
    Consent,
    /// Its user agent is that of a bot or a monitor.
    Bot,
    /// Koala's script runs in the browser and has sent it.
    PixelInstalled,
    /// The collector sent it to Segment itself.
    Own,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::NoMapping, Self::Integrations, Self::Consent, Self::Bot, Self::PixelInstalled, Self::Own];

    /// Its name in answers, logs and counts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoMapping => "no_mapping",
            Self::Integrations => "integrations",
            Self::Consent => "consent",
            Self::Bot => "bot",
            Self::PixelInstalled => "pixel_installed",
            Self::Own => "own",
        }
    }

    /// Its metric.
    #[must_use]
    pub fn metric(self) -> &'static str {
        match self {
            Self::NoMapping => "SkippedNoMapping",
            Self::Integrations => "SkippedIntegrations",
            Self::Consent => "SkippedConsent",
            Self::Bot => "SkippedBot",
            Self::PixelInstalled => "SkippedPixelInstalled",
            Self::Own => "SkippedOwn",
        }
    }

    /// What a person is told.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::NoMapping => "no mapping matched",
            Self::Integrations => "its integrations keep it from Koala",
            Self::Consent => "its context.consent forbids it",
            Self::Bot => "its user agent is that of a bot, a monitor or a headless browser",
            Self::PixelInstalled => "Koala's pixel has sent this event of analytics.js",
            Self::Own => "the collector sent it to Segment as a signal of its own",
        }
    }

    /// Why an event is skipped whatever the mappings say. What the person allows is looked at first, then where the sender
    /// wants it to go, as Segment does.
    #[must_use]
    pub fn of(event: &Event<'_>, options: &IntakeOptions, arrived_by: ArrivedBy<'_, '_>) -> Option<Self> {
        let context = event.fields().get_object("context");
        if let ArrivedBy::Sdk { integrations } = arrived_by {
            if context.is_some_and(|context| consent_forbids(context, options.consent_categories)) {
                return Some(Self::Consent);
            }
            if is_for_others(event.fields(), integrations) {
                return Some(Self::Integrations);
            }
        }
        if event.is_our_own() {
            return Some(Self::Own);
        }
        if options.koala_pixel_installed && event.is_from_analytics_js() {
            return Some(Self::PixelInstalled);
        }
        let user_agent = context.and_then(|context| context.get_str("userAgent"));
        user_agent.is_some_and(|user_agent| bots::is_bot(&user_agent)).then_some(Self::Bot)
    }
}

/// By which way an event came.
#[derive(Debug, Clone, Copy)]
pub enum ArrivedBy<'r, 'a> {
    /// Segment's webhook: Segment has looked at consent and integrations before it posts.
    Webhook,
    /// One of Segment's SDKs.
    Sdk {
        /// Where the whole batch is to go.
        integrations: Option<&'r Object<'a>>,
    },
}

/// Whether the event, or else its batch, says that it is not for this destination, as `integrations` does for those of Segment
/// (<https://segment.com/docs/guides/filtering-data/#filtering-with-the-integrations-object>).
fn is_for_others(event: &Object<'_>, of_batch: Option<&Object<'_>>) -> bool {
    let says = |integrations: &Object<'_>| match integrations.get("Koala").map(RawJson::get) {
        Some("false") => Some(true),
        Some(_) => Some(false),
        None => integrations.get("All").map(|all| all.get() == "false"),
    };
    event.get_object("integrations").and_then(says).or_else(|| of_batch.and_then(says)).unwrap_or(false)
}

/// Whether the person's preferences forbid it, by Segment's rules
/// (<https://segment.com/docs/privacy/consent-management/consent-in-segment-connections/>): a destination gets an event only
/// where each category that it is in is true, and one that is not there is false. Where it is not said which categories this
/// destination is in, it gets all but the events of those who allow nothing. Without preferences nothing is forbidden.
fn consent_forbids(context: &Object<'_>, categories: &[String]) -> bool {
    let Some(preferences) = context.get_object("consent").and_then(|consent| consent.get_object("categoryPreferences"))
    else {
        return false;
    };
    let is_true = |value: RawJson<'_>| value.get() == "true";
    if categories.is_empty() {
        return !preferences.iter().any(|(_, value)| is_true(value));
    }
    !categories.iter().all(|category| preferences.get(category).is_some_and(is_true))
}

/// How many events were skipped for which reason; a request has at most [`super::MOST_EVENTS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SkipCounts([u16; SkipReason::ALL.len()]);

impl SkipCounts {
    /// Counts one.
    pub fn add(&mut self, reason: SkipReason) {
        let count = &mut self.0[reason as usize];
        *count = count.saturating_add(1);
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.iter().map(|count| usize::from(*count)).sum()
    }

    /// The reasons that there were, each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (SkipReason, usize)> {
        let counted = SkipReason::ALL.into_iter().zip(self.0.map(usize::from));
        counted.filter(|(_, count)| *count > 0)
    }

    /// The same for a line of the log: `bot=1 no_mapping=2`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (reason, count) in self.iter() {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{space}{}={count}", reason.name());
        }
        text
    }
}
