//! Mappings: a trigger, an action, and where each field of the action comes from.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::{Action, Event, Trigger};
use crate::json::{self, Kind, Object};

/// One mapping of the destination, compiled when the settings load.
#[derive(Debug, Clone)]
pub struct Mapping {
    name: String,
    trigger: Trigger,
    action: Action,
    enabled: bool,
    fields: Fields,
}

/// What is wrong with a mapping's JSON, and where inside it.
#[derive(Debug, Error)]
pub enum MappingError {
    /// The parameter's text as a whole.
    #[error(
        "{0}: a mapping is {{\"trigger\":…,\"action\":\"track-event\"|\"identify-visitor\",\"enabled\"?,\"fields\"?}}"
    )]
    Shape(#[from] serde_json::Error),
    /// Its trigger.
    #[error("trigger: {0}")]
    Trigger(#[from] super::TriggerError),
    /// One of its fields.
    #[error("fields.{field}: {problem}")]
    Field {
        /// The field's name.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    trigger: String,
    action: Action,
    #[serde(default = "enabled_by_default")]
    enabled: bool,
    #[serde(default)]
    fields: serde_json::Map<String, serde_json::Value>,
}

fn enabled_by_default() -> bool {
    true
}

impl Mapping {
    /// Compiles the JSON of a parameter `mappings/<name>`.
    ///
    /// # Errors
    /// With the path inside the mapping of what is wrong.
    pub fn parse(name: &str, json: &str) -> Result<Self, MappingError> {
        let written: Written = serde_json::from_str(json)?;
        Ok(Self {
            name: name.to_owned(),
            trigger: Trigger::parse(&written.trigger)?,
            action: written.action,
            enabled: written.enabled,
            fields: Fields::compile(written.action, &written.fields)?,
        })
    }

    /// Segment's preset for an action; what serves when no mapping is configured. Its name is the action's.
    #[must_use]
    pub fn preset(action: Action) -> Self {
        let kind = Trigger::parse(action.preset_trigger());
        Self {
            name: action.name().to_owned(),
            // A preset's trigger parses: `every_preset_is_what_its_parameter_would_give` holds it.
            trigger: kind.unwrap_or_else(|error| unreachable!("preset {action}: {error}")),
            action,
            enabled: true,
            fields: Fields::default(),
        }
    }

    /// The last part of the parameter's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is done with the events it takes.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// Whether the mapping is on and its trigger takes the event.
    #[must_use]
    pub fn takes(&self, event: &Event<'_>) -> bool {
        self.enabled && self.trigger.matches(event.fields())
    }

    /// The action's fields for one event.
    ///
    /// # Errors
    /// When a field is not of its type or a required one is missing. The same event fails the same way until the
    /// mapping is changed.
    pub fn map<'a>(&self, event: &Event<'a>) -> Result<MappedEvent<'a>, MappingProblem> {
        self.fields.map(self.action, event)
    }
}

/// Where the fields of the action come from; one left out takes the action's default.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    event: Option<Path>,
    properties: Option<Path>,
    traits: Option<Path>,
}

/// The field names of each action, as in Segment's Koala destination.
fn field_names(action: Action) -> &'static [&'static str] {
    match action {
        Action::IdentifyVisitor => &["traits"],
        Action::TrackEvent => &["event", "properties"],
    }
}

impl Fields {
    fn compile(action: Action, written: &serde_json::Map<String, serde_json::Value>) -> Result<Self, MappingError> {
        let mut fields = Self::default();
        for (field, value) in written {
            let problem = |problem: String| MappingError::Field { field: field.clone(), problem };
            let slot = match (action, field.as_str()) {
                (Action::TrackEvent, "event") => &mut fields.event,
                (Action::TrackEvent, "properties") => &mut fields.properties,
                (Action::IdentifyVisitor, "traits") => &mut fields.traits,
                _ => {
                    let known = field_names(action).join(", ");
                    return Err(problem(format!("no field of {action}; its fields are: {known}")));
                }
            };
            *slot = Some(Path::compile(value).map_err(problem)?);
        }
        Ok(fields)
    }

    fn map<'a>(&self, action: Action, event: &Event<'a>) -> Result<MappedEvent<'a>, MappingProblem> {
        let value = |path: &Option<Path>, default: &str| match path {
            Some(path) => path.find(event.fields()),
            None => event.fields().get_present(default),
        };
        match action {
            Action::IdentifyVisitor => {
                let traits = value(&self.traits, "traits");
                Ok(MappedEvent::Identify { traits: required("Traits", "traits", Kind::Object, traits)? })
            }
            Action::TrackEvent => {
                let name = value(&self.event, "event");
                let name = required("Event Name", "event", Kind::String, name)?;
                let name = json::string(name).unwrap_or_default();
                if name.trim().is_empty() {
                    return Err(MappingProblem::Missing { field: "Event Name", key: "event" });
                }
                let properties = value(&self.properties, "properties");
                Ok(MappedEvent::Track {
                    name,
                    properties: optional("Event Properties", "properties", Kind::Object, properties)?,
                })
            }
        }
    }
}

