//! Intake through its door: a request, the answer to it, and what then stands in the queues.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue};
use koala_destination::clock;
use koala_destination::intake::{self, IntakeOptions, Outbox, OutboxError, Request};
use koala_destination::message::OutgoingMessage;
use koala_destination::segment::SharedSecret;
use koala_destination::settings::{Parameter, ParameterSource, SettingsCache, SourceError};
use serde_json::{Value, json};

const SECRET: &str = "the secret";
const OPTIONS: IntakeOptions = IntakeOptions {
    answer_within: Duration::from_secs(5),
    max_body_bytes: 1024 * 1024,
    koala_pixel_installed: false,
    forward_ip: true,
    consent_categories: &[],
};

struct Tree(&'static [(&'static str, &'static str)]);

impl ParameterSource for Tree {
    async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
        let parameter = |(name, value): &(&str, &str)| Parameter::new(*name, *value);
        Ok(self.0.iter().map(parameter).collect())
    }
}

/// Every event is taken, so that what intake makes of it can be seen.
const TREE: Tree = Tree(&[
    ("public-api-key", "pk_1"),
    ("webhook-secret", "the secret\nthe next secret"),
    ("bearer-token", "token-1\ntoken-2"),
    ("write-keys", "wk-old\nwk-new"),
    ("mappings/all", r#"{"trigger":"type != \"none\"","action":"track-event"}"#),
]);

#[derive(Default)]
struct Kept(Mutex<Vec<String>>);

impl Outbox for Kept {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        self.0.lock().unwrap().extend(messages.iter().map(|message| message.body.clone()));
        Ok(())
    }
}

/// What came of a request.
struct Answered {
    status: u16,
    body: Value,
    headers: Vec<(&'static str, &'static str)>,
    messages: Vec<String>,
}

impl Answered {
    fn code(&self) -> (u16, &str) {
        (self.status, self.body["error"]["code"].as_str().unwrap_or_default())
    }

    fn events(&self) -> Vec<Value> {
        let event = |message: &String| serde_json::from_str::<Value>(message).unwrap()["event"].take();
        self.messages.iter().map(event).collect()
    }
}

