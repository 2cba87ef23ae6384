//! Mappings: a trigger, an action, and where each field of the action comes from.

mod advice;
mod coerce;
mod fields;
mod mapped;
mod preset;

use serde::Deserialize;

pub use mapped::{Given, MappedAccount, MappedAction, MappedEvent, MappedPage, MappingProblem};

use self::preset::{PRESETS, Preset};
use super::{Action, Event, FieldProblem, Trigger};
use crate::collector_kind::CollectorKind;
use crate::json::read_parameter;

/// One mapping of the destination, compiled when the settings load.
#[derive(Debug, Clone)]
pub struct Mapping {
    name: String,
    trigger: Trigger,
    action: Action,
    enabled: bool,
    /// None where every field takes the action's default.
    fields: Option<fields::CompiledFields>,
    is_preset: bool,
    /// What is valid in the fields and cannot work.
    field_advice: Vec<FieldProblem>,
}

/// A parameter `mappings/<name>`. What one of a preset's name leaves out is the preset's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    trigger: Option<String>,
    action: Option<Action>,
    #[serde(default = "enabled_by_default")]
    enabled: bool,
    #[serde(default)]
    fields: serde_json::Map<String, serde_json::Value>,
}

fn enabled_by_default() -> bool {
    true
}

/// What a mapping looks like, for who wrote one that does not.
const FORM: &str = "a mapping is {\"trigger\":…,\"action\":\"track-event\"|\"identify-visitor\"|\"page-view\"|\
                    \"identify-account\",\"enabled\"?,\"fields\"?}";

impl Mapping {
    /// Compiles the JSON of a parameter `mappings/<name>`. One that has a preset's name and says neither trigger nor action
    /// nor fields is the preset, switched on or off.
    ///
    /// # Errors
    /// With every problem, each with the path inside the mapping: `fields.properties.@if: …`.
    pub fn parse(name: &str, json: &str) -> Result<Self, Vec<FieldProblem>> {
        let problem = |path: &str, message: String| FieldProblem { path: path.to_owned(), message };
        let bad_form = |message: String| vec![problem("", format!("{message}: {FORM}"))];
        let written: Written = read_parameter(json).map_err(bad_form)?;
        let preset = preset::written(name);
        let is_preset =
            preset.is_some() && written.trigger.is_none() && written.action.is_none() && written.fields.is_empty();
        let action = written.action.or(preset.map(|(_, action)| action));
        let action = action.ok_or_else(|| bad_form("missing field `action`".to_owned()))?;
        let trigger = written.trigger.as_deref().or(preset.map(|(trigger, _)| trigger));
        let trigger = trigger.ok_or_else(|| bad_form("missing field `trigger`".to_owned()))?;
        let trigger = Trigger::parse(trigger).map_err(|error| problem("trigger", error.to_string()));
        let field_advice = advice::of_fields(&written.fields);
        match (trigger, fields::compile(action, written.fields)) {
            (Ok(trigger), Ok(fields)) => Ok(Self {
                name: name.to_owned(),
                trigger,
                action,
                enabled: written.enabled,
                fields,
                is_preset,
                field_advice,
            }),
            (trigger, fields) => Err(trigger.err().into_iter().chain(fields.err().into_iter().flatten()).collect()),
        }
    }

    /// The presets by name, each on or off as it is with this kind of collector.
    #[must_use]
    pub fn presets(collector: CollectorKind) -> [Self; 5] {
        PRESETS.map(|preset| {
            let enabled = preset.with_any_collector || collector == CollectorKind::Own;
            Self { enabled, ..Self::of_preset(&preset) }
        })
    }

    /// The preset of an action's name, enabled.
    #[must_use]
    pub fn preset(action: Action) -> Self {
        let preset = PRESETS.iter().find(|preset| preset.name == action.name());
        // Each action has one: `every_preset_is_what_its_parameter_would_give` holds it.
        preset.map_or_else(|| unreachable!("no preset for {action}"), Self::of_preset)
    }

    fn of_preset(preset: &Preset) -> Self {
        let trigger = Trigger::parse(preset.trigger);
        Self {
            name: preset.name.to_owned(),
            // A preset's trigger parses; the same test holds it.
            trigger: trigger.unwrap_or_else(|error| unreachable!("preset {}: {error}", preset.name)),
            action: preset.action,
            enabled: true,
            fields: None,
            is_preset: true,
            field_advice: Vec::new(),
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

    /// The type of the events that the preset of its name takes, where there is one.
    #[must_use]
    pub fn preset_kind(&self) -> Option<&'static str> {
        preset::kind(&self.name)
    }

    /// Whether it is a preset, and no mapping of one's own.
    #[must_use]
    pub fn is_preset(&self) -> bool {
        self.is_preset
    }

    /// What is valid in it and cannot work, each with its place.
    #[must_use]
    pub fn advice(&self) -> Vec<FieldProblem> {
        let of_trigger = |message| FieldProblem { path: "trigger".to_owned(), message };
        self.trigger.advice().into_iter().map(of_trigger).chain(self.field_advice.iter().cloned()).collect()
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
        mapped::map(self.action, self.fields.as_ref(), event.fields())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_a_mapping_names_its_place() {
        let why = |json: &str| -> Vec<String> {
            let problems = Mapping::parse("m", json).expect_err("a bad mapping");
            problems.iter().map(ToString::to_string).collect()
        };
        assert!(why(r#"{"trigger":"type = \"track\"","action":"page-seen"}"#)[0].contains("page-seen"));
        assert!(why(r#"{"action":"track-event"}"#)[0].contains("missing field `trigger`"));
        assert!(why(r#"{"enabled":false}"#)[0].contains("missing field `action`"));
        let problems = why(r#"{"trigger":"kind = 1","action":"track-event","fields":{"traits":{"@path":"$.traits"},
                "properties":{"a":{"@if":{"then":1}},"b":{"@path":5}},"event":{"@liquid":"{{ a | sort }}"}}}"#);
        let begins = [
            "trigger: at character 1",
            "fields.traits: is not a field of track-event",
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

    #[test]
    fn every_preset_is_what_its_parameter_would_give() {
        for preset in Mapping::presets(CollectorKind::Own) {
            let (trigger, action) = (preset.trigger.as_str(), preset.action);
            let json = serde_json::json!({"trigger": trigger, "action": action.name()}).to_string();
            let parsed = Mapping::parse(&preset.name, &json).expect("a mapping");
            assert_eq!(
                (&preset.trigger, preset.action, preset.enabled),
                (&parsed.trigger, parsed.action, parsed.enabled)
            );
        }
        for action in Action::ALL {
            assert_eq!(Mapping::preset(action).action(), action);
        }
    }
}
