//! What would happen to an event, without sending it.

use crate::clock;
use crate::intake::{ArrivedBy, IntakeOptions, SkipReason};
use crate::json::without_lone_surrogates;
use crate::koala::{Delivered, EntryOptions, EntryProblem, entry, request};
use crate::segment::{Action, Event, Mapping};
use crate::settings::Settings;
use serde::Serialize;
use serde_json::Value as Json;

/// What a preview goes by.
#[derive(Debug, Clone, Copy)]
pub struct Previewer<'s> {
    /// The mappings.
    pub settings: &'s Settings,
    /// How intake works.
    pub intake: IntakeOptions,
    /// How entries are made.
    pub entry: &'s EntryOptions,
}

/// What would happen to an event.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Preview {
    /// Intake would reject it.
    Rejected {
        /// Why.
        reason: String,
    },
    /// Intake would skip it before any mapping is asked.
    Skipped {
        /// The event.
        event: PreviewedEvent,
        /// Why.
        reason: &'static str,
    },
    /// Each mapping is asked.
    Mapped {
        /// The event.
        event: PreviewedEvent,
        /// What each mapping makes of it.
        mappings: Vec<MappingPreview>,
    },
}

/// The event, in short.
#[derive(Debug, Serialize)]
pub struct PreviewedEvent {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub message_id: String,
}

/// What one mapping makes of an event.
#[derive(Debug, Serialize)]
pub struct MappingPreview {
    /// The mapping's name.
    pub mapping: String,
    /// Its action.
    pub action: Action,
    /// Whether it is a preset.
    pub preset: bool,
    /// What comes of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What comes of an event under a mapping.
#[derive(Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The mapping is off.
    Disabled,
    /// Its trigger does not take the event.
    NoMatch,
    /// A preset that skips the event: a mapping of one's own takes it with the same action.
    TakenByOwn {
        /// That mapping.
        by: String,
    },
    /// The collector would get this.
    Delivers {
        /// The route that it goes to, below the key: `batch` or `accounts/batch`.
        route: &'static str,
        /// The body of the request.
        request: Json,
    },
    /// Nothing is to be sent, by the settings.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It would be a dead letter.
    DeadLetter {
        /// Why.
        reason: String,
    },
}

impl Preview {
    /// Whether intake, or any mapping that takes it, can make nothing of the event.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        match self {
            Self::Rejected { .. } => true,
            Self::Skipped { .. } => false,
            Self::Mapped { mappings, .. } => {
                mappings.iter().any(|one| matches!(one.verdict, Verdict::DeadLetter { .. }))
            }
        }
    }
}

impl Previewer<'_> {
    /// What would happen to one event, as JSON.
    #[must_use]
    pub fn preview(&self, json: &str) -> Preview {
        let json = without_lone_surrogates(json);
        let event = match Event::parse(&json) {
            // Intake makes the id of an event that has none from the request and its place.
            Ok(event) => event.or_message_id("<request id>-0"),
            Err(error) => return Preview::Rejected { reason: error.to_string() },
        };
        let short = PreviewedEvent { kind: event.kind().to_string(), message_id: event.message_id().to_string() };
        // As one that an SDK sends here: Segment looks at consent and integrations before its webhook posts.
        if let Some(reason) = SkipReason::of(&event, &self.intake, ArrivedBy::Sdk { integrations: None }) {
            return Preview::Skipped { event: short, reason: reason.explanation() };
        }
        let takes: Vec<(&Mapping, bool)> = self.settings.mappings_that_take(&event).collect();
        let received_at = clock::now();
        let one = |mapping: &Mapping| {
            let verdict = match takes.iter().find(|(taking, _)| taking.name() == mapping.name()) {
                None => match self.settings.own_in_place_of(mapping, &event) {
                    Some(own) => Verdict::TakenByOwn { by: own.name().to_owned() },
                    None if mapping.is_enabled() => Verdict::NoMatch,
                    None => Verdict::Disabled,
                },
                Some((_, another)) => {
                    self.of_mapping(&event, mapping, Delivered { received_at: &received_at, another: *another })
                }
            };
            MappingPreview {
                mapping: mapping.name().to_owned(),
                action: mapping.action(),
                preset: mapping.is_preset(),
                verdict,
            }
        };
        Preview::Mapped { event: short, mappings: self.settings.mappings().iter().map(one).collect() }
    }

    fn of_mapping(&self, event: &Event<'_>, mapping: &Mapping, delivered: Delivered<'_>) -> Verdict {
        match entry(event, mapping, delivered, self.entry) {
            Ok(entry) => {
                let (route, body) = request(&entry.subject, &[&entry]);
                Verdict::Delivers { route: route.path(), request: serde_json::from_str(&body).unwrap_or_default() }
            }
            Err(error @ EntryProblem::AnonymousSkipped) => Verdict::Skipped { reason: error.to_string() },
            Err(error) => Verdict::DeadLetter { reason: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment;
    use crate::koala::CollectorKind;
    use crate::settings::Parameter;

    fn preview(event: &str) -> Preview {
        let key = Parameter::new("public-api-key", "pk_1");
        let settings = Settings::from_parameters(&[key], CollectorKind::Koala).expect("settings");
        let intake = environment::read(|_| None, IntakeOptions::read).expect("defaults");
        Previewer { settings: &settings, intake, entry: &EntryOptions::default() }.preview(event)
    }

    #[test]
    fn what_intake_would_skip_for_its_integrations_is_skipped_here() {
        let event = r#"{"type":"track","event":"A","messageId":"m","userId":"u","integrations":{"All":false}}"#;
        let preview = preview(event);
        assert!(
            matches!(&preview, Preview::Skipped { reason, .. } if *reason == SkipReason::Integrations.explanation()),
            "{preview:?}"
        );
    }
}
