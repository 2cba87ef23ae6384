//! JSON without the IP addresses that it came from.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{ObjectWriter, trim};

/// What a field is called that holds an address, without `_`, `-` and case: `context.ip` of Segment's, `device_ip` and `ip` of
/// Koala's, and what senders call it in their own properties and traits.
const NAMES: [&str; 13] = [
    "ip",
    "ipaddr",
    "ipaddress",
    "ipv4",
    "ipv6",
    "deviceip",
    "clientip",
    "userip",
    "remoteip",
    "lastip",
    "remoteaddr",
    "remoteaddress",
    "xforwardedfor",
];
/// What stands deeper is left out: an event has at most [`DEEPEST`](super::DEEPEST) levels, and stands within an entry.
const DEEPEST: usize = 100;

fn is_name(key: &str) -> bool {
    // The longest has 13 letters; a separator may stand between each two words.
    if key.len() > 20 {
        return false;
    }
    let name: String = key.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.contains(&name.as_str())
}

/// Whether a key outside that list may name an address (`current_sign_in_ip`, `hqAddr`): its value decides.
fn may_be_name(key: &str) -> bool {
    let has = |word: &[u8]| key.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    has(b"ip") || has(b"addr")
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok()
}

/// Whether a value of JSON is an address, or a list of nothing else.
fn is_of_addresses(json: &str) -> bool {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<Cow<'_, str>>(json).is_ok_and(|text| is_address(text.trim())),
        Some(b'[') => serde_json::from_str::<Vec<Cow<'_, str>>>(json)
            .is_ok_and(|texts| !texts.is_empty() && texts.iter().all(|text| is_address(text.trim()))),
        _ => false,
    }
}

/// Takes the fields out, at any depth, that hold an address: by their name where they are text or a list, or by a name that may be
/// one's where nothing but addresses stands there.
pub fn remove_ip_addresses(fields: &mut Map<String, Value>) {
    let is_text = |value: &Value| value.is_string() || value.is_array();
    let is_left_out = |key: &str, value: &Value| {
        is_text(value) && (is_name(key) || may_be_name(key) && is_of_addresses(&value.to_string()))
    };
    fields.retain(|key, value| !is_left_out(key, value));
    fields.values_mut().for_each(remove_within);
}

fn remove_within(value: &mut Value) {
    match value {
        Value::Object(fields) => remove_ip_addresses(fields),
        Value::Array(values) => values.iter_mut().for_each(remove_within),
        _ => {}
    }
}

/// The same of JSON text: all else stays byte for byte, but for white space. What is not JSON stays as it is.
#[must_use]
pub fn without_ip_addresses(json: &str) -> Cow<'_, str> {
    let is_json = serde_json::from_str::<&RawValue>(json).is_ok();
    is_json.then(|| without(trim(json), 0)).flatten().map_or(Cow::Borrowed(json), Cow::Owned)
}

/// Text of no form without what looks like an address in it.
#[must_use]
pub fn text_without_ip_addresses(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(is_part) {
        let length = rest[begin..].find(|c| !is_part(c)).unwrap_or(rest.len() - begin);
        let (before, word) = (&rest[..begin], &rest[begin..begin + length]);
        out.push_str(before);
        match without_marks(word) {
            Some((before, after)) => out.extend([before, "-", after]),
            None => out.push_str(word),
        }
        rest = &rest[begin + length..];
    }
    out.push_str(rest);
    out
}

/// What stands around the address that a word is: a colon that belongs to what is before it, the end of a sentence.
fn without_marks(word: &str) -> Option<(&str, &str)> {
    let begin = usize::from(word.starts_with([':', '.']));
    let end = word.trim_end_matches([':', '.']).len();
    let around = [(0, word.len()), (begin, word.len()), (0, end), (begin, end)];
    let found = around.into_iter().find(|(begin, end)| word.get(*begin..*end).is_some_and(is_address))?;
    Some((&word[..found.0], &word[found.1..]))
}

