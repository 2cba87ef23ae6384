//! What becomes of events: their ids, their times, their text.

use super::*;

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