/// What an action got for one event.
#[derive(Debug, Clone)]
pub enum MappedEvent<'a> {
    /// *Identify Visitor*.
    Identify {
        /// Traits, an object.
        traits: &'a RawValue,
    },
    /// *Track Event*.
    Track {
        /// Event Name, not empty.
        name: Cow<'a, str>,
        /// Event Properties, an object.
        properties: Option<&'a RawValue>,
    },
}

/// Why an event does not fit its action. Each is final for this event under this mapping.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MappingProblem {
    /// A required field is missing, null or empty.
    #[error("{field} (`{key}`) is missing, and the action requires it")]
    Missing {
        /// The field as Segment shows it.
        field: &'static str,
        /// Its key in the mapping.
        key: &'static str,
    },
    /// A field has another type than the action's.
    #[error("{field} (`{key}`) must be {expected}, and is {found}")]
    WrongType {
        /// The field as Segment shows it.
        field: &'static str,
        /// Its key in the mapping.
        key: &'static str,
        /// What it should be.
        expected: Kind,
        /// What it is.
        found: Kind,
    },
}

fn optional<'a>(
    field: &'static str,
    key: &'static str,
    expected: Kind,
    value: Option<&'a RawValue>,
) -> Result<Option<&'a RawValue>, MappingProblem> {
    match value.map(|value| (value, json::kind(value))) {
        None | Some((_, Kind::Null)) => Ok(None),
        Some((value, kind)) if kind == expected => Ok(Some(value)),
        Some((_, found)) => Err(MappingProblem::WrongType { field, key, expected, found }),
    }
}

fn required<'a>(
    field: &'static str,
    key: &'static str,
    expected: Kind,
    value: Option<&'a RawValue>,
) -> Result<&'a RawValue, MappingProblem> {
    optional(field, key, expected, value)?.ok_or(MappingProblem::Missing { field, key })
}

/// `{"@path":"$.properties.plan"}`: the keys to follow from the event down.
#[derive(Debug, Clone)]
struct Path(Vec<String>);

impl Path {
    fn compile(written: &serde_json::Value) -> Result<Self, String> {
        const EXPECTED: &str = "expected {\"@path\":\"$.…\"}";
        let directive = written.as_object().filter(|object| object.len() == 1).ok_or(EXPECTED)?;
        let path = directive.get("@path").and_then(serde_json::Value::as_str).ok_or(EXPECTED)?;
        let keys = path.strip_prefix("$.").ok_or("@path: a path begins with `$.`")?;
        let keys: Vec<String> = keys.split('.').map(str::to_owned).collect();
        if keys.iter().any(|key| key.is_empty() || key.contains(['[', ']', '*', '\''])) {
            return Err("@path: a path is keys with points between them, as in `$.properties.plan`".to_owned());
        }
        Ok(Self(keys))
    }

    fn find<'a>(&self, fields: &Object<'a>) -> Option<&'a RawValue> {
        let (first, rest) = self.0.split_first()?;
        let mut value = fields.get_present(first)?;
        for key in rest {
            value = Object::from_raw(value)?.get_present(key)?;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_what_its_parameter_would_give() {
        for action in Action::ALL {
            let preset = Mapping::preset(action);
            let json = format!(r#"{{"trigger":{:?},"action":"{action}"}}"#, action.preset_trigger());
            let parsed = Mapping::parse(action.name(), &json).expect("a mapping");
            assert_eq!(
                (preset.trigger, preset.action, preset.enabled),
                (parsed.trigger, parsed.action, parsed.enabled)
            );
        }
    }

    #[test]
    fn a_bad_mapping_names_the_place() {
        let why = |json: &str| Mapping::parse("m", json).expect_err("a bad mapping").to_string();
        assert!(why(r#"{"trigger":"type = \"track\"","action":"page-view"}"#).contains("page-view"));
        assert!(why(r#"{"trigger":"kind = 1","action":"track-event"}"#).starts_with("trigger: at character 1"));
        let fields =
            |fields: &str| format!(r#"{{"trigger":"type = \"track\"","action":"track-event","fields":{fields}}}"#);
        assert!(
            why(&fields(r#"{"traits":{"@path":"$.traits"}}"#)).starts_with("fields.traits: no field of track-event")
        );
        assert!(why(&fields(r#"{"event":{"@path":"event"}}"#)).starts_with("fields.event: @path"));
    }
}