/// Nothing where nothing is taken out.
fn without(json: &str, depth: usize) -> Option<String> {
    let is_object = json.starts_with('{');
    if !is_object && !json.starts_with('[') {
        return None;
    }
    if depth == DEEPEST {
        return Some("null".to_owned());
    }
    if is_object {
        let Members(members) = serde_json::from_str(json).ok()?;
        let inside: Vec<Option<String>> = members.iter().map(|(_, value)| without(value.get(), depth + 1)).collect();
        let is_left_out = |(key, value): &(Cow<'_, str>, &RawValue)| {
            let json = value.get();
            json.starts_with(['"', '[']) && (is_name(key) || may_be_name(key) && is_of_addresses(json))
        };
        if inside.iter().all(Option::is_none) && !members.iter().any(is_left_out) {
            return None;
        }
        let mut out = String::with_capacity(json.len());
        let mut object = ObjectWriter::start(&mut out);
        for (member, inside) in members.iter().zip(&inside).filter(|(member, _)| !is_left_out(member)) {
            object.raw(&member.0, inside.as_deref().unwrap_or(member.1.get()));
        }
        object.end();
        return Some(out);
    }
    let values: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let inside: Vec<Option<String>> = values.iter().map(|value| without(value.get(), depth + 1)).collect();
    if inside.iter().all(Option::is_none) {
        return None;
    }
    let values = values.iter().zip(&inside).map(|(value, inside)| inside.as_deref().unwrap_or(value.get()));
    Some(format!("[{}]", values.collect::<Vec<_>>().join(",")))
}

/// The members of an object in their order, each as it stands there.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(Key(key)) = fields.next_key()? {
                    members.push((key, fields.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Read)
    }
}

/// A key, which is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_from_wherever_they_stand_and_all_else_stays_as_it_is() {
        let json = r#"{"type":"track","properties":{"n":12345678901234567890.10,"ip":"192.0.2.1","clientIp":["192.0.2.2"],"zip":"12345"},
            "context":{"\u0069p":"192.0.2.3","device":{"ip_address":"2001:db8::1"},"traits":{"IP":"192.0.2.4","current_sign_in_ip":"192.0.2.7","hqAddr":"192.0.2.8:80","ips":["192.0.2.9","2001:db8::2"]}},"list":[{"ip":"192.0.2.5"},1],"device_ip":"192.0.2.6"}"#;
        let left = without_ip_addresses(json);
        assert!(!left.contains("192.0.2") && !left.contains("2001:db8"), "{left}");
        assert!(left.contains("12345678901234567890.10") && left.contains(r#""zip":"12345""#), "{left}");
        let left: Value = serde_json::from_str(&left).expect("JSON");
        assert_eq!(left["list"], serde_json::json!([{}, 1]));
        let mut fields: Map<String, Value> = serde_json::from_str(json).expect("an object");
        remove_ip_addresses(&mut fields);
        assert_eq!(Value::Object(fields), left);
    }

    #[test]
    fn what_has_none_is_not_touched() {
        for json in [
            r#"{ "a" : 1, "ip": 7, "ship":"x", "ip2":{"b":[ ]},"address":"1 Main St","tips":["x"]}"#,
            "no JSON: \"ip\":",
            "[]",
            "\"ip\"",
        ] {
            assert!(matches!(without_ip_addresses(json), Cow::Borrowed(same) if same == json), "{json}");
        }
    }

    #[test]
    fn text_of_no_form_loses_what_looks_like_an_address() {
        let text = r#"{"ip":"192.0.2.1","t":"12:30","v":"1.2","at":2001:db8::1, 192.0.2.2:80 é192.0.2.3. "#;
        assert_eq!(text_without_ip_addresses(text), r#"{"ip":"-","t":"12:30","v":"1.2","at":-, - é-. "#);
    }

    #[test]
    fn depth_without_end_costs_no_stack() {
        let deep = format!("{}\"192.0.2.1\"{}", "{\"ip\":[".repeat(5000), "]}".repeat(5000));
        assert_eq!(without_ip_addresses(&deep), "{}");
        let deep = format!("{}{{\"ip\":\"192.0.2.1\"}}{}", "[".repeat(5000), "]".repeat(5000));
        assert!(!without_ip_addresses(&deep).contains("192.0.2.1"));
    }
}
