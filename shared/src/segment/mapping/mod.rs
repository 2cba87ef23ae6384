//! Mappings: a trigger, an action, and where each field of the action comes from.

mod fields;

use serde::Deserialize;

pub use fields::{Given, MappedAction, MappedEvent, MappingProblem};

use super::{Action, Event, FieldProblem, Trigger};

/// One mapping of the destination, compiled when the settings load.
#[derive(Debug, Clone)]
pub struct Mapping {
    name: String,
    trigger: Trigger,
    action: Action,
    enabled: bool,
    /// None where every field takes the action's default.
    fields: Option<fields::Fields>,
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
    /// With every problem, each with the path inside the mapping: `fields.properties.@if: …`.
    pub fn parse(name: &str, json: &str) -> Result<Self, Vec<FieldProblem>> {
        let problem = |path: &str, message: String| FieldProblem { path: path.to_owned(), message };
        let written: Written = serde_json::from_str(json).map_err(|error| {
            let form =
                "a mapping is {\"trigger\":…,\"action\":\"track-event\"|\"identify-visitor\",\"enabled\"?,\"fields\"?}";
            vec![problem("", format!("{error}: {form}"))]
        })?;
        let trigger = Trigger::parse(&written.trigger).map_err(|error| problem("trigger", error.to_string()));
        let fields = fields::compile(written.action, written.fields);
        match (trigger, fields) {
            (Ok(trigger), Ok(fields)) => {
                Ok(Self { name: name.to_owned(), trigger, action: written.action, enabled: written.enabled, fields })
            }
            (trigger, fields) => Err(trigger.err().into_iter().chain(fields.err().into_iter().flatten()).collect()),
        }
    }

    /// Segment's preset for an action; what serves when no mapping is configured. Its name is the action's.
    #[must_use]
    pub fn preset(action: Action) -> Self {
        let trigger = Trigger::parse(action.preset_trigger());
        Self {
            name: action.name().to_owned(),
            // A preset's trigger parses: `every_preset_is_what_its_parameter_would_give` holds it.
            trigger: trigger.unwrap_or_else(|error| unreachable!("preset {action}: {error}")),
            action,
            enabled: true,
            fields: None,
        }
    }

    /// The last part of the parameter's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which events it takes.
    #[must_use]
    pub fn trigger(&self) -> &Trigger {
        &self.trigger
    }

    /// What is done with the events it takes.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether the mapping is on and its trigger takes the event.
    #[must_use]
    pub fn takes(&self, event: &Event<'_>) -> bool {
        self.enabled && self.trigger.matches(event.fields())
    }

    /// The action's fields for one event.
    ///
    /// # Errors
    /// When a field cannot be mapped, is not of its type, or is required and missing. The same event fails the same way
    /// until the mapping is changed.
    pub fn map<'a>(&'a self, event: &'a Event<'_>) -> Result<MappedEvent<'a>, MappingProblem> {
        fields::map(self.action, self.fields.as_ref(), event.fields())
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
    fn every_problem_of_a_mapping_names_its_place() {
        let why = |json: &str| -> Vec<String> {
            let problems = Mapping::parse("m", json).expect_err("a bad mapping");
            problems.iter().map(ToString::to_string).collect()
        };
        assert!(why(r#"{"trigger":"type = \"track\"","action":"page-view"}"#)[0].contains("page-view"));
        let problems = why(r#"{"trigger":"kind = 1","action":"track-event","fields":{"traits":{"@path":"$.traits"},
                "properties":{"a":{"@if":{"then":1}},"b":{"@path":5}},"event":{"@liquid":"{{ a | sort }}"}}}"#);
        let begins = [
            "trigger: at character 1",
            "fields.traits: is no field of track-event",
            "fields.properties.b.@path: should be a string",
        ];
        for (problem, begins) in problems.iter().zip(begins) {
            assert!(problem.starts_with(begins), "{problem}");
        }
        assert_eq!(problems.len(), begins.len(), "{problems:?}");
        let problems = why(r#"{"trigger":"type = \"track\"","action":"track-event","fields":{
                "properties":{"a":{"@if":{"then":1}}},"event":{"@liquid":"{{ a | sort }}"}}}"#);
        assert!(problems[0].starts_with("fields.properties.a: @if requires"), "{problems:?}");
        assert!(problems[1].starts_with("fields.event: "), "{problems:?}");
    }
}
