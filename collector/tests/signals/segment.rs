//! What goes back into Segment: of known people alone, as they are when it is sent.

use koala_collector::exclude::Exclude;
use koala_collector::store::alerts::MessageState;
use koala_collector::store::deletion::Person;
use koala_destination::clock;
use koala_destination::ids::{Id, IdKind};
use serde_json::{Value, json};

use crate::deletions::until_completed;
use crate::place::Place;
use crate::receiver::Receiver;
use crate::{Set, looks_at_pricing};

pub async fn what_a_segment_source_gets_is_of_known_members_alone(place: Place) {
    let receiver = Receiver::default();
    let url = receiver.clone().start().await;
    let target = json!({"segment": "wk", "url": url}).to_string();
    let alerts = r#"{"on":"points","over":4,"to":"sales"}"#.to_owned();
    let mut set = Set::on(place, &[("alerts/hot", alerts), ("alert-targets/sales", target)]).await;
    let mut known = looks_at_pricing("ada@acme.example");
    known["user_id"] = "u-1".into();
    set.ingest(&known).await;
    set.ingest(&looks_at_pricing("anonymous@acme.example")).await;
    set.ingest(&looks_at_pricing("nobody@unknown.example")).await;
    set.work().await;
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let calls = bodies[0]["batch"].as_array().unwrap();
    let kinds: Vec<_> = calls.iter().map(|call| (call["type"].as_str(), call["userId"].as_str())).collect();
    assert_eq!(kinds, [(Some("group"), Some("u-1")), (Some("track"), Some("u-1"))]);
    assert_eq!(receiver.received.lock().unwrap()[0].headers["authorization"], "Basic d2s6");
    // Of a company without known members nothing is told.
    let states = set.states().await;
    assert!(states.iter().all(|(state, _)| *state == MessageState::Sent) && states.len() == 1, "{states:?}");
}

pub async fn a_member_who_was_deleted_while_a_segment_source_was_down_is_not_sent_to_it(place: Place) {
    let receiver = Receiver::default();
    let url = receiver.clone().start().await;
    let target = json!({"segment": "wk", "url": url}).to_string();
    let alerts = r#"{"on":"points","over":12,"to":"sales"}"#.to_owned();
    let mut set = Set::on(place, &[("alerts/hot", alerts), ("alert-targets/sales", target)]).await;
    // Whoever did the first thing is in none of the three lines.
    let did = async |user_id: &str, events: &[&str]| {
        let entry = |name: &&str| json!({"type": "track", "event": name, "message_id": format!("{user_id} {name}"), "sent_at": clock::now()});
        let events: Vec<Value> = events.iter().map(entry).collect();
        let email = format!("{user_id}@acme.example");
        set.ingest(&json!({"user_id": user_id, "email": email, "events": events})).await;
    };
    did("ada", &["Viewed Pricing"]).await;
    did("bob", &["Viewed Pricing", "Demo Requested", "Read Docs", "Signed Up"]).await;
    set.look().await;
    let told = set.messages().await;
    assert_eq!(told.len(), 1, "{told:?}");
    let ada = Person::Id(Id::parse(IdKind::Email, "ada@acme.example").unwrap());
    let deletion = set.store.request_deletion(&[ada]).await.unwrap().unwrap();
    until_completed(&*set.store, &deletion).await;
    set.work().await;
    let bodies = receiver.bodies();
    let calls = bodies.iter().flat_map(|body| body["batch"].as_array().unwrap());
    let told_of: Vec<&str> = calls.map(|call| call["userId"].as_str().unwrap()).collect();
    assert_eq!(told_of, ["bob", "bob"]);
}

pub async fn who_is_excluded_before_a_segment_source_is_told_is_not_sent_to_it(place: Place) {
    let receiver = Receiver::default();
    let target = json!({"segment": "wk", "url": receiver.clone().start().await}).to_string();
    let alert = r#"{"on":"pricing","to":"sales"}"#.to_owned();
    let mut set = Set::on(place, &[("alerts/prices", alert), ("alert-targets/sales", target)]).await;
    for user_id in ["ada", "bob"] {
        let mut looks = looks_at_pricing(&format!("{user_id}@acme.example"));
        looks["user_id"] = user_id.into();
        set.ingest(&looks).await;
    }
    set.look().await;
    set.store.follow_exclude(&Exclude::parse(r#"{"emails":["ada@acme.example"]}"#).unwrap()).await.unwrap();
    while set.store.look_back().await.unwrap() {}
    set.work().await;
    let bodies = receiver.bodies();
    let calls = bodies.iter().flat_map(|body| body["batch"].as_array().unwrap());
    let told_of: Vec<&str> = calls.map(|call| call["userId"].as_str().unwrap()).collect();
    assert_eq!(told_of, ["bob", "bob"]);
    let mut states: Vec<&str> = set.states().await.into_iter().map(|(state, _)| state.name()).collect();
    states.sort_unstable();
    assert_eq!(states, ["sent", "skipped"]);
}
