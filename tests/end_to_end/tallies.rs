//! What is counted of deliveries, and what a mapping would make of an event.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::collector::Collector;
use crate::koala::{Home, Koala, track};

async fn until_delivered(koala: &Koala) {
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
}

#[tokio::test]
async fn what_came_in_and_what_came_of_it_is_counted_by_mapping_also_after_a_restart() {
    let home = Home::new();
    let track_mapping = r#"{"trigger":"type = \"track\"","action":"track-event"}"#;
    home.set_parameter("mappings/all", track_mapping);
    let pricing =
        r#"{"trigger":"event = \"Signed Up\"","action":"track-event","fields":{"event":{"@path":"$.properties.n"}}}"#;
    home.set_parameter("mappings/numbers", pricing);
    let koala = home.up(&[]);
    let numbered = json!({"type": "track", "messageId": "m-3", "event": "Signed Up", "userId": "u", "properties": {"n": {"not": "a name"}}});
    koala.post(&track("m-1", "ada@acme.com")).await;
    koala.post(&json!([numbered, {"type": "screen", "messageId": "m-4", "userId": "u"}, 5]).to_string()).await;
    until_delivered(&koala).await;
    let (_, counted) = koala.get("/api/deliveries").await;
    assert_eq!(counted["received"], json!({"accepted": 2, "skipped": 1, "rejected": 1}));
    let of = |queued: i64, delivered: i64, dead: i64| json!({"queued": queued, "waiting": 0, "delivered": delivered, "skipped": 0, "retried": 0, "dead": dead});
    // `numbers` makes no name of either event: one has none, the other an object.
    assert_eq!(counted["mappings"], json!({"all": of(2, 2, 0), "numbers": of(2, 0, 2)}));

    drop(koala);
    home.set_parameter("mappings/numbers", track_mapping);
    let koala = home.up(&[]);
    let (_, again) = koala.get("/api/deliveries").await;
    assert_eq!(again, counted);
    let headers = [("content-type", "application/json")];
    assert_eq!(koala.request("POST", "/api/redrive", "{}", &headers).await.1, json!({"redriven": 2}));
    until_delivered(&koala).await;
    let (_, mappings) = koala.get("/api/mappings").await;
    let mappings = mappings["mappings"].as_array().unwrap();
    let numbers = mappings.iter().find(|one| one["mapping"] == "numbers").unwrap();
    assert_eq!(numbers["counts"], of(2, 2, 0));
    assert_eq!((&numbers["trigger"], &numbers["enabled"]), (&json!("type = \"track\""), &json!(true)));
    // What is in force is listed, the presets of our own collector too.
    let listed: Vec<_> = mappings.iter().map(|one| (one["mapping"].as_str().unwrap(), one["preset"] == true)).collect();
    let presets = ["alias", "identify-account", "identify-visitor", "page-view", "track-event"];
    let expected = [("all", false), ("numbers", false)].into_iter().chain(presets.map(|preset| (preset, true)));
    assert_eq!(listed.iter().collect::<BTreeSet<_>>(), expected.collect::<Vec<_>>().iter().collect());
}

