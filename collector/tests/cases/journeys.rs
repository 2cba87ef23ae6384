//! Who is who, told as journeys: `tests/vectors/journeys.jsonl`, each with the visitors that must come out.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use koala_collector::store::Store;
use koala_collector::store::decision::{Decision, Undone};
use koala_destination::ids::{EventIds, Id, IdKind, MappedIds};
use koala_destination::json::ObjectWriter;
use koala_destination::segment::Event;
use serde_json::{Map, Value, json};

use super::{batch, visitors};

/// A visitor as the API has it: user ids, emails, devices, messages, and the company, where the journey tells of it.
type Shown = ([BTreeSet<String>; 4], Option<Value>);

fn journeys() -> Vec<Value> {
    vectors("journeys.jsonl")
}

fn vectors(name: &str) -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name);
    let text = std::fs::read_to_string(file).expect("a file of vectors");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// An event as delivery sends it: its ids as they are, and itself in the array of its type. One that is nobody's is not sent.
fn request(event: &Value) -> Option<Value> {
    let text = event.to_string();
    let ids = EventIds::of(&Event::from_json(&text).expect("an event"), &MappedIds::default());
    if !ids.name_a_visitor() {
        return None;
    }
    let mut head = String::new();
    let mut writer = ObjectWriter::start(&mut head);
    ids.write(&mut writer);
    writer.end();
    let mut body: Map<String, Value> = serde_json::from_str(&head).expect("JSON");
    let received_at = event.get("receivedAt").or(event.get("timestamp")).expect("a time");
    body.insert("received_at".into(), received_at.clone());
    let mut entry = json!({"message_id": event["messageId"], "sent_at": event.get("timestamp").unwrap_or(received_at)});
    let array = match event["type"].as_str().expect("a type") {
        "page" | "screen" => "page_views",
        "track" => {
            entry["event"] = event.get("event").cloned().unwrap_or_else(|| "A".into());
            "events"
        }
        "identify" => {
            entry["traits"] = event.get("traits").cloned().unwrap_or_default();
            "identifies"
        }
        "group" => {
            entry["group_id"] = event["groupId"].clone();
            entry["domain"] = event["traits"]["domain"].clone();
            "groups"
        }
        _ => "identifies",
    };
    body.insert(array.into(), json!([entry]));
    Some(Value::Object(body))
}

fn id(pair: &Value) -> Id {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    Id::stored(IdKind::of(&text(&pair[0])).expect("a kind"), text(&pair[1]))
}

/// What a person decides; where it is refused nothing changes. Tells whether it is about ids that are known.
async fn decide(store: &dyn Store, event: &Value) -> bool {
    let of = id(&event["id"]);
    let decision = match (event["do"].as_str(), event.get("to")) {
        (Some("block"), _) => Decision::Block { id: of },
        (_, Some(to)) => Decision::Attach { id: of, to: id(to) },
        (_, None) => Decision::Detach { id: of },
    };
    store.decide(&decision).await.expect("an answer") != Err(Undone::Unknown)
}

/// Takes an event, or what a person decides. Tells whether it could be.
async fn take(store: &dyn Store, event: &Value) -> bool {
    if event["type"] == "operator" {
        return decide(store, event).await;
    }
    if let Some(request) = request(event) {
        store.ingest(batch(&request)).await.expect("it is kept");
    }
    true
}

fn expected(journey: &Value) -> Vec<Shown> {
    let texts = |value: &Value| value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    let visitor = |visitor: &Value| {
        let ids = ["user_ids", "emails", "anonymous_ids", "message_ids"].map(|key| texts(&visitor[key]));
        (ids, visitor.get("company").cloned())
    };
    let mut expected: Vec<Shown> = journey["visitors"].as_array().unwrap().iter().map(visitor).collect();
    expected.sort_by(|(a, _), (b, _)| a.cmp(b));
    expected
}

