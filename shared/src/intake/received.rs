//! What the events of a request came to, each by its source and its type: what a page of installation is made of.

use std::collections::BTreeMap;

use super::SkipReason;
use crate::segment::Event;

/// The longest name of a library that is kept; Segment's have up to 30 characters.
const LONGEST_SOURCE: usize = 60;

/// An event's type, as the spec names them (<https://segment.com/docs/connections/spec/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventType {
    /// Who somebody is.
    Identify,
    /// What somebody did.
    Track,
    /// A page that somebody looked at.
    Page,
    /// A screen of an app that somebody looked at.
    Screen,
    /// Which company somebody is of.
    Group,
    /// Two ids that are one.
    Alias,
    /// None of the spec's, or none that could be read.
    Other,
}

impl EventType {
    /// The type by its name in an event.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "identify" => Self::Identify,
            "track" => Self::Track,
            "page" => Self::Page,
            "screen" => Self::Screen,
            "group" => Self::Group,
            "alias" => Self::Alias,
            _ => Self::Other,
        }
    }

    /// Its name in an event, or `other`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Track => "track",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Group => "group",
            Self::Alias => "alias",
            Self::Other => "other",
        }
    }
}

/// What an event came to at intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventOutcome {
    /// A mapping took it.
    Accepted,
    /// It was skipped.
    Skipped(SkipReason),
    /// It can never be delivered.
    Rejected,
}

impl EventOutcome {
    /// Its name in counts: `accepted`, `rejected`, or the reason for which it was skipped.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Skipped(reason) => reason.name(),
            Self::Rejected => "rejected",
        }
    }

    /// The outcome of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let skipped = SkipReason::ALL.into_iter().map(Self::Skipped);
        [Self::Accepted, Self::Rejected].into_iter().chain(skipped).find(|outcome| outcome.name() == name)
    }
}

/// What events are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventTallyKey {
    /// The library that made it (`context.library.name`): `analytics.js`, `@segment/analytics-node`; empty where none is named.
    pub source: String,
    /// Its type.
    pub event_type: EventType,
    /// What it came to.
    pub outcome: EventOutcome,
}

/// How many events of each kind a request brought; a request has at most [`super::MOST_EVENTS`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceivedCounts(BTreeMap<EventTallyKey, usize>);

impl ReceivedCounts {
    pub(super) fn add(&mut self, event: &Event<'_>, outcome: EventOutcome) {
        let received = EventTallyKey { source: source(event), event_type: EventType::of(event.kind()), outcome };
        *self.0.entry(received).or_default() += 1;
    }

    /// One that is not an event: neither source nor type can be told.
    pub(super) fn add_rejected(&mut self) {
        let (source, event_type) = (String::new(), EventType::Other);
        *self.0.entry(EventTallyKey { source, event_type, outcome: EventOutcome::Rejected }).or_default() += 1;
    }

    /// Each kind with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&EventTallyKey, usize)> {
        self.0.iter().map(|(received, count)| (received, *count))
    }
}

impl FromIterator<EventTallyKey> for ReceivedCounts {
    fn from_iter<I: IntoIterator<Item = EventTallyKey>>(received: I) -> Self {
        let mut counts = BTreeMap::new();
        for one in received {
            *counts.entry(one).or_default() += 1;
        }
        Self(counts)
    }
}

fn source(event: &Event<'_>) -> String {
    let context = event.fields().get_object("context");
    let library = context.and_then(|context| context.get_object("library"));
    let mut name = library.and_then(|library| library.get_str("name")).unwrap_or_default().trim().to_owned();
    name.truncate(name.floor_char_boundary(LONGEST_SOURCE));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_the_library_that_made_them_their_type_and_what_they_came_to() {
        let mut counts = ReceivedCounts::default();
        let page = r#"{"type":"page","context":{"library":{"name":"analytics.js"}}}"#;
        let long = format!(r#"{{"type":"checkin","context":{{"library":{{"name":"{}"}}}}}}"#, "é".repeat(100));
        let skipped = EventOutcome::Skipped(SkipReason::NoMapping);
        for (json, outcome) in [(page, EventOutcome::Accepted), (page, skipped), (page, skipped), (&long, skipped)] {
            counts.add(&Event::parse(json).expect("an event"), outcome);
        }
        counts.add_rejected();
        let counted: Vec<_> = counts
            .iter()
            .map(|(one, count)| (one.source.len(), one.event_type.name(), one.outcome.name(), count))
            .collect();
        let expected = [
            (0, "other", "rejected", 1),
            (12, "page", "accepted", 1),
            (12, "page", "no_mapping", 2),
            (60, "other", "no_mapping", 1),
        ];
        assert_eq!(counted, expected);
    }

    #[test]
    fn every_outcome_is_found_by_its_name() {
        for outcome in SkipReason::ALL.map(EventOutcome::Skipped).into_iter().chain([EventOutcome::Accepted]) {
            assert_eq!(EventOutcome::of(outcome.name()), Some(outcome));
        }
        assert_eq!(EventOutcome::of("skipped"), None);
    }
}
