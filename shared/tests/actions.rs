//! What each action makes of an event as the world sends it (`tests/events/`), for our own collector and for Koala's.
#![allow(clippy::unwrap_used)]

use koala_destination::koala::{CollectorKind, Delivered, EntryOptions, EntryProblem, Route, entry, request};
use koala_destination::segment::{Event, Mapping};
use serde_json::{Value, json};

fn fixture(name: &str) -> Value {
    let file = format!("{}/../tests/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The request for one event under the preset that takes it.
fn delivered(event: &Value, collector: CollectorKind) -> Result<(Route, Value), EntryProblem> {
    let json = event.to_string();
    let event = Event::parse(&json).unwrap();
    let presets = Mapping::presets(CollectorKind::Own);
    let mapping = presets.iter().find(|preset| preset.takes(&event)).unwrap();
    let options = EntryOptions { collector, ..EntryOptions::default() };
    let entry =
        entry(&event, mapping, Delivered { received_at: "2026-11-20T09:15:01.150Z", another: false }, &options)?;
    let (route, body) = request(&entry.subject, &[&entry]);
    Ok((route, serde_json::from_str(&body).unwrap()))
}

/// The names are those of Koala's script in the browser; the values are the event's.
#[test]
fn a_page_event_is_a_page_view_of_koala_s_protocol() {
    for collector in [CollectorKind::Own, CollectorKind::Koala] {
        let (route, body) = delivered(&fixture("page"), collector).unwrap();
        assert_eq!((route, body["page_views"].as_array().unwrap().len()), (Route::Batch, 1));
        assert!(body.get("events").is_none() && body.get("identifies").is_none(), "{body}");
        let view = &body["page_views"][0];
        let page = json!({
            "path": "/pricing", "referrer": "https://search.example/", "title": "Pricing",
            "url": "https://www.example.com/pricing?utm_source=newsletter", "host": "www.example.com",
            "search": "?utm_source=newsletter",
            "utm": {"campaign": "autumn", "source": "newsletter", "medium": "email"},
        });
        assert_eq!(view["page"], page);
        assert_eq!((&view["name"], &view["message_id"]), (&json!("Pricing"), &json!("page-1")));
        assert_eq!(
            (&view["visit_start"], &view["sent_at"]),
            (&json!("2026-11-20T09:15:00.250Z"), &view["visit_start"])
        );
        assert_eq!(view["properties"], fixture("page")["properties"]);
        assert_eq!(
            (&view["context"]["source"], &view["device_ip"]),
            (&json!("segment-webhook"), &json!("198.51.100.23"))
        );
    }
}

/// As a server says it: nothing but a name and a URL.
#[test]
fn what_a_page_view_does_not_say_is_read_from_its_url() {
    let url = "https://shop.example/docs/start?utm_source=a&utm_term=b+c&utm_content=&q=1#top";
    let event = json!({"type": "page", "userId": "u", "messageId": "m", "properties": {"url": url, "path": 404}});
    let view = delivered(&event, CollectorKind::Own).unwrap().1["page_views"][0].clone();
    let page = json!({
        "path": "404", "url": url, "host": "shop.example", "search": "utm_source=a&utm_term=b+c&utm_content=&q=1",
        "utm": {"source": "a", "term": "b c"},
    });
    assert_eq!(view["page"], page);
    assert!(view.get("name").is_none(), "{view}");
    let context =
        json!({"type": "page", "userId": "u", "messageId": "m", "context": {"page": {"path": "/a", "title": "A"}}});
    let view = delivered(&context, CollectorKind::Own).unwrap().1["page_views"][0].clone();
    assert_eq!((&view["page"], &view["properties"]), (&json!({"path": "/a", "title": "A"}), &json!({})));
}

#[test]
fn a_group_event_tells_our_own_collector_of_the_person_s_company() {
    let (route, body) = delivered(&fixture("group"), CollectorKind::Own).unwrap();
    assert_eq!(route, Route::Batch);
    let group = &body["groups"][0];
    let says = (&group["group_id"], &group["domain"], &group["name"]);
    assert_eq!(says, (&json!("g-analytical"), &json!("analytical.example"), &json!("Analytical Engines")));
    assert_eq!((&group["traits"], &group["message_id"]), (&fixture("group")["traits"], &json!("group-1")));
    let person = &fixture("group")["userId"];
    assert!(person.is_string() && body["user_id"] == *person, "the person is named: {body}");
}

/// `{"domain","identifies":[{"traits":{"group_id",…}}]}`, by Koala's guide.
#[test]
fn a_group_event_is_an_account_of_another_collector_by_its_domain() {
    let (route, body) = delivered(&fixture("group"), CollectorKind::Koala).unwrap();
    assert_eq!((route.path(), &body["domain"]), ("accounts/batch", &json!("analytical.example")));
    let traits = &body["identifies"][0]["traits"];
    assert_eq!((&traits["group_id"], &traits["name"]), (&json!("g-analytical"), &json!("Analytical Engines")));
    assert_eq!(traits["employees"], 250);
    assert!(body.get("profile_id").is_none() && body.get("email").is_none(), "{body}");
    let mut event = fixture("group");
    event["traits"] = json!({"name": "Analytical", "website": "https://www.Analytical.example:8443/about"});
    assert_eq!(delivered(&event, CollectorKind::Koala).unwrap().1["domain"], "analytical.example");
    event["traits"] = json!({"name": "Analytical"});
    assert_eq!(delivered(&event, CollectorKind::Koala), Err(EntryProblem::NoDomain));
}

#[test]
fn a_group_event_that_names_no_company_is_a_dead_letter_that_says_so() {
    let event = json!({"type": "group", "userId": "u", "messageId": "m", "traits": {"plan": "team"}});
    let why = delivered(&event, CollectorKind::Own).unwrap_err().to_string();
    assert_eq!(
        why,
        "Group ID (`group_id`), Domain (`domain`) and Account Name (`name`) are missing, and the action requires one"
    );
}

#[test]
fn an_alias_is_an_identify_without_traits() {
    let (route, body) = delivered(&fixture("alias"), CollectorKind::Own).unwrap();
    let identify = &body["identifies"][0];
    assert_eq!((route, &identify["traits"], &identify["message_id"]), (Route::Batch, &json!({}), &json!("alias-1")));
}

#[test]
fn no_address_of_a_page_view_or_a_company_leaves_when_addresses_stay_here() {
    let options = EntryOptions { forward_ip: false, collector: CollectorKind::Own, ..EntryOptions::default() };
    for (kind, own) in [("page", "properties"), ("group", "traits")] {
        let event = json!({"type": kind, "userId": "u", "groupId": "g", own: {"ip": "192.0.2.1"}, "context": {"ip": "192.0.2.2"}});
        let json = event.to_string();
        let event = Event::parse(&json).unwrap();
        let presets = Mapping::presets(CollectorKind::Own);
        let mapping = presets.iter().find(|preset| preset.takes(&event)).unwrap();
        let delivered = Delivered { received_at: "2026-11-20T09:15:01.150Z", another: false };
        let entry = entry(&event, mapping, delivered, &options).unwrap();
        assert!(!format!("{} {:?} {:?}", entry.json, entry.traits, entry.ip).contains("192.0.2"), "{}", entry.json);
    }
}
