//! What is valid in a tree of parameters and may not be what was meant.

use super::{Problem, Settings};
use crate::segment::{Coverage, Mapping};

impl Settings {
    /// What is valid and cannot work, or does less or more than its writer may think; by the parameter's name.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        let own = || self.mappings.iter().filter(|mapping| !mapping.is_preset() && mapping.is_enabled());
        let advice = own().flat_map(|mapping| mapping.advice().into_iter().map(|it| warning(mapping, it.to_string())));
        let narrower = own().flat_map(|mapping| self.narrower_than_presets(mapping));
        advice.chain(narrower).collect()
    }

    /// Where a mapping takes a part of what a preset of its action takes: either the preset still delivers the rest, or
    /// nothing does, since the mapping stands in the preset's place.
    fn narrower_than_presets<'s>(&'s self, own: &'s Mapping) -> impl Iterator<Item = Problem> {
        self.presets.iter().filter(|preset| preset.action() == own.action()).filter_map(|preset| {
            let kind = preset.preset_kind()?;
            if own.trigger().coverage(kind) != Coverage::Some {
                return None;
            }
            let (name, action) = (preset.name(), preset.action());
            let is_in_force =
                self.mappings.iter().any(|mapping| mapping.is_preset() && mapping.is_enabled() && mapping.name() == name);
            if is_in_force {
                let message = format!(
                    "takes a part of the events of the type {kind}, and the preset {name} still delivers all others: where \
                     only these are wanted, turn it off with {{\"enabled\":false}} in mappings/{name}"
                );
                return Some(warning(own, message));
            }
            let message = format!(
                "takes a part of the events of the type {kind} in place of the preset {name}: all others that no mapping \
                 of {action} takes are skipped"
            );
            (own.name() == name).then(|| warning(own, message))
        })
    }
}

fn warning(mapping: &Mapping, message: String) -> Problem {
    Problem { parameter: format!("mappings/{}", mapping.name()), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector_kind::CollectorKind;
    use crate::settings::Parameter;

    fn warnings(mappings: &[(&str, &str)]) -> Vec<String> {
        let parameter = |name: String, value: &str| Parameter::new(name, value);
        let mut tree = vec![parameter("public-api-key".to_owned(), "pk_1")];
        tree.extend(mappings.iter().map(|(name, value)| parameter(format!("mappings/{name}"), value)));
        let settings = Settings::from_parameters(&tree, CollectorKind::Koala).expect("settings");
        settings.warnings().iter().map(ToString::to_string).collect()
    }

    const CHECKOUT: &str = r#"{"trigger":"type = \"track\" and event = \"Checkout\"","action":"track-event"}"#;

    #[test]
    fn an_own_trigger_that_is_narrower_than_the_preset_s_is_told_that_the_preset_delivers_the_rest() {
        let said = warnings(&[("checkout", CHECKOUT)]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("mappings/checkout: takes a part of the events of the type track"), "{said:?}");
        assert!(said[0].contains("the preset track-event still delivers all others"), "{said:?}");
        assert_eq!(warnings(&[("checkout", CHECKOUT), ("track-event", r#"{"enabled":false}"#)]), Vec::<String>::new());
        let other_type = r#"{"trigger":"type = \"page\" and name = \"Pricing\"","action":"track-event"}"#;
        let as_wide = r#"{"trigger":"type = \"track\"","action":"track-event"}"#;
        assert_eq!(warnings(&[("viewed", other_type), ("all", as_wide)]), Vec::<String>::new());
    }

    #[test]
    fn a_parameter_that_replaces_a_preset_by_less_is_told_what_is_skipped() {
        let said = warnings(&[("track-event", CHECKOUT)]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("in place of the preset track-event: all others"), "{said:?}");
    }

    #[test]
    fn what_cannot_work_is_a_warning_under_the_parameter_s_name() {
        let viewed = r#"{"trigger":"type = \"page\" and match(name, \"*a*\")","action":"track-event",
            "fields":{"event":{"@template":"Viewed {{name"}}}"#;
        let said = warnings(&[("viewed", viewed)]);
        assert!(said[0].starts_with("mappings/viewed: trigger: match"), "{said:?}");
        assert!(said[1].starts_with("mappings/viewed: fields.event.@template: has a `{{`"), "{said:?}");
    }
}
