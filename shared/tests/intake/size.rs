//! How much a request may become.

use super::*;

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

/// How many messages each call of `send` had.
struct Calls<const WHOLE: bool>(Mutex<Vec<usize>>);

impl<const WHOLE: bool> Outbox for Calls<WHOLE> {
    const IS_ATOMIC: bool = WHOLE;

    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        self.0.lock().unwrap().push(messages.len());
        Ok(())
    }
}

async fn calls<const WHOLE: bool>(body: &str) -> Vec<usize> {
    let headers =
        HeaderMap::from_iter([(HeaderName::from_static("x-signature"), HeaderValue::from_str(&signed(body)).unwrap())]);
    let (path, body) = ("/v1/segment", body.as_bytes());
    let request =
        Request { id: "r-1", trace_id: "t-1", method: "POST", path, headers: &headers, source_ip: None, body };
    let calls = Calls::<WHOLE>(Mutex::default());
    let settings = SettingsCache::new(TREE, Duration::from_mins(5));
    assert_eq!(intake::handle(&request, &settings, &calls, OPTIONS).await.status, 200);
    calls.0.into_inner().unwrap()
}

#[tokio::test]
async fn queues_that_take_all_or_nothing_get_a_request_whole_and_others_in_parts() {
    let event = json!({"type": "track", "event": "A", "userId": "u", "properties": {"text": "x".repeat(1400)}});
    let body = Value::from(vec![event; 600]).to_string();
    assert_eq!(calls::<true>(&body).await, [600]);
    let parts = calls::<false>(&body).await;
    assert!(parts.len() > 1 && parts.iter().sum::<usize>() == 600, "{parts:?}");
}
