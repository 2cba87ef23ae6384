//! People deleted, wherever something of them stands: in the store, in the queue, in a consumer's hands, among dead letters and
//! rejected events; and nobody else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use koala_destination::{clock, http_client};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::collected::{ADA, batch, event, identify, only_visitor};
use crate::koala::text;
use crate::koala::{Home, Koala};

/// What stands before a set's own collector: closed, every request hangs.
struct Gate {
    address: SocketAddr,
    open: watch::Sender<bool>,
    collector: Arc<Mutex<String>>,
}

#[derive(Clone)]
struct Passage {
    open: watch::Receiver<bool>,
    collector: Arc<Mutex<String>>,
}

impl Gate {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, is_open) = watch::channel(true);
        let collector = Arc::default();
        let passage = Passage { open: is_open, collector: Arc::clone(&collector) };
        let router = Router::new().fallback(pass).with_state(passage);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, open, collector }
    }

    /// A set that delivers to its own collector by way of the gate.
    fn up(&self, home: &Home) -> Koala {
        let url = format!("http://{}", self.address);
        let koala = home.up(&[("KOALA_URL", &url), ("COLLECTOR_KIND", "own"), ("RETRY_FIRST_DELAY_SECONDS", "1")]);
        self.collector.lock().unwrap().clone_from(&koala.url);
        koala
    }
}

