//! The presets: mappings that need not be written.

use crate::segment::Action;

/// A preset, as the parameter `mappings/<name>` would write it.
pub struct Preset {
    /// The name of its parameter.
    pub name: &'static str,
    /// Which events it takes.
    pub trigger: &'static str,
    /// What is done with them.
    pub action: Action,
    /// Whether it is on with a collector that is not ours.
    pub with_any_collector: bool,
}

/// The first two are those of Segment's own Koala destination. The others do what Koala's script did in the browser, or say
/// who belongs together, which our collector alone can use without being asked.
pub const PRESETS: [Preset; 5] = [
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

/// The type of the events that the preset of that name takes.
pub fn kind(name: &str) -> Option<&'static str> {
    let (trigger, _) = written(name)?;
    trigger.strip_prefix("type = \"")?.strip_suffix('"')
}

/// The trigger and the action of the preset of that name: what its parameter need not repeat.
pub fn written(name: &str) -> Option<(&'static str, Action)> {
    PRESETS.iter().find(|preset| preset.name == name).map(|preset| (preset.trigger, preset.action))
}