async fn found(store: &dyn Store, expected: &[Shown]) -> Vec<Shown> {
    let has_companies = expected.iter().any(|(_, company)| company.is_some());
    let mut found = Vec::new();
    for visitor in visitors(store).await {
        let (_, timeline) = store.show_visitor(&visitor.id, 1000).await.unwrap().expect("a visitor");
        let messages = timeline.into_iter().map(|entry| entry.message_id.expect("a message id")).collect();
        let ids = [visitor.user_ids, visitor.emails, visitor.anonymous_ids].map(|ids| ids.into_iter().collect());
        let [users, emails, devices] = ids;
        let company = has_companies.then(|| visitor.account.map_or(Value::Null, Value::from));
        found.push(([users, emails, devices, messages], company));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

fn shuffled(events: &[Value], seed: u64) -> Vec<Value> {
    let mut events = events.to_vec();
    fastrand::Rng::with_seed(seed).shuffle(&mut events);
    events
}

pub async fn every_journey_ends_as_it_is_told<G>(open: impl AsyncFn() -> (Arc<dyn Store>, G)) {
    for journey in journeys() {
        let (store, _until_the_end) = open().await;
        for event in journey["events"].as_array().unwrap() {
            take(&*store, event).await;
        }
        let expected = expected(&journey);
        assert_eq!(found(&*store, &expected).await, expected, "{}: {}", journey["id"], journey["why"]);
    }
}

pub async fn every_journey_that_may_comes_out_the_same_in_other_orders_and_told_twice<G>(
    open: impl AsyncFn() -> (Arc<dyn Store>, G),
) {
    for journey in journeys().iter().filter(|journey| journey["any_order"] == true) {
        let told = journey["events"].as_array().unwrap();
        for seed in 0..3 {
            let (store, _until_the_end) = open().await;
            let mut events = shuffled(told, seed);
            if seed % 2 == 1 {
                events.extend(shuffled(told, seed + 1000));
            }
            for event in &events {
                take(&*store, event).await;
            }
            let expected = expected(journey);
            assert_eq!(found(&*store, &expected).await, expected, "{}, order {seed}", journey["id"]);
        }
    }
}

/// Writers beside each other: every event in a request of its own, all at once.
pub async fn every_journey_that_may_comes_out_the_same_from_many_at_once<G>(
    open: impl AsyncFn() -> (Arc<dyn Store>, G),
) {
    for journey in journeys().iter().filter(|journey| journey["any_order"] == true) {
        let (store, _until_the_end) = open().await;
        let events = journey["events"].as_array().unwrap();
        futures_util::future::join_all(events.iter().map(|event| take(&*store, event))).await;
        let expected = expected(journey);
        assert_eq!(found(&*store, &expected).await, expected, "{}", journey["id"]);
    }
}

/// Random events and decisions, `tests/vectors/identity-streams.jsonl`, with the visitors that the reference makes of them.
pub async fn every_random_stream_gives_the_visitors_of_the_reference<G>(open: impl AsyncFn() -> (Arc<dyn Store>, G)) {
    let mut told = 0;
    for (number, stream) in vectors("identity-streams.jsonl").iter().enumerate() {
        let (store, _until_the_end) = open().await;
        let mut is_known = true;
        for event in stream["events"].as_array().unwrap() {
            is_known &= take(&*store, event).await;
        }
        if !is_known {
            continue; // the reference decides of ids that it has not seen, too
        }
        told += 1;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let visitor = |visitor: &Value| {
            let ids = visitor[0].as_array().unwrap();
            let of = |kind: &str| ids.iter().filter(|id| id[0] == kind).map(|id| text(&id[1])).collect::<BTreeSet<_>>();
            ([of("user"), of("email"), of("device"), visitor[1].as_array().unwrap().iter().map(text).collect()], None)
        };
        let visitors = stream["visitors"].as_array().unwrap().iter().map(visitor);
        // Nothing is shown of ids that nothing was filed under.
        let mut expected: Vec<Shown> = visitors.filter(|([.., messages], _)| !messages.is_empty()).collect();
        expected.sort_by(|(a, _), (b, _)| a.cmp(b));
        assert_eq!(found(&*store, &expected).await, expected, "stream {number}: {}", stream["events"]);
    }
    assert!(told > 50, "{told}");
}