#[tokio::test]
async fn what_comes_in_is_counted_by_source_type_and_outcome_and_a_rejected_event_can_be_read() {
    let home = Home::new();
    home.set_parameter("mappings/page-view", r#"{"enabled":false}"#);
    let koala = home.up(&[]);
    let by = |library: &str, event: serde_json::Value| {
        let mut event = event;
        event["context"] = json!({"library": {"name": library}});
        event
    };
    let page = by("analytics.js", json!({"type": "page", "messageId": "m-1", "userId": "u"}));
    let order =
        by("@segment/analytics-node", json!({"type": "track", "messageId": "m-2", "event": "A", "userId": "u"}));
    koala.post(&json!([page, page, order, {"event": "no type"}]).to_string()).await;
    until_delivered(&koala).await;
    let (_, shown) = koala.get("/api/install").await;
    let received = shown["install"]["received"].as_array().unwrap();
    let counted: BTreeSet<String> = received
        .iter()
        .map(|one| format!("{} {} {} {}", one["source"], one["type"], one["outcome"], one["count"]).replace('"', ""))
        .collect();
    let expected = ["analytics.js page no_mapping 2", "@segment/analytics-node track accepted 1", " other rejected 1"];
    assert_eq!(counted, expected.map(str::to_owned).into());
    assert_eq!(shown["install"]["public_api_key"], "…or");
    let (_, rejected) = koala.get("/api/rejected-events").await;
    let rejected = &rejected["rejected_events"][0];
    assert_eq!(rejected["event"], r#"{"event":"no type"}"#);
    assert!(rejected["reason"].as_str().unwrap().starts_with("`type` is missing"), "{rejected}");
}

#[tokio::test]
async fn stale_settings_name_the_parameter_of_either_tree_until_it_is_fixed() {
    let home = Home::new();
    let koala = home.up(&[]);
    let named = async || {
        let (_, shown) = koala.get("/api/install").await;
        let problems = shown["settings_problems"].as_array().unwrap().clone();
        problems.into_iter().map(|one| one["parameter"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let until = async |expected: &[&str]| {
        for _ in 0..150 {
            if named().await == expected {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{expected:?}: {:?}", named().await);
    };
    assert!(named().await.is_empty());
    home.set_parameter("mappings/checkout", "{");
    home.set_parameter("collector/intent/signup.json", "{");
    until(&["mappings/checkout", "collector/intent/signup"]).await;
    // What was read before serves on.
    assert_eq!(koala.post(&track("m-1", "ada@acme.com")).await.0, 200);
    std::fs::remove_file(home.parameters().join("mappings/checkout")).unwrap();
    std::fs::remove_file(home.parameters().join("collector/intent/signup.json")).unwrap();
    until(&[]).await;
}

#[tokio::test]
async fn a_message_that_goes_back_is_counted_as_retried_and_one_that_is_left_out_as_skipped() {
    let collector = Collector::start();
    let asked = AtomicUsize::new(0);
    collector.answer(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => (400, r#"{"error":"Koala ingest suspended"}"#),
        _ => (200, r#"{"ok":true}"#),
    });
    let home = Home::new();
    let koala = home.up(&[
        ("KOALA_URL", &collector.url()),
        ("KEEP_ANONYMOUS_VISITORS", "false"),
        ("RETRY_FIRST_DELAY_SECONDS", "1"),
    ]);
    koala.post(&track("m-1", "ada@acme.com")).await;
    koala.post(r#"{"type":"track","messageId":"m-2","event":"A","anonymousId":"a"}"#).await;
    until_delivered(&koala).await;
    let (_, counted) = koala.get("/api/deliveries").await;
    let counts = &counted["mappings"]["track-event"];
    assert_eq!(
        (&counts["queued"], &counts["delivered"], &counts["skipped"]),
        (&json!(2), &json!(1), &json!(1)),
        "{counted}"
    );
    assert_eq!(counts["retried"], 1, "{counted}");
}

#[tokio::test]
async fn the_preview_says_of_each_mapping_what_koala_would_get_and_sends_nothing() {
    let home = Home::new();
    home.set_parameter("mappings/a", r#"{"trigger":"type = \"track\"","action":"track-event"}"#);
    home.set_parameter("mappings/b", r#"{"trigger":"type = \"page\"","action":"track-event"}"#);
    home.set_parameter("mappings/c", r#"{"trigger":"type = \"track\"","action":"track-event","enabled":false}"#);
    home.set_parameter("mappings/d", r#"{"trigger":"type = \"track\"","action":"identify-visitor"}"#);
    let koala = home.up(&[]);
    let preview = async |event: &str| koala.request("POST", "/api/preview", event, &[]).await;
    let (status, shown) = preview(&track("m-1", "ada@acme.com")).await;
    assert_eq!((status, &shown["outcome"]), (200, &json!("mapped")), "{shown}");
    let of = |name: &str| shown["mappings"].as_array().unwrap().iter().find(|it| it["mapping"] == name).unwrap();
    let verdicts = ["a", "b", "c", "d"].map(|name| &of(name)["verdict"]);
    assert_eq!(verdicts, ["delivers", "no_match", "disabled", "dead_letter"]);
    // The preset does not deliver what `a` delivers.
    let preset = of("track-event");
    assert_eq!(
        (&preset["verdict"], &preset["by"], &preset["preset"]),
        (&json!("taken_by_own"), &json!("a"), &json!(true))
    );
    let request = &of("a")["request"];
    assert_eq!((&request["email"], &request["events"][0]["event"]), (&json!("ada@acme.com"), &json!("Signed Up")));
    assert_eq!(preview("{}").await.1["outcome"], "rejected");
    let (_, counted) = koala.get("/api/deliveries").await;
    assert_eq!(counted["received"]["accepted"], 0);
    assert_eq!(koala.get("/api/visitors").await.1["total"], 0);
}
