//! Random things that happen to a store: journeys with redelivery, merges and splits, what is said of companies, deletions.

use koala_collector::store::deletion::Retention;
use koala_destination::clock;
use serde_json::{Value, json};

use crate::site::{KEY, Site};

/// A request to the collector, by its path.
#[derive(Debug, Clone)]
pub struct Happening {
    pub path: String,
    pub body: Value,
}

/// The same for the same seed, of the last twelve days before `now`.
pub fn random(seed: u64, events: usize, now: i64) -> Vec<Happening> {
    let mut random = fastrand::Rng::with_seed(seed);
    let people = (events / 15).max(6);
    let mut all: Vec<Happening> = Vec::new();
    let batch = format!("/web/projects/{KEY}/batch");
    while all.len() < events {
        let place = all.len();
        let happening = match random.u32(..100) {
            // Again, also long after.
            0..12 if place > 0 => all.get(random.usize(..place)).filter(|it| it.path == batch).cloned(),
            12..15 => Some(account(&mut random, people)),
            15..18 => Some(decision(&mut random, people)),
            18 => Some(deletion(&mut random, people)),
            _ => None,
        };
        all.push(happening.unwrap_or_else(|| Happening {
            path: batch.clone(),
            body: entries(&mut random, people, place, events, now),
        }));
    }
    all
}

fn domain(random: &mut fastrand::Rng, person: usize) -> String {
    match person % 7 {
        0 => "gmail.com".to_owned(),
        _ if random.u8(..20) == 0 => "other.example".to_owned(),
        _ => format!("company{}.example", person % 11),
    }
}

fn email(random: &mut fastrand::Rng, person: usize) -> String {
    format!("person{person}@{}", domain(random, person))
}

fn entries(random: &mut fastrand::Rng, people: usize, place: usize, of: usize, now: i64) -> Value {
    let person = random.usize(..people);
    let mut body = json!({});
    let is = |random: &mut fastrand::Rng, of_ten: u8| random.u8(..10) < of_ten;
    if is(random, 7) {
        // A browser that others use too, now and then.
        let device = if is(random, 1) { random.usize(..people) } else { person };
        body["anonymous_id"] = json!(format!("device-{device}-{}", random.u8(..2)));
    }
    if is(random, 5) {
        body["user_id"] = json!(format!("user-{person}"));
    }
    if is(random, 5) || body.as_object().unwrap().is_empty() {
        body["email"] = json!(email(random, person));
    }
    // No two at the same time; late by up to a day.
    let twelve_days = 12 * clock::MILLISECONDS_OF_A_DAY;
    let at = now - twelve_days + twelve_days * i64::try_from(place).unwrap() / i64::try_from(of).unwrap();
    let at = at - i64::from(random.u32(..86_400_000)) + i64::try_from(place % 7).unwrap();
    let number = random.usize(..3) + 1;
    let mut arrays: [Vec<Value>; 4] = Default::default();
    for n in 0..number {
        let sent_at = clock::from_milliseconds(at + i64::try_from(n).unwrap());
        let message_id = format!("m-{place}-{n}");
        let (array, entry) = match random.u8(..10) {
            0..4 => (
                0,
                json!({"event": *random.choice(["Viewed Pricing", "Signed Up", "Invited \u{1f428}", "Searched"].iter()).unwrap(),
                               "properties": {"plan": "team", "n": 1.50, "path": format!("/docs/{}", random.u8(..5))}}),
            ),
            4..7 => (
                1,
                json!({"page": {"path": format!("/{}", random.choice(["pricing", "docs/start", "blog/a", ""]).unwrap()),
                                        "title": "A title", "host": "acme.example", "url": "https://acme.example/pricing",
                                        "referrer": *random.choice(["", "https://news.example/x", "https://www.google.com/"].iter()).unwrap(),
                                        "utm": {"source": "mail", "campaign": format!("c{}", random.u8(..3))}},
                               "visit_start": sent_at}),
            ),
            7..9 => (2, json!({"type": "identify", "traits": traits(random, person)})),
            _ => (
                3,
                json!({"type": "group", "group_id": format!("g{}", person % 9), "traits": {"plan": "paid", "employees": 7},
                            "domain": format!("company{}.example", person % 11)}),
            ),
        };
        let mut entry = entry;
        entry["message_id"] = json!(message_id);
        entry["sent_at"] = json!(sent_at);
        arrays[array].push(entry);
    }
    for (name, array) in ["events", "page_views", "identifies", "groups"].into_iter().zip(arrays) {
        if !array.is_empty() {
            body[name] = json!(array);
        }
    }
    body
}

fn traits(random: &mut fastrand::Rng, person: usize) -> Value {
    let mut traits =
        json!({"name": format!("Person {person}"), "plan": *random.choice(["free", "team"].iter()).unwrap()});
    match random.u8(..4) {
        0 => traits["company"] = json!(format!("Company {}", person % 11)),
        1 => {
            traits["company"] = json!({"name": format!("Company {}", person % 11), "domain": format!("company{}.example", person % 11)});
        }
        2 => traits["title"] = Value::Null,
        _ => traits["long"] = json!("x".repeat(300)),
    }
    traits
}

fn account(random: &mut fastrand::Rng, people: usize) -> Happening {
    let n = random.usize(..people) % 13;
    let body = json!({"domain": format!("company{n}.example"), "identifies": [{"traits": {"group_id": format!("g{n}"), "industry": "tools"}}]});
    Happening { path: format!("/web/projects/{KEY}/accounts/batch"), body }
}

fn decision(random: &mut fastrand::Rng, people: usize) -> Happening {
    let (one, other) = (random.usize(..people), random.usize(..people));
    let device = format!("device-{one}-{}", random.u8(..2));
    let email = email(random, one);
    let (path, body) = match random.u8(..3) {
        0 => ("split", json!({"kind": "device", "value": device})),
        1 => ("attach", json!({"id": ["email", email], "to": ["user", format!("user-{other}")]})),
        _ => ("block", json!({"kind": "device", "value": device})),
    };
    Happening { path: format!("/api/identities/{path}"), body }
}

fn deletion(random: &mut fastrand::Rng, people: usize) -> Happening {
    let person = random.usize(..people);
    let body = if random.bool() {
        json!({"emails": [email(random, person)]})
    } else {
        json!({"user_ids": [format!("user-{person}")]})
    };
    Happening { path: "/api/v1/deletion-requests".to_owned(), body }
}

/// Has something happen; gives back the status.
pub async fn happen(site: &Site, happening: &Happening) -> u16 {
    let (status, said) = site.api(&happening.path, Some(&happening.body)).await;
    assert!(status < 500, "{}: {status} {said}", happening.path);
    status
}

/// Does all that waits: deletions, and rules that look back.
pub async fn settle(site: &Site) {
    let store = site.store();
    while let Some(departed) = store.departed().await.unwrap() {
        let none_left =
            koala_collector::store::deletion::Forgotten { messages: 0, is_all: true, ids: departed.ids.len() };
        store.forgotten(&departed.id, none_left).await.unwrap();
    }
    while store.sweep(Retention::of_days(400)).await.unwrap() {}
    while store.look_back().await.unwrap() {}
}
