//! Events that are skipped, each with its reason.

use super::*;

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
