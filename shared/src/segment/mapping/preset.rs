//! The presets: mappings that need not be written.

use super::Mapping;
use crate::koala::CollectorKind;
use crate::segment::{Action, Trigger};

/// A preset, as the parameter `mappings/<name>` would write it.
struct Preset {
    name: &'static str,
    trigger: &'static str,
    action: Action,
    /// Whether it is on with a collector that is not ours.
    with_any_collector: bool,
}

/// The first two are those of Segment's own Koala destination. The others do what Koala's script did in the browser, or say
/// who belongs together, which our collector alone can use without being asked.
const PRESETS: [Preset; 5] = [
    Preset { name: "alias", trigger: "type = \"alias\"", action: Action::IdentifyVisitor, with_any_collector: false },
    Preset {
        name: "identify-account",
        trigger: "type = \"group\"",
        action: Action::IdentifyAccount,
        with_any_collector: false,
    },
    Preset {
        name: "identify-visitor",
        trigger: "type = \"identify\"",
        action: Action::IdentifyVisitor,
        with_any_collector: true,
    },
    Preset { name: "page-view", trigger: "type = \"page\"", action: Action::PageView, with_any_collector: false },
    Preset { name: "track-event", trigger: "type = \"track\"", action: Action::TrackEvent, with_any_collector: true },
];

impl Mapping {
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
}

/// The type of the events that the preset of that name takes.
pub fn kind(name: &str) -> Option<&'static str> {
    let (trigger, _) = written(name)?;
    trigger.strip_prefix("type = \"")?.strip_suffix('"')
}

/// The trigger and the action of the preset of that name: what its parameter need not repeat.
pub fn written(name: &str) -> Option<(&'static str, Action)> {
    PRESETS.iter().find(|preset| preset.name == name).map(|preset| (preset.trigger, preset.action))
}

#[cfg(test)]
mod tests {
    use super::*;

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