async fn pass(
    State(mut passage): State<Passage>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    passage.open.wait_for(|open| *open).await.unwrap();
    let url = format!("{}{uri}", passage.collector.lock().unwrap());
    let mut request = http_client::builder().unwrap().build().unwrap().request(method, url).body(body);
    for (name, value) in headers.iter().filter(|(name, _)| !["host", "content-length"].contains(&name.as_str())) {
        request = request.header(name, value);
    }
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

async fn post(koala: &Koala, events: &[Value]) {
    let (status, answer) = koala.post(&json!(events).to_string()).await;
    assert_eq!(status, 200, "{answer}");
}

async fn until_in_flight(koala: &Koala, count: i64) {
    let begun = Instant::now();
    while koala.queues().await["in_flight"].as_i64().unwrap() < count {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", koala.queues().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// All addresses, user ids and devices that are shown, in order.
async fn shown(koala: &Koala) -> Vec<String> {
    let (_, listed) = koala.get("/api/visitors?limit=1000").await;
    let mut ids = Vec::new();
    for visitor in listed["visitors"].as_array().unwrap() {
        for key in ["emails", "user_ids", "anonymous_ids"] {
            ids.extend(visitor[key].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
        }
    }
    ids.sort();
    ids
}

/// What the files have of some texts, in whatever case: the data, the queues, and the logs beside them.
fn found_in_files(home: &Home, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in [home.data(), home.queue_file()] {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = file.clone().into_os_string();
            path.push(suffix);
            let path = PathBuf::from(path);
            let bytes = std::fs::read(&path).unwrap_or_default().to_ascii_lowercase();
            for text in texts {
                let wanted = text.to_ascii_lowercase();
                if bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes()) {
                    found.push(format!("{text} in {}", path.display()));
                }
            }
        }
    }
    found
}

/// Somebody of whom nothing has arrived, in all the ways that an event names her.
fn everything_of_ada(part: &str) -> Vec<Value> {
    let id = |n: i32| format!("{part}-{n}");
    let asa = "\u{c5}SA@Ex\u{c4}mple.com";
    vec![
        json!({"type": "identify", "messageId": id(1), "userId": "u-ada", "anonymousId": "d-ada", "traits": {"email": "A@Example.com", "name": "Ada"}}),
        json!({"type": "track", "messageId": id(2), "event": "Viewed Pricing", "userId": "u-ada"}),
        json!({"type": "track", "messageId": id(3), "event": "Viewed Pricing", "anonymousId": "d-ada"}),
        json!({"type": "track", "messageId": id(4), "event": "Signed Up", "anonymousId": "d-ada-2", "context": {"traits": {"email": " a@EXAMPLE.com "}}}),
        json!({"type": "page", "messageId": id(5), "anonymousId": "d-ada-2", "properties": {"path": "/docs"}}),
        json!({"type": "identify", "messageId": id(6), "userId": asa, "traits": {"name": "Ada"}}),
        json!({"type": "alias", "messageId": id(7), "userId": "u-ada-new", "previousId": "a@example.com"}),
        json!({"type": "track", "messageId": id(8), "event": "Bought", "userId": "u-ada-new"}),
        json!({"type": "track", "messageId": id(9), "event": "Asked", "userId": "u-ada-3", "properties": {"email": "a@example.com"}}),
        json!({"type": "track", "messageId": id(10), "event": "Asked", "userId": "u-ada-3"}),
    ]
}

/// An event whose address is written with escapes.
const ESCAPED: &str =
    r#"{"type":"track","messageId":"m-esc","event":"Esc","properties":{"email":"\u0061@ex\u0061mple.com"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_gone_from_every_place_and_nobody_else_is() {
    let (home, gate) = (Home::new(), Gate::start().await);
    let koala = gate.up(&home);
    // Others, with addresses that look alike, one of them on her browser.
    let others = ["ada@example.com", "a@example.com.au", "aa@example.com", "a@sub.example.com"];
    let of_others: Vec<Value> = others
        .iter()
        .enumerate()
        .map(|(n, email)| json!({"type": "identify", "messageId": format!("o-{n}"), "userId": format!("u-{n}"), "traits": {"email": email}}))
        .chain([json!({"type": "identify", "messageId": "b-1", "userId": "u-bob", "anonymousId": "d-bob", "traits": {"email": "bob@example.com"}})])
        .collect();
    post(&koala, &of_others).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;

    gate.open.send_replace(false);
    post(&koala, &everything_of_ada("hand")).await;
    assert_eq!(koala.post(ESCAPED).await.0, 200);
    until_in_flight(&koala, 9).await;
    // More of her and of the others, which waits behind what is in hand; what is dead at once; what is rejected.
    post(&koala, &everything_of_ada("queue")).await;
    let dead = |id: &str, user: &str, email: &str| json!({"type": "track", "messageId": id, "event": {"no": "name"}, "userId": user, "traits": {"email": email}});
    let late = [
        json!({"type": "track", "messageId": "b-2", "event": "Invited", "userId": "u-bob", "properties": {"email": "a@example.com"}}),
        json!({"type": "track", "messageId": "b-3", "event": "Viewed", "userId": "u-bob", "anonymousId": "d-ada"}),
        json!({"type": "track", "messageId": "o-9", "event": "Viewed", "userId": "u-0", "context": {"traits": {"email": "ada@example.com"}}}),
        dead("x-1", "u-ada", "a@example.com"),
        dead("x-2", "u-1", "a@example.com.au"),
        json!({"email": "A@example.com"}),
        json!({"email": "ada@example.com", "note": "not a@example.com"}),
    ];
    post(&koala, &late).await;
    koala.until_queues(json!({"dead": 2, "rejected": 2})).await;

    let asa = "\u{e5}sa@ex\u{e4}mple.com";
    let id = koala.ask_to_delete(json!({"emails": ["a@example.com", asa]})).await;
    let deletion = koala.until_deleted(&id).await;
    // Ten, twice, and the one with escapes; a dead letter; a rejected event.
    assert_eq!((&deletion["messages"], &deletion["visitors"]), (&json!(23), &json!(0)), "{deletion}");
    let (_, letters) = koala.get("/api/dead-letters").await;
    assert_eq!(letters["dead_letters"].as_array().unwrap().len(), 1, "{letters}");
    koala.until_queues(json!({"dead": 1, "rejected": 1})).await;

    // What was in hand arrives now, and what is done from now on is a new person's.
    gate.open.send_replace(true);
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 1, "rejected": 1})).await;
    let mut left: Vec<String> = others.map(str::to_owned).into();
    left.extend(["bob@example.com", "d-bob", "u-0", "u-1", "u-2", "u-3", "u-bob"].map(str::to_owned));
    left.sort();
    assert_eq!(shown(&koala).await, left);
    let (_, bob) = koala.get("/api/visitors?q=u-bob").await;
    assert_eq!((&bob["visitors"][0]["events"], &bob["visitors"][0]["identifies"]), (&json!(2), &json!(1)), "{bob}");
    post(&koala, &everything_of_ada("new")[..3]).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
    let (_, ada) = koala.get("/api/visitors?q=u-ada").await;
    assert_eq!((&ada["total"], &ada["visitors"][0]["events"]), (&json!(1), &json!(2)), "{ada}");
    let redriven = koala.request("POST", "/api/redrive", "{}", &[("content-type", "application/json")]).await;
    assert_eq!(redriven.1["redriven"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_address_is_left_in_the_files_when_a_deletion_is_completed() {
    let home = Home::new();
    let koala = home.up(&[]);
    let texts = ["zoe.quux@example.com", "quux", "u-zoe-77", "d-zoe-77", "secret-plan-of-zoe"];
    // Large and small events, so that pages split and merge; updates that move rows; and many of others in between.
    for round in 0..12 {
        let mut events = Vec::new();
        for n in 0..20 {
            let (id, pad) = (format!("z-{round}-{n}"), "x".repeat(n * 97));
            events.push(json!({"type": "track", "messageId": id, "event": "Viewed Pricing", "userId": "u-zoe-77",
                "anonymousId": "d-zoe-77", "properties": {"plan": "secret-plan-of-zoe", "pad": pad},
                "context": {"traits": {"email": "Zoe.Quux@example.com"}}}));
            events.push(json!({"type": "track", "messageId": format!("o-{round}-{n}"), "event": "Viewed Pricing",
                "userId": format!("u-{n}"), "properties": {"pad": pad}}));
        }
        let name = format!("Zoe Quux {}", "y".repeat(round * 50));
        events.push(json!({"type": "identify", "messageId": format!("i-{round}"), "userId": "u-zoe-77",
            "traits": {"email": "zoe.quux@example.com", "name": name, "company": {"name": "Quux Household"}}}));
        // An address also stands in what is searched by: a path, a title, where somebody came from.
        let page = json!({"path": "/people/zoe.quux@example.com", "title": "Zoe Quux",
            "referrer": "https://quux.example/home"});
        events.push(json!({"type": "page", "messageId": format!("p-{round}"), "anonymousId": "d-zoe-77",
            "properties": page, "context": {"page": page}}));
        post(&koala, &events).await;
    }
    // And what is dead or rejected.
    let dead = json!({"type": "track", "messageId": "x-1", "event": {"no": "name"}, "userId": "u-zoe-77"});
    post(&koala, &[dead, json!({"email": "zoe.quux@example.com"})]).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 1, "rejected": 1})).await;
    assert!(found_in_files(&home, &["zoe.quux@example.com"]).len() >= 2, "the search finds what is there");

    let id = koala.ask_to_delete(json!({"emails": ["zoe.quux@example.com"]})).await;
    let deletion = koala.until_deleted(&id).await;
    assert_eq!((&deletion["entries"], &deletion["messages"]), (&json!(264), &json!(2)), "{deletion}");
    assert_eq!(found_in_files(&home, &texts), [""; 0]);
    assert_eq!(koala.get("/api/visitors").await.1["total"], 20);
    // Nor later, nor when the set has stopped.
    post(&koala, &[json!({"type": "track", "messageId": "o-x", "event": "A", "userId": "u-1"})]).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
    assert_eq!(koala.interrupt(), 0);
    assert_eq!(found_in_files(&home, &texts), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_goes_on_after_kill_9_until_it_is_completed() {
    let home = Home::new();
    let mut koala = home.up(&[]);
    for round in 0..200 {
        let events: Vec<Value> = (0..30).map(|n| event(&format!("e-{round}-{n}"), "2026-11-20T09:00:00Z")).collect();
        let device = format!("d-killed-{}", round % 40);
        batch(&koala, json!({"email": "killed.person@acme.com", "anonymous_id": device, "events": events})).await;
    }
    batch(&koala, json!({"email": "other@acme.com", "events": [event("o-1", "2026-11-20T09:00:00Z")]})).await;
    let id = koala.ask_to_delete(json!({"emails": ["killed.person@acme.com"]})).await;
    // In the middle of it, again and again: what was done is not lost, and the person is never seen again.
    for pause in [0, 30, 90, 200, 400] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        koala.kill();
        koala = home.up(&[]);
        assert_eq!(only_visitor(&koala).await["emails"], json!(["other@acme.com"]));
    }
    let deletion = koala.until_deleted(&id).await;
    assert_eq!((&deletion["entries"], &deletion["visitors"]), (&json!(6000), &json!(1)), "{deletion}");
    assert_eq!(found_in_files(&home, &["killed.person", "d-killed"]), [""; 0]);
    koala.kill();
    assert_eq!(found_in_files(&home, &["killed.person", "d-killed"]), [""; 0]);
    let koala = home.up(&[]);
    assert_eq!(koala.get(&format!("/api/v1/deletion-requests/{id}")).await.1, deletion);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_became_one_are_deleted_as_one_by_the_page_s_button() {
    let home = Home::new();
    let koala = home.up(&[]);
    let at = "2026-11-20T09:00:00Z";
    batch(&koala, json!({"anonymous_id": ADA, "events": [event("e-1", at)]})).await;
    batch(&koala, json!({"email": "ada@acme.com", "events": [event("e-2", at)]})).await;
    let first = koala.get("/api/visitors").await.1["visitors"][0]["id"].clone();
    batch(&koala, json!({"anonymous_id": ADA, "email": "ada@acme.com", "user_id": "u1", "events": [event("e-3", at)]}))
        .await;
    batch(&koala, json!({"user_id": "u2", "anonymous_id": ADA, "events": [event("e-4", at)]})).await;

    let client = http_client::builder().unwrap().build().unwrap();
    let delete = |origin: &'static str| {
        client.post(format!("{}/visitors/{first}/delete", koala.url)).header("origin", origin).send()
    };
    assert_eq!(delete("http://evil.example").await.unwrap().status(), 403);
    let own = koala.url.clone().leak();
    let page = delete(own).await.unwrap();
    assert_eq!(page.status(), 200);
    let path = page.url().path().to_owned();
    let id = path.strip_prefix("/deletions/").unwrap_or_else(|| panic!("{path}"));
    assert!(page.text().await.unwrap().contains("Receipt"));
    let deletion = koala.until_deleted(id).await;
    assert_eq!((&deletion["visitors"], &deletion["entries"]), (&json!(1), &json!(3)), "{deletion}");
    assert!(text(&format!("{}{path}", koala.url)).await.contains("Completed"));
    assert_eq!(only_visitor(&koala).await["user_ids"], json!(["u2"]));
    assert_eq!(delete(own).await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_kept_of_a_person_is_exported() {
    let home = Home::new();
    let koala = home.up(&[]);
    let at = "2026-11-20T09:00:00Z";
    for round in 0..50 {
        let events: Vec<Value> = (0..30).map(|n| event(&format!("e-{round}-{n}"), at)).collect();
        let said = identify(&format!("i-{round}"), at, &json!({"name": "Ada \"Quote\"", "n": round}));
        batch(&koala, json!({"user_id": "u1", "email": "ada@acme.com", "anonymous_id": format!("d-{round}"), "events": events, "identifies": [said]})).await;
    }
    batch(&koala, json!({"email": "other@acme.com", "events": [event("o-1", at)]})).await;
    let id = koala.get("/api/visitors?q=u1").await.1["visitors"][0]["id"].clone();
    let (status, export) = koala.get(&format!("/api/visitors/{id}/export")).await;
    assert_eq!(status, 200);
    let entries = export["entries"].as_array().unwrap();
    let mut ids: Vec<&str> = entries.iter().map(|entry| entry["message_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((entries.len(), ids.len()), (1550, 1550));
    assert_eq!(export["visitor"]["traits"]["name"], "Ada \"Quote\"");
    let identities = export["identities"].as_array().unwrap();
    assert_eq!(identities.len(), 52);
    let device = json!({"kind": "device", "value": "d-7", "joined_to_another_id": true, "blocked": false});
    assert!(identities.contains(&device), "{identities:?}");
    assert!(!export.to_string().contains("other@acme.com"));
    assert_eq!(koala.get("/api/visitors/nobody/export").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn ip_addresses_are_kept_no_longer_than_it_takes_to_deliver_unless_one_wants_them() {
    for (keep, is_kept) in [("", false), ("true", true)] {
        let home = Home::new();
        let koala = home.up(&[("KEEP_IP", keep)]);
        let context = json!({"ip": "203.0.113.7", "page": {"path": "/docs"}});
        let events = [
            json!({"type": "identify", "messageId": "m-1", "userId": "u-1", "traits": {"email": "ada@acme.com", "ip": "203.0.113.7"}, "context": context}),
            json!({"type": "track", "messageId": "m-2", "event": "A", "userId": "u-1", "properties": {"client_ip": "203.0.113.7"}, "context": context}),
            json!({"type": "page", "messageId": "m-3", "userId": "u-1", "properties": {"path": "/docs"}, "context": context}),
            json!({"type": "track", "messageId": "m-4", "event": {"no": "name"}, "userId": "u-1", "context": context}),
            json!({"messageId": "m-5", "userId": "u-1", "context": context}),
        ];
        post(&koala, &events).await;
        koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 1, "rejected": 1})).await;
        let (_, shown) = koala.get(&format!("/api/visitors/{}", only_visitor(&koala).await["id"])).await;
        assert_eq!(shown["timeline"].as_array().unwrap().len(), 3);
        assert_eq!(shown.to_string().contains("203.0.113.7"), is_kept, "{shown}");
        assert!(shown.to_string().contains("/docs"));
        // What a deletion writes anew has none of them either: not the dead letter, not the rejected event.
        let id = koala.ask_to_delete(json!({"emails": ["nobody@acme.com"]})).await;
        koala.until_deleted(&id).await;
        assert_eq!(found_in_files(&home, &["203.0.113.7"]).is_empty(), !is_kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_kept_for_as_many_days_as_are_set() {
    let home = Home::new();
    let ago = |days: i64| clock::from_milliseconds(clock::now_milliseconds() - days * clock::MILLISECONDS_OF_A_DAY);
    let koala = home.up(&[]);
    let track = |id: &str, user: &str, days: i64| json!({"type": "track", "messageId": id, "event": "Viewed Pricing", "userId": user, "timestamp": ago(days), "receivedAt": ago(days)});
    post(&koala, &[track("m-1", "u-old", 40), track("m-2", "u-both", 40), track("m-3", "u-both", 2)]).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
    assert_eq!(koala.get("/api/visitors").await.1["total"], 2);
    assert_eq!(koala.interrupt(), 0);
    let koala = home.up(&[("RETENTION_DAYS", "30")]);
    let begun = Instant::now();
    while koala.get("/api/visitors").await.1["total"] != 1 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let left = only_visitor(&koala).await;
    assert_eq!((&left["user_ids"], &left["events"]), (&json!(["u-both"]), &json!(1)));
    drop(koala);
    let (status, said) = home.cannot_start(&[("RETENTION_DAYS", "0")]);
    assert_eq!(status, 2);
    assert!(said.contains("RETENTION_DAYS"), "{said}");
}
