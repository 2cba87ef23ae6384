//! Random triggers and mappings on random events: whatever they are, there is an answer, soon, and no panic.
//!
//! `PROPTEST_CASES` says how many of each; a long run is
//! `PROPTEST_CASES=5000000 cargo test --release --package koala-destination --test fuzz`.

use koala_destination::json::{Object, elements as elements_of};
use koala_destination::segment::{FieldMapping, Trigger, Value};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

/// An object's fields as `serde_json` reads them, in their order.
mod as_serde_json {
    use std::fmt;

    use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
    use serde_json::value::RawValue;

    pub struct Fields<'a>(pub Vec<(String, &'a str)>);

    impl<'de> Deserialize<'de> for Fields<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Read;

            impl<'de> Visitor<'de> for Read {
                type Value = Fields<'de>;

                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                    let mut fields = Vec::new();
                    while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                        fields.push((key, value.get()));
                    }
                    Ok(Fields(fields))
                }
            }

            deserializer.deserialize_map(Read)
        }
    }
}

/// Pieces that triggers are made of, well put together or not.
fn trigger() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "type", "event", "name", "userId", "properties.a", "traits.b.c", "context.d", "=", "!=", "<", "<=", ">", ">=",
            "contains", "match", "(", ")", ",", "!", "and", "or", "null", "true", "\"track\"", "\"a*\"", "\"*a\"", "5", "-1.5", " ",
        ]).prop_map(str::to_owned),
        2 => Just("contains(properties.a, \"x\")".to_owned()),
        2 => Just("type = \"track\"".to_owned()),
        1 => ".{0,4}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.join(" "))
}

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        ".{0,8}".prop_map(Json::from),
        prop::sample::select(vec![
            "$.a",
            "$.a.b[0]",
            "$.",
            "",
            "{{a}} {{{b}}}",
            "{{ a | append: a }}",
            "{% capture x %}{{a}}{{x}}{% endcapture %}{{x}}",
            "{% assign x = a %}{{ x | split: '' | join: x }}",
            "left",
            "upper",
            "encode",
            "decode",
            ".",
        ])
        .prop_map(Json::from),
    ]
}

const KEYS: [&str; 30] = [
    "a",
    "b",
    "c",
    "0",
    "_metadata",
    "@path",
    "@template",
    "@literal",
    "@if",
    "@case",
    "@replace",
    "@arrayPath",
    "@merge",
    "@transform",
    "@flatten",
    "@json",
    "@excludeWhenNull",
    "@liquid",
    "exists",
    "blank",
    "then",
    "else",
    "operator",
    "value",
    "pattern",
    "replacement",
    "objects",
    "direction",
    "apply",
    "mapping",
];

/// Any JSON, with the words of directives as keys.
fn anything() -> impl Strategy<Value = Json> {
    scalar().prop_recursive(6, 48, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((prop::sample::select(KEYS.to_vec()), inner), 0..4)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// A mapping whose directives are well-formed.
fn mapping() -> impl Strategy<Value = Json> {
    scalar().prop_recursive(6, 48, 4, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            prop::sample::select(vec!["$.a", "$.b.c", "$.", "$.a[0]"]).prop_map(|path| json!({"@path": path})),
            Just(json!({"@template": "{{a}}-{{b}}"})),
            Just(json!({"@liquid": "{{ a | append: b | upcase }}"})),
            two.clone().prop_map(|(a, b)| json!({"@if": {"exists": a, "then": b, "else": 1}})),
            two.clone()
                .prop_map(|(a, b)| json!({"@transform": {"apply": {"a": a.clone(), "b": a}, "mapping": {"a": b}}})),
            two.clone().prop_map(|(a, b)| json!({"@merge": {"direction": "left", "objects": [{"a": a}, {"b": b}]}})),
            two.prop_map(|(a, b)| json!({"a": a, "b": b})),
            inner.clone().prop_map(|a| json!({"@arrayPath": ["$.a", {"a": a}]})),
            inner.clone().prop_map(|a| json!({"@flatten": {"separator": ".", "value": {"a": a}}})),
            inner.clone().prop_map(|a| json!({"@json": {"mode": "encode", "value": {"a": a}}})),
            inner.prop_map(|a| json!({"@excludeWhenNull": {"a": a}})),
        ]
    })
}

fn event() -> impl Strategy<Value = String> {
    (anything(), anything())
        .prop_map(|(a, b)| json!({"type": "track", "a": a, "b": b, "properties": {"a": 1}}).to_string())
}

fn render(mapping: &Json, event: &str) {
    let Some(event) = Object::from_json(event) else { return };
    if let Ok(mapping) = FieldMapping::compile(mapping)
        && let Ok(value) = mapping.render(&Value::Event(&event))
    {
        let mut json = String::new();
        if value.write_json(&mut json) {
            assert!(serde_json::from_str::<&RawValue>(&json).is_ok(), "{json}");
        }
    }
}