async fn send(method: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answered {
    send_to(TREE, OPTIONS, method, path, headers, body.as_ref()).await
}

async fn send_to(
    tree: Tree,
    options: IntakeOptions,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answered {
    let header = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    let request =
        Request { id: "r-1", trace_id: "t-1", method, path, headers: &headers, source_ip: Some("203.0.113.9"), body };
    let kept = Kept::default();
    let settings = SettingsCache::new(tree, Duration::from_mins(5));
    let answer = intake::handle(&request, &settings, &kept, options).await;
    Answered {
        status: answer.status,
        body: serde_json::from_str(&answer.body).unwrap_or_default(),
        headers: answer.headers.to_vec(),
        messages: kept.0.into_inner().unwrap(),
    }
}

/// As an SDK with a write key in the body.
async fn from_sdk(path: &str, body: &Value) -> Answered {
    let mut body = body.clone();
    body["writeKey"] = json!("wk-new");
    send("POST", path, &[], body.to_string()).await
}

fn signed(body: &str) -> String {
    SharedSecret::parse(SECRET).unwrap().sign(body.as_bytes()).to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn basic(user: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user))
}

#[tokio::test]
async fn the_path_says_the_type_of_a_single_event() {
    for (path, kind) in [
        ("/v1/identify", "identify"),
        ("/v1/i", "identify"),
        ("/v1/track", "track"),
        ("/v1/t", "track"),
        ("/v1/page", "page"),
        ("/v1/p", "page"),
        ("/v1/screen", "screen"),
        ("/v1/s", "screen"),
        ("/v1/group", "group"),
        ("/v1/g", "group"),
        ("/v1/alias", "alias"),
        ("/v1/a/", "alias"),
    ] {
        let answered = from_sdk(path, &json!({"type": "other", "userId": "u-1", "messageId": "m-1"})).await;
        assert_eq!((answered.status, &answered.events()[0]["type"]), (200, &json!(kind)), "{path}");
    }
}

#[tokio::test]
async fn a_batch_comes_in_by_each_of_its_paths() {
    for path in ["/v1/batch", "/v1/b", "/v1/import"] {
        let batch = json!([{"type": "track", "event": "A", "userId": "u"}, {"type": "identify", "userId": "u"}]);
        let answered = from_sdk(path, &json!({ "batch": batch })).await;
        assert_eq!((answered.status, &answered.body["accepted"]), (200, &json!(2)), "{path}");
    }
}

#[tokio::test]
async fn what_a_client_s_clock_is_wrong_by_is_taken_out_of_its_timestamps() {
    // A clock that is ten years slow; the event waited for 90 seconds before it was sent.
    let event = json!({
        "event": "A", "userId": "u", "timestamp": "2016-11-24T10:00:00.000Z", "sentAt": "2016-11-24T10:01:30.000Z",
    });
    let answered = from_sdk("/v1/track", &event).await;
    let event = &answered.events()[0];
    let milliseconds = |name: &str| clock::milliseconds(event[name].as_str().unwrap()).unwrap();
    assert_eq!(milliseconds("receivedAt") - milliseconds("timestamp"), 90_000, "{event}");
    assert_eq!(event["originalTimestamp"], "2016-11-24T10:00:00.000Z");
    assert_eq!(event["sentAt"], "2016-11-24T10:01:30.000Z");
    let now = clock::milliseconds(&clock::now()).unwrap();
    assert!((now - milliseconds("receivedAt")).abs() < 60_000, "{event}");
}

#[tokio::test]
async fn a_batch_s_sent_at_and_context_hold_for_each_of_its_events() {
    let batch = json!({
        "sentAt": "2026-11-24T10:00:30Z",
        "context": {"library": {"name": "ios"}, "locale": "de-DE"},
        "batch": [
            {"type": "track", "event": "A", "userId": "u", "timestamp": "2026-11-24T10:00:00Z", "context": {"locale": "fr-FR"}},
            {"type": "track", "event": "B", "userId": "u"},
        ],
    });
    let answered = from_sdk("/v1/batch", &batch).await;
    let events = answered.events();
    let milliseconds = |name: &str| clock::milliseconds(events[0][name].as_str().unwrap()).unwrap();
    assert_eq!(milliseconds("receivedAt") - milliseconds("timestamp"), 30_000);
    let context = json!({"locale": "fr-FR", "library": {"name": "ios"}, "ip": "203.0.113.9"});
    assert_eq!(events[0]["context"], context);
    assert_eq!(events[1]["context"]["locale"], "de-DE");
    assert_eq!(events[1]["timestamp"], events[1]["receivedAt"], "an event without a time has that of its arrival");
    assert_eq!(events[1]["originalTimestamp"], json!(null));
}

/// Ids as `koala_destination::message` gives them to a consumer: the event's own, or that of the message.
fn message_ids(answered: &Answered) -> Vec<String> {
    let id = |message: &String| {
        let message: Value = serde_json::from_str(message).unwrap();
        let own = &message["event"]["messageId"];
        let id = if own.is_string() { own } else { &message["message_id"] };
        id.as_str().unwrap_or_else(|| panic!("no id: {message}")).to_owned()
    };
    answered.messages.iter().map(id).collect()
}

#[tokio::test]
async fn two_equal_events_without_an_id_are_two_and_one_with_an_id_keeps_it() {
    let event = r#"{"type":"track","event":"A","userId":"u"}"#;
    let own = r#"{"type":"track","event":"A","userId":"u","messageId":"mine"}"#;
    let webhook = format!("[{event},{event},{own}]");
    let from_webhook = send("POST", "/v1/segment", &[("x-signature", &signed(&webhook))], &webhook).await;
    let sdk = format!(r#"{{"writeKey":"wk-new","batch":[{event},{event},{own}]}}"#);
    let from_sdk = send("POST", "/v1/batch", &[], &sdk).await;
    for answered in [from_webhook, from_sdk] {
        let ids = message_ids(&answered);
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[2], "mine");
    }
}

#[tokio::test]
async fn the_same_event_without_an_id_in_two_requests_is_two() {
    let body = r#"{"type":"track","event":"A","userId":"u","writeKey":"wk-new"}"#;
    let mut ids = Vec::new();
    for (path, id) in [("/v1/segment", "r-1"), ("/v1/segment", "r-2"), ("/v1/track", "r-1"), ("/v1/track", "r-2")] {
        let mut headers = HeaderMap::new();
        headers.insert("x-signature", HeaderValue::from_str(&signed(body)).unwrap());
        let body = body.as_bytes();
        let request = Request { id, trace_id: id, method: "POST", path, headers: &headers, source_ip: None, body };
        let kept = Kept::default();
        let answer = intake::handle(&request, &SettingsCache::new(TREE, Duration::from_mins(5)), &kept, OPTIONS).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let message: Value = serde_json::from_str(&kept.0.lock().unwrap()[0]).unwrap();
        let own = message["event"]["messageId"].as_str().or(message["message_id"].as_str());
        ids.push(own.unwrap().to_owned());
    }
    assert!(ids[0] != ids[1] && ids[2] != ids[3], "{ids:?}");
}

#[tokio::test]
async fn every_message_says_its_version_and_when_intake_took_it() {
    let body = r#"[{"type":"track","event":"A","userId":"u"},5]"#;
    let answered = send("POST", "/v1/segment", &[("x-signature", &signed(body))], body).await;
    assert_eq!(answered.messages.len(), 2);
    for message in &answered.messages {
        let message: Value = serde_json::from_str(message).unwrap();
        assert_eq!(message["v"], 1, "{message}");
        let age = clock::milliseconds(&clock::now()).unwrap() - received_at(&message);
        assert!((0..60_000).contains(&age), "{message}");
    }
}

fn received_at(message: &Value) -> i64 {
    clock::milliseconds(message["received_at"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_sender_s_word_on_when_an_event_was_received_counts_where_the_sender_is_segment_and_never_for_the_future() {
    let now = clock::milliseconds(&clock::now()).unwrap();
    let past = clock::milliseconds("2020-02-29T12:00:00.250Z").unwrap();
    for (said, expected) in [
        (r#""2020-02-29T12:00:00.250Z""#, Some(past)),
        (r#""2020-02-29T13:00:00.25+01:00""#, Some(past)),
        (r#""2999-01-01T00:00:00Z""#, None),
        (r#""yesterday""#, None),
        ("1582977600250", None),
        ("null", None),
    ] {
        let event = format!(r#"{{"type":"track","event":"A","userId":"u","writeKey":"wk-new","receivedAt":{said}}}"#);
        let headers = [("x-signature", &*signed(&event))];
        let from_segment = send("POST", "/v1/segment", &headers, &event).await;
        let message: Value = serde_json::from_str(&from_segment.messages[0]).unwrap();
        let is_now = |at: i64| (at - now).abs() < 60_000;
        match expected {
            Some(expected) => assert_eq!(received_at(&message), expected, "{said}"),
            None => assert!(is_now(received_at(&message)), "{said} {message}"),
        }
        let from_sdk = send("POST", "/v1/track", &[], &event).await;
        let message: Value = serde_json::from_str(&from_sdk.messages[0]).unwrap();
        assert!(is_now(received_at(&message)), "{said} {message}");
        assert_eq!(message["event"]["receivedAt"], message["received_at"], "{said}");
    }
}

/// Half a surrogate pair, as `text.slice(0, n)` of JavaScript leaves it, anywhere that text can stand.
#[tokio::test]
async fn text_that_was_cut_inside_an_emoji_is_taken_with_the_replacement_character_wherever_it_stands() {
    let event = r#"{"type":"track","event":"A\ud83d","userId":"u\udc00","anonymousId":"a\ud83d","messageId":"m\ud83d",
        "properties":{"key\ud83d":["\ud83d\ude00","\ud83dx"],"back":"\\ud83d"},"context":{"traits":{"na\ud83dme":"\udfff"}}}"#;
    let array = format!("[{event}]");
    let whole = json!({
        "event": "A\u{fffd}", "userId": "u\u{fffd}", "anonymousId": "a\u{fffd}", "messageId": "m\u{fffd}",
        "properties": {"key\u{fffd}": ["😀", "\u{fffd}x"], "back": "\\ud83d"}, "context": {"traits": {"na\u{fffd}me": "\u{fffd}"}},
    });
    let batch = format!(r#"{{"writeKey":"wk-new","batch":[{event}],"context":{{"sha\ud83dred":"\ud83d"}}}}"#);
    for (path, body) in [("/v1/segment", event), ("/v1/segment", &array), ("/v1/batch", &batch)] {
        // Segment signs the bytes that it sends: of an array those of its first event.
        let signature = signed(event);
        let answered = send("POST", path, &[("x-signature", &signature)], body).await;
        assert_eq!((answered.status, &answered.body["accepted"]), (200, &json!(1)), "{path} {}", answered.body);
        let queued = &answered.events()[0];
        for (field, expected) in whole.as_object().unwrap() {
            if field == "context" {
                assert_eq!(queued["context"]["traits"], expected["traits"], "{path}");
            } else {
                assert_eq!(&queued[field], expected, "{path} {field}");
            }
        }
    }
    let answered = send("POST", "/v1/batch", &[], &batch).await;
    assert_eq!(answered.events()[0]["context"]["sha\u{fffd}red"], "\u{fffd}");
    // What is rejected is kept and named in the same way.
    let rejected = r#"[{"messageId":"m\ud83d"}]"#;
    let answered = send("POST", "/v1/segment", &[("x-signature", &signed(rejected))], rejected).await;
    assert_eq!(answered.body["rejected"][0]["message_id"], "m\u{fffd}");
    assert_eq!(serde_json::from_str::<Value>(&answered.messages[0]).unwrap()["event"]["messageId"], "m\u{fffd}");
}

/// RFC 8259, 8.1: who reads JSON may ignore a byte order mark. Segment's signature is of the bytes as they are sent.
#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_ignored_and_is_part_of_what_is_signed() {
    let event = r#"{"type":"track","messageId":"m-1","event":"A","userId":"u"}"#;
    let marked = |body: &str| format!("\u{feff}{body}");
    let post =
        async |body: &str, signature: String| send("POST", "/v1/segment", &[("x-signature", &signature)], body).await;
    for body in [event.to_owned(), format!("[{event}]"), format!(" \n{event}")] {
        let answered = post(&marked(&body), signed(&marked(&body))).await;
        assert_eq!((answered.status, message_ids(&answered)), (200, vec!["m-1".to_owned()]), "{}", answered.body);
    }
    // Of a batch the first event is signed, which the mark is no part of.
    assert_eq!(post(&marked(&format!("[{event}]")), signed(event)).await.status, 200);
    assert_eq!(post(&marked(event), signed(event)).await.status, 401);
    // One mark is one too many in the middle, and so are two.
    assert_ne!(message_ids(&post(&marked(&marked(event)), signed(&marked(&marked(event)))).await), ["m-1"]);
    let batch = format!(r#"{{"batch":[{event}],"writeKey":"wk-new"}}"#);
    let answered = send("POST", "/v1/batch", &[], marked(&batch)).await;
    assert_eq!((answered.status, message_ids(&answered)), (200, vec!["m-1".to_owned()]), "{}", answered.body);
    let user = basic("wk-new:");
    let packed = [("authorization", user.as_str()), ("content-encoding", "gzip")];
    let answered = send("POST", "/v1/track", &packed, gzip(marked(event).as_bytes())).await;
    assert_eq!((answered.status, message_ids(&answered)), (200, vec!["m-1".to_owned()]), "{}", answered.body);
}

#[tokio::test]
async fn a_gzip_body_of_several_members_is_all_of_them() {
    let event = json!({"event": "A", "userId": "u", "writeKey": "wk-new"}).to_string();
    let (first, second) = event.as_bytes().split_at(10);
    let send_packed = async |bytes: &[u8]| send("POST", "/v1/track", &[("content-encoding", "gzip")], bytes).await;
    let members = [gzip(first), gzip(b""), gzip(second)].concat();
    let answered = send_packed(&members).await;
    assert_eq!((answered.status, answered.messages.len()), (200, 1), "{}", answered.body);
    // The limit is on all of them together.
    let bomb: Vec<u8> = gzip(&vec![b' '; 600 * 1024]).repeat(2);
    assert_eq!(send_packed(&[&*bomb, &gzip(event.as_bytes())].concat()).await.code(), (413, "body_too_large"));
    assert_eq!(send_packed(&members[..members.len() - 4]).await.code(), (400, "not_gzip"));
    assert_eq!(send_packed(&[&*members, b"garbage"].concat()).await.code(), (400, "not_gzip"));
    // Each costs time, however little is in it.
    assert_eq!(send_packed(&[gzip(b"").repeat(5000), members].concat()).await.code(), (400, "not_gzip"));
}

/// RFC 9110, 15.5.2: a 401 has a challenge for what would be taken.
#[tokio::test]
async fn a_401_says_which_credentials_are_taken() {
    for (path, scheme) in [("/v1/segment", "Bearer "), ("/v1/track", "Basic "), ("/v1/batch", "Basic ")] {
        for tree in [TREE, Tree(&[("public-api-key", "pk_1")])] {
            let answered = send_to(tree, OPTIONS, "POST", path, &[], br#"{"batch":[]}"#).await;
            assert_eq!(answered.status, 401);
            let challenge = answered.headers.iter().find(|(name, _)| *name == "www-authenticate");
            assert!(challenge.is_some_and(|(_, challenge)| challenge.starts_with(scheme)), "{path}");
        }
    }
    let answered = send("POST", "/v1/track", &[], "{").await;
    assert!(!answered.headers.iter().any(|(name, _)| *name == "www-authenticate") || answered.status == 401);
}

#[tokio::test]
async fn an_event_counts_with_what_its_batch_says_of_all_as_it_would_be_queued() {
    let filler = |bytes: usize| "x".repeat(bytes);
    // (batch's context, event's own context, accepted)
    for (shared, own, accepted) in [
        (json!({"a": filler(20_000)}), json!({"b": filler(10_000)}), true),
        (json!({"a": filler(20_000)}), json!({"b": filler(13_000)}), false),
        // What the event says itself does not come twice.
        (json!({"a": filler(20_000)}), json!({"a": filler(20_000)}), true),
        (json!({"a": filler(20_000), "b": 1}), json!({"a": filler(30_000)}), true),
        (json!({"a": filler(40_000)}), json!({"b": 1}), false),
        // What is not an object is not added to.
        (json!({"a": filler(40_000)}), json!("none"), true),
        (json!([filler(40_000)]), json!({"b": 1}), true),
    ] {
        let event = json!({"type": "track", "event": "A", "userId": "u", "messageId": "m-1", "context": own});
        let batch = json!({"context": shared, "batch": [event, {"type": "track", "event": "n", "userId": "u", "context": "no"}]});
        let answered = from_sdk("/v1/batch", &batch).await;
        assert_eq!(answered.body["accepted"], json!(if accepted { 2 } else { 1 }), "{}", answered.body);
        if !accepted {
            let rejected = &answered.body["rejected"][0];
            assert!(rejected["reason"].as_str().unwrap().contains("32768"), "{rejected}");
            assert_eq!((&rejected["index"], &rejected["message_id"]), (&json!(0), &json!("m-1")));
        }
        let largest = answered.messages.iter().map(String::len).max().unwrap();
        assert!(largest < 33 * 1024 + 512, "{largest}");
    }
}

#[tokio::test]
async fn a_small_body_does_not_come_to_many_large_messages() {
    // Each event would be queued with 30 KB, a thousand of them with 30 MB; all is 1 MB of body, or 5 KB in gzip.
    let event = json!({"type": "track", "event": "A", "userId": "u", "x": "x".repeat(900)});
    for (events, filler) in [(vec![event; 1000], 30_000), (vec![json!({"type": "track", "event": "A"}); 1000], 31_000)]
    {
        let body = json!({"writeKey": "wk-new", "context": {"a": "x".repeat(filler)}, "batch": events}).to_string();
        let answered = send("POST", "/v1/batch", &[("content-encoding", "gzip")], gzip(body.as_bytes())).await;
        assert_eq!(answered.status, 200);
        let bytes: usize = answered.messages.iter().map(String::len).sum();
        assert!(bytes < 5 * body.len().max(OPTIONS.max_body_bytes), "{bytes} of {}", body.len());
        let accepted = answered.body["accepted"].as_u64().unwrap();
        let rejected = answered.body["rejected"].as_array().unwrap();
        assert!(accepted >= 30 && accepted + rejected.len() as u64 == 1000, "{accepted}");
        assert!(rejected.iter().all(|it| it["reason"].as_str().unwrap().contains("context")));
    }
    // Keys that stand twice are copied twice, and count so.
    let equal = vec![r#""a":1"#; 5_000].join(",");
    let events = vec![r#"{"type":"track","event":"A"}"#; 1000].join(",");
    let body = format!(r#"{{"writeKey":"wk-new","context":{{{equal}}},"batch":[{events}]}}"#);
    let answered = send("POST", "/v1/batch", &[], &body).await;
    let bytes: usize = answered.messages.iter().map(String::len).sum();
    assert!(bytes < 5 * OPTIONS.max_body_bytes, "{bytes} of {}", body.len());
    // A thousand events with a context as SDKs send it are all taken.
    let context =
        json!({"library": {"name": "analytics-x", "version": "1.0"}, "locale": "de-DE", "x": "x".repeat(700)});
    let events = vec![json!({"type": "track", "event": "A", "userId": "u"}); 1000];
    let answered = from_sdk("/v1/batch", &json!({"context": context, "batch": events})).await;
    assert_eq!(answered.body["accepted"], 1000);
}

#[tokio::test]
async fn what_a_batch_says_of_when_it_was_sent_is_copied_when_it_can_be_a_time() {
    let batch = json!({"sentAt": "x".repeat(900_000), "batch": vec![json!({"type": "track", "event": "A"}); 100]});
    let answered = from_sdk("/v1/batch", &batch).await;
    assert_eq!(answered.body["accepted"], 100);
    assert!(answered.messages.iter().all(|message| message.len() < 1024));
}

#[tokio::test]
async fn a_visitor_s_event_gets_the_address_it_came_from_and_a_server_s_does_not() {
    let of = async |context: Value, options: IntakeOptions| {
        let body = json!({"writeKey": "wk-new", "event": "A", "userId": "u", "context": context}).to_string();
        let answered = send_to(TREE, options, "POST", "/v1/track", &[], body.as_bytes()).await;
        answered.events()[0]["context"]["ip"].clone()
    };
    assert_eq!(of(json!({"library": {"name": "analytics.js"}}), OPTIONS).await, "203.0.113.9");
    assert_eq!(of(json!(null), OPTIONS).await, "203.0.113.9");
    assert_eq!(of(json!({"ip": "198.51.100.7"}), OPTIONS).await, "198.51.100.7");
    assert_eq!(of(json!({"library": {"name": "@segment/analytics-node"}}), OPTIONS).await, json!(null));
    assert_eq!(of(json!({}), IntakeOptions { forward_ip: false, ..OPTIONS }).await, json!(null));
}

#[tokio::test]
async fn an_event_that_integrations_keep_from_koala_is_skipped() {
    let batch = json!({
        "integrations": {"All": false},
        "batch": [
            {"type": "track", "event": "for others", "userId": "u"},
            {"type": "track", "event": "for Koala alone", "userId": "u", "integrations": {"All": false, "Koala": true}},
            {"type": "track", "event": "for all but Koala", "userId": "u", "integrations": {"Koala": false}},
            {"type": "track", "event": "for all", "userId": "u", "integrations": {"All": true}},
        ],
    });
    let answered = from_sdk("/v1/batch", &batch).await;
    assert_eq!((&answered.body["accepted"], &answered.body["skipped"]), (&json!(2), &json!(2)));
    let names: Vec<_> = answered.events().iter().map(|event| event["event"].clone()).collect();
    assert_eq!(names, ["for Koala alone", "for all"]);
}

#[tokio::test]
async fn a_write_key_goes_no_further_than_intake() {
    let batch = json!({"batch": [{"type": "track", "event": "A", "userId": "u", "writeKey": "wk-new"}, {"writeKey": "wk-new"}]});
    let answered = from_sdk("/v1/batch", &batch).await;
    assert_eq!((&answered.body["accepted"], answered.messages.len()), (&json!(1), 2));
    assert!(!format!("{:?}", answered.messages).contains("wk-new"), "{:?}", answered.messages);
}

#[tokio::test]
async fn every_write_key_is_accepted_as_a_user_name_or_in_the_body() {
    let event = |key: Option<&str>| json!({"event": "A", "userId": "u", "writeKey": key}).to_string();
    for (authorization, in_body, status) in [
        (Some(basic("wk-old:")), None, 200),
        (Some(basic("wk-new")), None, 200),
        (Some(basic("wk-new:password")), None, 200),
        (None, Some("wk-old"), 200),
        (Some(basic("wrong:")), Some("wk-new"), 200),
        (Some(basic("wrong:")), None, 401),
        (None, Some("wk-"), 401),
        (None, None, 401),
        (Some("Basic !!!".to_owned()), None, 401),
        (Some("Bearer token-1".to_owned()), None, 401),
        (Some(basic("the secret:")), Some("token-1"), 401),
    ] {
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        let answered = send("POST", "/v1/track", &headers, event(in_body)).await;
        assert_eq!(answered.status, status, "{authorization:?} {in_body:?}");
    }
}

#[tokio::test]
async fn every_secret_and_every_token_proves_a_webhook_and_a_write_key_does_not() {
    let body = json!({"type": "track", "event": "A", "userId": "u", "writeKey": "wk-new"}).to_string();
    let next = SharedSecret::parse("the next secret").unwrap().sign(body.as_bytes()).to_string();
    for (name, value, status) in [
        ("x-signature", signed(&body), 200),
        ("x-signature", next, 200),
        ("x-signature", signed("another"), 401),
        ("authorization", "Bearer token-1".to_owned(), 200),
        ("authorization", "bearer token-2".to_owned(), 200),
        ("authorization", "Bearer token".to_owned(), 401),
        ("authorization", basic("wk-new:"), 401),
    ] {
        assert_eq!(send("POST", "/v1/segment", &[(name, &value)], &body).await.status, status, "{name} {value}");
    }
}

#[tokio::test]
async fn without_configured_credentials_a_route_refuses_everything_and_names_the_parameter() {
    let tree = || Tree(&[("public-api-key", "pk_1")]);
    for (path, parameter) in [("/v1/segment", "webhook-secret"), ("/v1/track", "write-keys")] {
        let answered = send_to(tree(), OPTIONS, "POST", path, &[], b"{}").await;
        assert_eq!(answered.status, 401);
        assert!(answered.body["error"]["message"].as_str().unwrap().contains(parameter), "{}", answered.body);
    }
}

#[tokio::test]
async fn a_browser_may_ask_and_send_from_any_page() {
    let asked = send("OPTIONS", "/v1/t", &[("origin", "https://shop.example")], "").await;
    assert_eq!(asked.status, 204);
    let header = |name: &str| asked.headers.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
    assert_eq!(header("access-control-allow-origin"), Some("*"));
    assert_eq!(header("access-control-allow-methods"), Some("POST"));
    assert!(header("access-control-allow-headers").is_some_and(|names| names.contains("content-type")));
    // What `sendBeacon` and analytics.js send without asking.
    let event = json!({"event": "A", "userId": "u", "writeKey": "wk-new"}).to_string();
    let sent = send("POST", "/v1/t", &[("content-type", "text/plain;charset=UTF-8")], event).await;
    assert_eq!(sent.status, 200);
    for answered in [sent, send("POST", "/v1/t", &[], "{").await, send("GET", "/v1/t", &[], "").await] {
        assert!(answered.headers.contains(&("access-control-allow-origin", "*")), "{}", answered.body);
    }
}

#[tokio::test]
async fn what_analytics_js_measures_of_itself_is_taken_and_thrown_away() {
    let answered = send("POST", "/v1/m", &[], r#"{"series":[]}"#).await;
    assert_eq!((answered.status, answered.messages.len()), (200, 0));
}

/// What an HTTP API does with a packed body of a type that it takes for text cannot be tried without one: whether it comes in
/// base64, or decoded as UTF-8. The first is taken, the second says what to do.
#[tokio::test]
async fn a_body_in_gzip_that_a_gateway_read_as_text_is_refused_with_what_to_set() {
    let packed = gzip(br#"{"type":"track","event":"E","userId":"u","messageId":"m"}"#);
    let read_as_text = String::from_utf8_lossy(&packed).into_owned();
    for path in ["/v1/track", "/v1/segment"] {
        for headers in [&[("content-encoding", "gzip"), ("content-type", "application/json")][..], &[]] {
            let answered = send("POST", path, headers, &read_as_text).await;
            assert_eq!(answered.code(), (415, "gzip_read_as_text"), "{path} {headers:?}");
            let message = answered.body["error"]["message"].as_str().unwrap();
            assert!(message.contains("without compression") && message.contains("Content-Encoding"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_body_in_gzip_is_unpacked_but_never_to_more_than_may_be() {
    let event = json!({"event": "A", "userId": "u", "writeKey": "wk-new"}).to_string();
    let send_packed = async |bytes: &[u8]| send("POST", "/v1/track", &[("content-encoding", "gzip")], bytes).await;
    assert_eq!(send_packed(&gzip(event.as_bytes())).await.status, 200);
    let whole = gzip(event.as_bytes());
    assert_eq!(send_packed(&whole[..whole.len() - 9]).await.code(), (400, "not_gzip"));
    assert_eq!(send_packed(event.as_bytes()).await.code(), (400, "not_gzip"));
    // 100 MB of spaces in 100 KB.
    let bomb = gzip(&vec![b' '; 100_000_000]);
    assert!(bomb.len() < 200_000);
    assert_eq!(send_packed(&bomb).await.code(), (413, "body_too_large"));
}

/// Method, path, a header, body; and the answer's status and code.
type Case<'c> = (&'c str, &'c str, (&'c str, &'c str), &'c [u8], (u16, &'c str));

/// Each fault of a request, with its answer. All are signed or have a key, so that the credentials are not what is wrong.
#[tokio::test]
async fn each_fault_of_a_request_has_an_answer_in_json_that_names_it() {
    let key = ("authorization", &*basic("wk-new:"));
    let json_type = ("content-type", "application/json");
    let many = format!("[{}]", vec![r#"{"type":"track","event":"A","userId":"u"}"#; 1001].join(","));
    let many_batch = format!(r#"{{"batch":{many}}}"#);
    let large = " ".repeat(OPTIONS.max_body_bytes + 1);
    let cases: [Case<'_>; 31] = [
        ("POST", "/v1", key, b"{}", (404, "not_found")),
        ("POST", "/v1/unknown", key, b"{}", (404, "not_found")),
        ("POST", "/v1/track/x", key, b"{}", (404, "not_found")),
        ("POST", "/V1/track", key, b"{}", (404, "not_found")),
        ("GET", "/v1/track", key, b"", (405, "method_not_allowed")),
        ("PUT", "/v1/segment", key, b"{}", (405, "method_not_allowed")),
        ("DELETE", "/v1/batch", key, b"", (405, "method_not_allowed")),
        ("POST", "/v1/track", key, large.as_bytes(), (413, "body_too_large")),
        ("POST", "/v1/segment", json_type, many.as_bytes(), (413, "too_many_events")),
        ("POST", "/v1/batch", key, many_batch.as_bytes(), (413, "too_many_events")),
        ("POST", "/v1/track", ("content-type", "application/xml"), b"{}", (415, "unsupported_media_type")),
        (
            "POST",
            "/v1/track",
            ("content-type", "multipart/form-data; boundary=x"),
            b"{}",
            (415, "unsupported_media_type"),
        ),
        (
            "POST",
            "/v1/track",
            ("content-type", "application/x-www-form-urlencoded"),
            b"a=1",
            (415, "unsupported_media_type"),
        ),
        (
            "POST",
            "/v1/track",
            ("content-type", "application/json; charset=utf-16"),
            b"{}",
            (415, "unsupported_media_type"),
        ),
        ("POST", "/v1/track", ("content-encoding", "br"), b"{}", (415, "unsupported_encoding")),
        ("POST", "/v1/track", key, b"", (400, "not_json")),
        ("POST", "/v1/track", key, b"{\"event\":", (400, "not_json")),
        ("POST", "/v1/track", key, b"{\"event\":\"\x00\"}", (400, "not_json")),
        ("POST", "/v1/track", key, b"{\"event\":NaN}", (400, "not_json")),
        ("POST", "/v1/track", key, b"{\"event\":\"\xff\xfe\"}", (400, "not_utf8")),
        ("POST", "/v1/segment", json_type, b"\xef\xbb\xbf\xef\xbb\xbf{}", (400, "not_json")),
        ("POST", "/v1/segment", json_type, b"\xef\xbb\xbf{}", (400, "no_event")),
        ("POST", "/v1/segment", json_type, b"[]", (400, "no_event")),
        ("POST", "/v1/segment", json_type, b"5", (400, "no_event")),
        ("POST", "/v1/segment", json_type, b"[1,null,\"x\",[]]", (400, "no_event")),
        ("POST", "/v1/track", key, b"[]", (400, "no_event")),
        ("POST", "/v1/batch", key, b"[]", (400, "no_event")),
        ("POST", "/v1/batch", key, b"{}", (400, "no_event")),
        ("POST", "/v1/batch", key, b"{\"batch\":[]}", (400, "no_event")),
        ("POST", "/v1/batch", key, b"{\"batch\":{}}", (400, "no_event")),
        ("POST", "/v1/batch", key, b"{\"batch\":[{\"event\":\"no type\"}]}", (400, "no_event")),
    ];
    for (method, path, header, body, expected) in cases {
        let text = String::from_utf8_lossy(body);
        let signature = SharedSecret::parse(SECRET).unwrap().sign(body).to_string();
        let headers = [header, ("x-signature", signature.as_str())];
        let answered = send(method, path, &headers, body).await;
        assert_eq!(answered.code(), expected, "{method} {path} {}", &text[..text.len().min(60)]);
        assert!(answered.body["error"]["message"].as_str().is_some_and(|message| message.len() > 20));
        assert!(answered.headers.contains(&("content-type", "application/json")));
    }
}

/// An array whose one bad event is rejected by name, and whose good neighbour is taken.
#[tokio::test]
async fn each_fault_of_an_event_rejects_that_event_alone() {
    let deep = |levels: usize| {
        let (open, close) = ("{\"a\":".repeat(levels - 1), "}".repeat(levels - 1));
        format!("{{\"type\":\"track\",\"event\":\"A\",\"properties\":{open}1{close}}}")
    };
    let sized = |bytes: usize| {
        let event = |filler: &str| format!(r#"{{"type":"track","event":"A","userId":"u","x":"{filler}"}}"#);
        event(&"x".repeat(bytes - event("").len()))
    };
    let (deepest, too_deep) = (deep(64), deep(65));
    let bottomless = deep(4_000);
    let (largest, too_large) = (sized(32 * 1024), sized(32 * 1024 + 1));
    let cases = [
        (deepest.as_str(), None),
        (&too_deep, Some("64")),
        (&bottomless, Some("64")),
        (&largest, None),
        (&too_large, Some("32768")),
        ("null", Some("null")),
        ("7", Some("a number")),
        ("\"x\"", Some("a string")),
        ("[{}]", Some("an array")),
        (&format!("{}1{}", "[".repeat(15_000), "]".repeat(15_000)), Some("an array")),
        (r#"{"event":"A"}"#, Some("`type` is missing")),
        (r#"{"type":null}"#, Some("`type` is missing")),
        (r#"{"type":5}"#, Some("a number")),
        // What is odd and no fault: of two equal keys the last counts, as in JavaScript.
        (r#"{"type":5,"type":"track","event":"first","event":"A","userId":"u"}"#, None),
        (
            r#"{"type":"track","event":"A","userId":"u","properties":{"n":1e999,"m":-0.0,"l":123456789012345678901234567890}}"#,
            None,
        ),
        (r#"{"type":"track","event":"A\u0000B","userId":"u"}"#, None),
        (r#"{"type":"track","event":"\ud800","userId":"u"}"#, None),
        ("{\"type\":\"track\",\"event\":\"\u{ffff}\u{fffe}\",\"userId\":\"u\"}", None),
    ];
    for (event, reason) in cases {
        let body = format!(r#"[{{"type":"track","event":"neighbour","userId":"u"}}, {event}]"#);
        let answered = send("POST", "/v1/segment", &[("x-signature", &signed(&body))], &body).await;
        let shown = &event[..event.len().min(80)];
        assert_eq!(answered.status, 200, "{shown} {}", answered.body);
        assert_eq!(answered.body["accepted"], json!(if reason.is_some() { 1 } else { 2 }), "{shown}");
        let said = answered.body["rejected"][0]["reason"].as_str();
        match reason {
            Some(reason) => assert!(said.is_some_and(|said| said.contains(reason)), "{shown}: {said:?}"),
            None => assert_eq!(said, None, "{shown}"),
        }
        // Of an SDK the same, where a batch says so; and what is added to an event never makes it too large.
        let body = format!(r#"{{"writeKey":"wk-new","batch":[{event},{{"type":"track","event":"n","userId":"u"}}]}}"#);
        let answered = send("POST", "/v1/batch", &[], body).await;
        assert_eq!(answered.body["accepted"], json!(if reason.is_some() { 1 } else { 2 }), "{shown} {}", answered.body);
    }
}

const PERSON: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/// The reasons why the events of a batch of an SDK were skipped.
async fn skipped(options: IntakeOptions, events: Value) -> Value {
    let body = json!({"writeKey": "wk-new", "batch": events}).to_string();
    let answered = send_to(TREE, options, "POST", "/v1/batch", &[], body.as_bytes()).await;
    answered.body["skipped_reasons"].clone()
}

#[tokio::test]
async fn bots_monitors_and_headless_browsers_are_skipped_with_that_reason() {
    let of =
        |user_agent: &str| json!({"type": "track", "event": "A", "userId": "u", "context": {"userAgent": user_agent}});
    let headless = PERSON.replace("Chrome/", "HeadlessChrome/");
    let monitor = "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)";
    let events = json!([of(PERSON), of(&headless), of(monitor), of("")]);
    assert_eq!(skipped(OPTIONS, events.clone()).await, json!({"bot": 2}));
    // The same by way of Segment's webhook.
    let answered = send("POST", "/v1/segment", &[("authorization", "Bearer token-1")], events.to_string()).await;
    assert_eq!((&answered.body["accepted"], &answered.body["skipped_reasons"]), (&json!(2), &json!({"bot": 2})));
}

/// Segment's rules: <https://segment.com/docs/privacy/consent-management/consent-in-segment-connections/>.
#[tokio::test]
async fn an_sdk_s_event_that_consent_forbids_is_skipped() {
    let of = |preferences: Value| json!({"type": "track", "event": "A", "userId": "u", "context": {"consent": {"categoryPreferences": preferences}}});
    let some = || of(json!({"Advertising": true, "Analytics": false}));
    let none = || of(json!({"Advertising": false, "Analytics": false}));
    let empty = || of(json!({}));
    let unsaid = || json!({"type": "track", "event": "A", "userId": "u", "context": {"consent": {}}});
    // In no category of its own: skipped where nothing at all is allowed.
    assert_eq!(skipped(OPTIONS, json!([some(), unsaid()])).await, json!(null));
    assert_eq!(skipped(OPTIONS, json!([none(), empty()])).await, json!({"consent": 2}));
    // In a category: skipped unless that is allowed, and in several unless all are.
    let analytics = IntakeOptions { consent_categories: vec!["Analytics".to_owned()].leak(), ..OPTIONS };
    assert_eq!(skipped(analytics, json!([some(), none(), empty(), unsaid()])).await, json!({"consent": 3}));
    let advertising = IntakeOptions { consent_categories: vec!["Advertising".to_owned()].leak(), ..OPTIONS };
    assert_eq!(skipped(advertising, json!([some()])).await, json!(null));
    let both = vec!["Advertising".to_owned(), "Analytics".to_owned()].leak();
    assert_eq!(
        skipped(IntakeOptions { consent_categories: both, ..OPTIONS }, json!([some()])).await,
        json!({"consent": 1})
    );
    // Segment has enforced it before it posts to the webhook, by the categories that are set there.
    let webhook = send("POST", "/v1/segment", &[("authorization", "Bearer token-1")], none().to_string()).await;
    assert_eq!(webhook.body["accepted"], 1);
}

#[tokio::test]
async fn consent_is_looked_at_before_integrations_and_each_skipped_event_has_one_reason() {
    let mut event = json!({"type": "track", "event": "A", "userId": "u", "integrations": {"Koala": false}});
    let kept_away = event.clone();
    event["context"] = json!({"consent": {"categoryPreferences": {"Analytics": false}}});
    let unknown = json!({"type": "no such type", "userId": "u"});
    let tree = Tree(&[("public-api-key", "pk_1"), ("write-keys", "wk-new")]);
    let body = json!({"writeKey": "wk-new", "batch": [event, kept_away, unknown]}).to_string();
    let answered = send_to(tree, OPTIONS, "POST", "/v1/batch", &[], body.as_bytes()).await;
    assert_eq!(answered.body["skipped"], 3);
    assert_eq!(answered.body["skipped_reasons"], json!({"no_mapping": 1, "integrations": 1, "consent": 1}));
}

#[tokio::test]
async fn where_koala_s_pixel_is_installed_page_views_of_analytics_js_are_skipped_as_its_events_are() {
    let of = |kind: &str, library: &str| json!({"type": kind, "event": "A", "userId": "u", "context": {"library": {"name": library}}});
    let events =
        json!([of("page", "analytics.js"), of("track", "analytics.js"), of("track", "@segment/analytics-node")]);
    let options = IntakeOptions { koala_pixel_installed: true, ..OPTIONS };
    assert_eq!(skipped(options, events).await, json!({"pixel_installed": 2}));
}

#[tokio::test]
async fn what_the_collector_sent_to_segment_itself_is_never_taken_in_again() {
    let of = |kind: &str| {
        json!({"type": kind, "userId": "u1", "event": "Company Showed Intent", "groupId": "g",
        "context": {"library": {"name": "koala-destination", "version": "0.1.0"}}})
    };
    assert_eq!(skipped(OPTIONS, json!([of("track"), of("group")])).await, json!({"own": 2}));
}
