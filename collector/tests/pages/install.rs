//! Install, deliveries and mappings: what the pipeline says, in words.

use koala_collector::web::{
    MappingTally, QueueCounts, ReceivedTally, RejectedEvent, RequestTally, SettingsProblem, StoredDeadLetter, TestEvent,
};
use koala_destination::clock::{from_milliseconds, now_milliseconds};
use koala_destination::koala::CollectorKind;
use koala_destination::segment::Mapping;
use serde_json::json;

use crate::site::{Site, text};

fn tally(source: &str, event_type: &str, outcome: &str, count: i64, minutes_ago: i64) -> ReceivedTally {
    let last_at = from_milliseconds(now_milliseconds() - minutes_ago * 60_000);
    ReceivedTally {
        source: source.to_owned(),
        event_type: event_type.to_owned(),
        outcome: outcome.to_owned(),
        count,
        last_at,
    }
}

#[tokio::test]
async fn install_says_where_to_send_with_the_key_masked_and_what_to_do_first() {
    let site = Site::new();
    let html = site.page("/install").await;
    let said = text(&html);
    assert!(said.contains("Webhook URL http://localhost:8787/v1/segment"), "{said}");
    assert!(said.contains("Public API Key pk_…3f9a") && said.contains("webhook-secret is set"), "{said}");
    assert!(said.contains("No event has come in yet."), "{said}");
    assert!(
        html.contains("<strong>Koala destination</strong>") && html.contains(r#"aria-current="page">Install"#),
        "{html}"
    );
    assert!(said.contains("Kept for 400 days, by the variable RETENTION_DAYS"), "{said}");
    site.says(|said| said.install.credentials.clear());
    assert!(text(&site.page("/install").await).contains("every request is refused"));
}

#[tokio::test]
async fn install_says_when_the_last_event_of_each_source_and_type_came_and_what_was_skipped_for_which_reason() {
    let site = Site::new();
    site.says(|said| {
        said.install.received = vec![
            tally("analytics.js", "track", "accepted", 40, 5),
            tally("analytics.js", "page", "no_mapping", 7, 3),
            tally("analytics.js", "page", "bot", 2, 90),
            tally("@segment/analytics-node", "track", "accepted", 9, 2 * 24 * 60),
            tally("", "other", "rejected", 1, 600),
        ];
    });
    let said = text(&site.page("/install").await);
    for row in [
        "The last event came in 3 minutes ago : page from analytics.js",
        "@segment/analytics-node track 2 days ago 9 0 0",
        "analytics.js page 3 minutes ago 0 9 0",
        "analytics.js track 5 minutes ago 40 0 0",
        "a source that does not say another type 10 hours ago 0 0 1",
        "page no mapping matched: see the mappings 7 3 minutes ago",
        "page its user agent is that of a bot, a monitor or a headless browser 2 1 hour ago",
    ] {
        assert!(said.contains(row), "{row}: {said}");
    }
}

#[tokio::test]
async fn the_test_button_leads_to_a_page_that_says_when_the_event_has_arrived() {
    let site = Site::new();
    assert_eq!(site.press("/install/test").await, "/install?test=koala-test-1");
    assert!(text(&site.page("/install?test=koala-test-1").await).contains("Accepted, and on its way."));
    let event = json!({"type": "track", "event": "Koala Test Event", "message_id": "koala-test-1"});
    site.collect(json!({"user_id": "koala-test", "events": [event]})).await;
    let html = site.page("/install?test=koala-test-1").await;
    assert!(text(&html).contains("Arrived. Look at it") && html.contains(r#"href="/visitors/1""#), "{html}");
    assert!(text(&site.page("/install?test=koala-test-2").await).contains("on its way"));

    // By nobody's doing but the page's own.
    assert_eq!(site.forge("/install/test").await, 403);
    site.says(|said| said.test = TestEvent::Stopped { reason: "it was skipped: no mapping matched".to_owned() });
    assert!(
        text(&site.press("/install/test").await).contains("did not come through: it was skipped: no mapping matched")
    );
}

#[tokio::test]
async fn every_page_says_which_parameter_makes_the_settings_stale_and_why() {
    let site = Site::new();
    let is_said = |html: &str| text(html).contains("Some settings cannot be used.");
    for path in ["/", "/visitors", "/deliveries", "/mappings", "/install"] {
        assert!(!is_said(&site.page(path).await), "{path}");
    }
    site.says(|said| {
        let (parameter, message) = ("mappings/checkout".to_owned(), "trigger: at character 5 <b>".to_owned());
        said.problems = vec![SettingsProblem { parameter, message }];
    });
    for path in ["/", "/visitors", "/deliveries", "/mappings", "/install"] {
        let html = site.page(path).await;
        assert!(
            is_said(&html) && text(&html).contains("mappings/checkout : trigger: at character 5"),
            "{path}: {html}"
        );
        assert!(!html.contains("5 <b>"), "{html}");
    }
    let (status, html) = site.refused("/visitors/99").await;
    assert!(status == 404 && is_said(&html), "{html}");
}

#[tokio::test]
async fn deliveries_say_accepted_and_in_queue_and_rejected_events_can_be_read() {
    let site = Site::new();
    let nothing = text(&site.page("/deliveries").await);
    assert!(nothing.contains("No dead letters") && nothing.contains("No rejected events"), "{nothing}");
    assert!(!nothing.contains("every event was delivered"), "{nothing}");
    site.says(|said| {
        said.counts = QueueCounts { waiting: 3, in_flight: 1, dead: 0, rejected: 2 };
        said.received = RequestTally { accepted: 10, skipped: 7, rejected: 2 };
        said.tallies.insert(
            "track-event".to_owned(),
            MappingTally { queued: 10, waiting: 4, delivered: 6, ..Default::default() },
        );
        said.rejected = vec![RejectedEvent {
            reason: "`type` is missing".to_owned(),
            received_at: "2026-11-20T12:00:00.000Z".to_owned(),
            event: r#"{"event":"<script>x</script>"}"#.to_owned(),
            bytes: 900,
        }];
        said.dead_letters = vec![StoredDeadLetter {
            queue: "track-event".to_owned(),
            mapping: "orders".to_owned(),
            reason: "`name` is no text".to_owned(),
            collector_answer: None,
            event: r#"{"event":{"<b>":1}}"#.to_owned(),
            bytes: 19,
        }];
    });
    let html = site.page("/deliveries").await;
    let said = text(&html);
    for words in [
        "Accepted 10 In queue 4 Delivered 6",
        "7 events were skipped ( types and reasons )",
        "Mapping Accepted In queue Delivered",
        "2026-11-20 12:00 UTC `type` is missing Raw JSON The first 30 of 900 bytes.",
        "The newest 1 of 2.",
        "track-event orders `name` is no text Raw JSON",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(html.contains("&lt;script&gt;x&lt;/script&gt;") && !html.contains("<script>x"), "{html}");
    assert!(html.contains("{&quot;event&quot;:{&quot;&lt;b&gt;&quot;:1}}"), "{html}");
}

#[tokio::test]
async fn a_mapping_is_called_by_its_action_and_says_whether_it_is_a_preset_and_on() {
    let site = Site::new();
    site.says(|said| {
        let own = r#"{"trigger":"event = \"Order\"","action":"track-event"}"#;
        said.mappings = Mapping::presets(CollectorKind::Koala).to_vec();
        said.mappings.push(Mapping::parse("orders", own).unwrap());
    });
    let said = text(&site.page("/mappings").await);
    for heading in [
        "Track Event · preset · on",
        "Page View · preset · off",
        "orders → Track Event · on",
        "alias → Identify Visitor · preset · off",
    ] {
        assert!(said.contains(heading), "{heading}: {said}");
    }
    assert!(said.contains("0 accepted · 0 in queue · 0 delivered"), "{said}");
}