/// JSON text, whole or with a byte of it changed, left out, or doubled.
fn json_text() -> impl Strategy<Value = String> {
    let change =
        (0..4_usize, any::<prop::sample::Index>(), prop::sample::select(b"{}[]\",:\\ntu019.-+eE \x01".to_vec()));
    (anything(), anything(), prop::collection::vec(change, 0..3)).prop_map(|(a, b, changes)| {
        let mut bytes = json!({"a": a, "é\n": b, "n": [1.5e-7, -0.0], "s": "\u{1}\\\"🌍"}).to_string().into_bytes();
        for (what, at, byte) in changes {
            let at = at.index(bytes.len());
            match what {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                _ => bytes.insert(at, bytes[at]),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

proptest! {
    #[test]
    fn the_scanner_takes_what_serde_json_takes_and_finds_the_same(text in json_text()) {
        let theirs: Option<as_serde_json::Fields<'_>> = serde_json::from_str(&text).ok();
        for ours in [Object::from_json(&text), Object::with_children(&text).ok()] {
            let ours = ours.map(|object| object.iter().map(|(key, value)| (key.to_owned(), value.get())).collect::<Vec<_>>());
            prop_assert_eq!(ours, theirs.as_ref().map(|fields| fields.0.clone()));
        }
    }

    #[test]
    fn the_elements_of_an_array_are_those_that_serde_json_finds(elements in prop::collection::vec(json_text(), 0..4)) {
        let text = format!(" [{}] ", elements.join(" ,\n"));
        let theirs: Option<Vec<&RawValue>> = serde_json::from_str(&text).ok();
        let ours = elements_of(&text, 100).ok().map(|elements| elements.values);
        prop_assert_eq!(ours, theirs.map(|values| values.into_iter().map(RawValue::get).collect::<Vec<_>>()));
    }

    #[test]
    fn any_trigger_is_parsed_or_refused(trigger in trigger(), event in event()) {
        if let (Ok(trigger), Some(event)) = (Trigger::parse(&trigger), Object::from_json(&event)) {
            std::hint::black_box(trigger.matches(&event));
        }
    }

    #[test]
    fn any_json_as_a_mapping_is_rendered_or_refused(mapping in anything(), event in event()) {
        render(&mapping, &event);
    }

    #[test]
    fn any_well_formed_mapping_is_rendered_or_refused(mapping in mapping(), event in event()) {
        render(&mapping, &event);
    }
}

/// What doubles with each layer comes to its bound, and soon.
#[test]
fn a_mapping_that_doubles_its_input_again_and_again_ends() {
    let mut mapping = json!({"@path": "$."});
    for _ in 0..20 {
        mapping =
            json!({"@transform": {"apply": {"a": {"@path": "$."}, "b": {"@path": "$."}}, "mapping": {"x": mapping}}});
    }
    let event = json!({"type": "track", "text": "x".repeat(10_000)}).to_string();
    let (begun, worked) = (std::time::Instant::now(), time_of_processor());
    render(&mapping, &event);
    let grows = format!("{{% assign x = 'abcdefgh' %}}{}{{{{ x }}}}", "{%assign x=x|append:x%}".repeat(38));
    render(&json!({"@liquid": grows}), &event);
    let grows = format!("{{% assign x = a %}}{}", "{%capture x%}{{x}}{{x}}{%endcapture%}".repeat(20));
    render(&json!({"@liquid": grows}), &json!({"a": "x".repeat(1000)}).to_string());
    // On a busy machine the clock goes on without the test.
    let took = time_of_processor().zip(worked).map_or_else(|| begun.elapsed(), |(now, then)| now.saturating_sub(then));
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
}

/// How long this thread has had a processor, where the system tells it (Linux, `schedstat` of proc(5)).
fn time_of_processor() -> Option<std::time::Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().next()?.parse().ok().map(std::time::Duration::from_nanos)
}

/// JSON of an event may be nested as deep as its 32 KiB allow.
#[test]
fn an_event_nested_as_deep_as_it_can_be_is_no_fault() {
    let deep = format!("{{\"type\":\"track\",\"a\":{}1{}}}", "[".repeat(15_000), "]".repeat(15_000));
    for mapping in [
        json!({"@flatten": {"separator": ".", "value": {"@path": "$.a"}}}),
        json!({"@json": {"mode": "encode", "value": {"@path": "$.a"}}}),
        json!({"@excludeWhenNull": {"x": {"@path": "$.a"}}}),
        json!({"@template": "{{a}}"}),
        json!({"@liquid": "{{a}}"}),
        json!({"@if": {"blank": {"@path": "$.a"}, "then": 1}}),
    ] {
        render(&mapping, &deep);
    }
}
