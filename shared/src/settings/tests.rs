//! What a tree of parameters means.

use super::*;

fn parameter(name: &str, value: &str) -> Parameter {
    Parameter::new(name, value)
}

const TRACK: &str = r#"{"trigger":"type = \"track\"","action":"track-event"}"#;

fn settings(collector: CollectorKind, mappings: &[(&str, &str)]) -> Settings {
    let mut tree = vec![parameter("public-api-key", "pk_1")];
    tree.extend(mappings.iter().map(|(name, value)| parameter(&format!("mappings/{name}"), value)));
    Settings::from_parameters(&tree, collector).expect("settings")
}

/// The names of the mappings that are in force, with a star where it is a preset.
fn in_force(settings: &Settings) -> Vec<String> {
    let enabled = settings.mappings().iter().filter(|mapping| mapping.is_enabled());
    enabled.map(|it| format!("{}{}", it.name(), if it.is_preset() { "*" } else { "" })).collect()
}

/// The mappings that take an event, each with whether it needs a message id of its own.
fn taken(settings: &Settings, event: &str) -> Vec<(String, bool)> {
    let event = Event::parse(event).expect("an event");
    settings.mappings_that_take(&event).map(|(mapping, another)| (mapping.name().to_owned(), another)).collect()
}

#[test]
fn the_presets_are_in_force_without_being_written_and_a_collector_of_ours_has_three_more() {
    let own = settings(CollectorKind::Own, &[]);
    assert_eq!(in_force(&own), ["alias*", "identify-account*", "identify-visitor*", "page-view*", "track-event*"]);
    let koala = settings(CollectorKind::Koala, &[]);
    assert_eq!(in_force(&koala), ["identify-visitor*", "track-event*"]);
}

#[test]
fn a_mapping_of_ones_own_is_added_to_the_presets_and_never_switches_them_off() {
    let settings =
        settings(CollectorKind::Koala, &[("mine", r#"{"trigger":"type = \"page\"","action":"track-event"}"#)]);
    assert_eq!(in_force(&settings), ["identify-visitor*", "mine", "track-event*"]);
    assert_eq!(taken(&settings, r#"{"type":"identify"}"#), [("identify-visitor".to_owned(), false)]);
}

#[test]
fn a_parameter_of_a_preset_s_name_replaces_it_and_what_it_leaves_out_is_the_preset_s() {
    let checkout = r#"{"trigger":"event = \"Checkout\"","action":"track-event"}"#;
    let replaced = settings(CollectorKind::Koala, &[("track-event", checkout)]);
    assert_eq!(in_force(&replaced), ["identify-visitor*", "track-event"]);
    assert!(taken(&replaced, r#"{"type":"track","event":"A"}"#).is_empty());
    let fields = settings(CollectorKind::Koala, &[("track-event", r#"{"fields":{"event":{"@path":"$.name"}}}"#)]);
    assert_eq!(in_force(&fields), ["identify-visitor*", "track-event"]);
    assert_eq!(taken(&fields, r#"{"type":"track","event":"A"}"#), [("track-event".to_owned(), false)]);
}

#[test]
fn enabled_alone_turns_a_preset_off_or_on() {
    let off =
        settings(CollectorKind::Own, &[("track-event", r#"{"enabled":false}"#), ("alias", r#"{"enabled":false}"#)]);
    assert_eq!(in_force(&off), ["identify-account*", "identify-visitor*", "page-view*"]);
    let on = settings(CollectorKind::Koala, &[("page-view", r#"{"enabled":true}"#)]);
    assert_eq!(in_force(&on), ["identify-visitor*", "page-view*", "track-event*"]);
}

#[test]
fn a_preset_passes_over_an_event_that_a_mapping_of_ones_own_takes_with_its_action() {
    let checkout = r#"{"trigger":"event = \"Checkout\"","action":"track-event"}"#;
    let off = r#"{"trigger":"event = \"Refund\"","action":"track-event","enabled":false}"#;
    let other_action = r#"{"trigger":"event = \"Login\"","action":"identify-visitor"}"#;
    let settings = settings(
        CollectorKind::Koala,
        &[("checkout", checkout), ("also", checkout), ("off", off), ("login", other_action)],
    );
    let one = |name: &str| (name.to_owned(), false);
    let taken = |name: &str| taken(&settings, &format!(r#"{{"type":"track","event":"{name}"}}"#));
    assert_eq!(taken("Checkout"), [one("also"), ("checkout".to_owned(), true)]);
    assert_eq!(taken("Refund"), [one("track-event")]);
    assert_eq!(taken("Login"), [one("login"), one("track-event")]);
    assert_eq!(taken("Signed Up"), [one("track-event")]);
}

#[test]
fn at_most_fifty_are_in_force_and_presets_count() {
    let tree = |own: usize, more: &[(&str, &str)]| -> Vec<Parameter> {
        let own = (0..own).map(|n| parameter(&format!("mappings/m{n}"), TRACK));
        let more = more.iter().map(|(name, value)| parameter(name, value));
        own.chain(more).chain([parameter("public-api-key", "pk_1")]).collect()
    };
    let in_force = |tree: &[Parameter], kind| Settings::from_parameters(tree, kind).map(drop);
    assert!(in_force(&tree(48, &[]), CollectorKind::Koala).is_ok());
    assert!(in_force(&tree(45, &[]), CollectorKind::Own).is_ok());
    let error = in_force(&tree(49, &[]), CollectorKind::Koala).expect_err("51");
    assert!(error.to_string().starts_with("mappings: 51 are in force, presets counted"), "{error}");
    assert!(in_force(&tree(46, &[]), CollectorKind::Own).is_err());
    let one_off = tree(49, &[("mappings/track-event", r#"{"enabled":false}"#)]);
    assert!(in_force(&one_off, CollectorKind::Koala).is_ok(), "one that is off is not in force");
}

#[test]
fn every_problem_is_named_by_its_parameter_and_no_secret_is_repeated() {
    let mut tree = vec![
        parameter("public-api-key", "pk hunter2"),
        parameter("webhook-secret", " \n"),
        parameter("mappings/bad", "{"),
    ];
    tree.extend((0..MOST_MAPPINGS).map(|n| parameter(&format!("mappings/m{n}"), TRACK)));
    let error = Settings::from_parameters(&tree, CollectorKind::Koala).expect_err("problems");
    let named: Vec<_> = error.problems.iter().map(|problem| problem.parameter.as_str()).collect();
    assert_eq!(named, ["public-api-key", "webhook-secret", "mappings/bad", "mappings"]);
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn a_missing_key_is_a_problem() {
    let error = Settings::from_parameters(&[], CollectorKind::Koala).expect_err("problems");
    assert!(error.to_string().starts_with("public-api-key: is missing"));
}
