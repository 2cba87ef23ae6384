//! Alerts through the real `koala up`: from the event to a Slack on loopback that holds Slack's limits and its rate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clients;
use crate::koala::{Home, Koala, root};
use crate::postgres_server::Database;

/// What Slack was sent, and when it was taken; and how many requests came too early.
#[derive(Clone, Default)]
struct Slack(Arc<Mutex<Vec<(Instant, Value)>>>, Arc<AtomicUsize>);

impl Slack {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let router = Router::new().route("/services/{*hook}", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/services/T0/B0/hunter2")
    }

    /// The headlines of all that was taken.
    fn headlines(&self) -> Vec<String> {
        let taken = self.0.lock().unwrap();
        let lines = taken.iter().flat_map(|(_, body)| body["text"].as_str().unwrap_or_default().lines());
        lines.map(str::to_owned).collect()
    }

    async fn until(&self, count: usize, within: Duration) {
        let begun = Instant::now();
        while self.headlines().len() < count {
            assert!(begun.elapsed() < within, "{:?}", self.headlines());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// As Slack documents it: 50 blocks, 3,000 characters in a section, one request a second
/// (<https://docs.slack.dev/reference/block-kit/blocks>, <https://docs.slack.dev/apis/web-api/rate-limits>).
async fn take(State(Slack(taken, too_early)): State<Slack>, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { return refuse("invalid_payload") };
    let Some(blocks) = body["blocks"].as_array() else { return refuse("no_blocks") };
    let text =
        |block: &Value| block.get("text").or_else(|| block["elements"].get(0))?["text"].as_str().map(str::to_owned);
    let is_right = |block: &Value| text(block).is_some_and(|text| (1..=3000).contains(&text.chars().count()));
    if blocks.len() > 50 || !blocks.iter().all(is_right) || body["text"].as_str().unwrap_or_default().is_empty() {
        return refuse("invalid_blocks");
    }
    let mut taken = taken.lock().unwrap();
    if taken.last().is_some_and(|(at, _)| at.elapsed() < Duration::from_secs(1)) {
        too_early.fetch_add(1, Ordering::Relaxed);
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "rate_limited").into_response();
    }
    taken.push((Instant::now(), body));
    "ok".into_response()
}

fn refuse(why: &'static str) -> Response {
    (StatusCode::BAD_REQUEST, why).into_response()
}

const PRIVATE: (&str, &str) = ("ALERTS_ALLOW_PRIVATE", "true");

async fn send(koala: &Koala, event: &Value) {
    let (status, answer) = koala.post(&event.to_string()).await;
    assert_eq!((status, &answer["accepted"]), (200, &json!(1)), "{answer}");
}

/// The two weeks of visits with the last of them now, in the order in which they came in.
fn two_weeks() -> Vec<Value> {
    let text = fs::read_to_string(root().join("tests/events/two-weeks/visits.jsonl")).unwrap();
    let mut events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).unwrap();
    let newest = events.iter().map(|event| time(event["receivedAt"].as_str().unwrap())).max().unwrap();
    let shift = OffsetDateTime::now_utc() - newest;
    for event in &mut events {
        for key in ["timestamp", "originalTimestamp", "sentAt", "receivedAt"] {
            let moved = time(event[key].as_str().unwrap()) + shift;
            event[key] = moved.format(&Rfc3339).unwrap().into();
        }
    }
    events
}

/// Who looked at prices or asked for a demo in the last day, each UTC day: who they are is what the script that made them up says.
fn expected(events: &[Value], is_wanted: impl Fn(&Value) -> bool) -> BTreeMap<String, usize> {
    let people: Value =
        serde_json::from_str(&fs::read_to_string(root().join("tests/vectors/two-weeks.json")).unwrap()).unwrap();
    let day_ago = OffsetDateTime::now_utc() - Duration::from_hours(24);
    let mut days: BTreeMap<String, BTreeSet<(usize, String)>> = BTreeMap::new();
    for event in events.iter().filter(|event| is_wanted(event)) {
        let at = event["timestamp"].as_str().unwrap();
        // The seconds that the test takes lie between; the story has nothing there.
        if OffsetDateTime::parse(at, &Rfc3339).unwrap() <= day_ago {
            continue;
        }
        let of = |person: &&Value| person["message_ids"].as_array().unwrap().contains(&event["messageId"]);
        let people = people.as_array().unwrap();
        let Some((n, person)) = people.iter().enumerate().find(|(_, person)| of(person)) else { continue };
        let who = person["company"].as_str().unwrap_or("anonymous").to_owned();
        days.entry(who).or_default().insert((n, at[..10].to_owned()));
    }
    days.into_iter().map(|(who, days)| (who, days.len())).collect()
}

#[tokio::test]
async fn two_weeks_of_visits_tell_exactly_what_was_asked_in_seconds() {
    let slack = Slack::default();
    let home = Home::new();
    home.set_parameter("collector/alert-targets/sales", &slack.start().await);
    home.set_parameter("collector/alerts/pricing.json", r#"{"on":"pricing","to":"sales"}"#);
    let koala = home.up(&[PRIVATE]);
    let events = two_weeks();
    for event in &events {
        // A crawler is no visitor.
        let (status, _) = koala.post(&event.to_string()).await;
        assert_eq!(status, 200);
    }
    let is_pricing = |event: &Value| {
        let path = event["properties"]["path"].as_str().unwrap_or_default();
        path.contains("/pricing") || event["event"].as_str().is_some_and(|name| name.contains("Pricing"))
    };
    let expected = expected(&events, is_pricing);
    let count: usize = expected.values().sum();
    assert!(count > 0, "the story has nobody who looked at prices today");
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
    slack.until(count, Duration::from_secs(30)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;

    let headlines = slack.headlines();
    assert_eq!(headlines.len(), count, "{expected:?}: {headlines:?}");
    assert!(headlines.iter().all(|headline| headline.contains("looks at pricing")), "{headlines:?}");
    let (_, shown) = koala.get("/api/alerts").await;
    assert!(shown["messages"].as_array().unwrap().iter().all(|it| it["state"] == "sent"), "{shown}");
    assert!(!home.logged().contains("hunter2") && !shown.to_string().contains("hunter2"));
    // Whoever reads it knows what the company did: Ada Lovelace's has looked at prices today.
    let all: String = slack.0.lock().unwrap().iter().map(|(_, body)| body["blocks"].to_string()).collect();
    assert!(all.contains("Ada Lovelace, CTO: viewed /pricing"), "{all}");
    assert!(
        headlines.iter().any(|headline| headline.starts_with("Analytical Engines looks at pricing")),
        "{headlines:?}"
    );
}

/// README's first picture.
#[tokio::test]
async fn the_picture_of_a_message_in_slack_is_of_the_two_weeks() {
    let slack = Slack::default();
    let home = Home::new();
    home.set_parameter("collector/alert-targets/sales", &slack.start().await);
    home.set_parameter(
        "collector/alerts/pricing.json",
        r#"{"on":"pricing","only":"context.company.domain = \"analytical.example\"","to":"sales"}"#,
    );
    let koala = home.up(&[PRIVATE, ("PAGE_URL", "https://koala.example.com")]);
    for event in &two_weeks() {
        assert_eq!(koala.post(&event.to_string()).await.0, 200);
    }
    slack.until(1, Duration::from_secs(30)).await;
    let body = slack.0.lock().unwrap()[0].1.to_string();
    let file = home.parameters().with_file_name("slack.json");
    fs::write(&file, body).unwrap();
    clients::run("slack_picture.cjs", [&file.to_string_lossy(), ""]).await;
}

#[tokio::test]
async fn a_kill_while_alerts_are_told_and_events_that_come_again_tell_none_twice() {
    let slack = Slack::default();
    let home = Home::new();
    home.set_parameter("collector/alert-targets/sales", &slack.start().await);
    home.set_parameter("collector/alerts/demo.json", r#"{"on":"demo","to":"sales"}"#);
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
    let demo = |n: usize| {
        json!({"type": "track", "event": "Demo Requested", "messageId": format!("m-{n}"), "timestamp": now,
               "userId": format!("u-{n}"), "properties": {"email": format!("someone@company-{n}.example")}})
    };
    let koala = home.up(&[PRIVATE]);
    for n in 0..40 {
        send(&koala, &demo(n)).await;
    }
    slack.until(1, Duration::from_secs(20)).await;
    koala.kill();
    let koala = home.up(&[PRIVATE]);
    for n in 0..40 {
        send(&koala, &demo(n)).await;
    }
    let begun = Instant::now();
    let messages = loop {
        let (_, shown) = koala.get("/api/alerts?limit=1000").await;
        let messages = shown["messages"].as_array().unwrap().clone();
        let is_open = |it: &Value| it["state"] == "due";
        if messages.len() == 40 && !messages.iter().any(is_open) {
            break messages;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{shown}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for headline in slack.headlines() {
        *told.entry(headline).or_default() += 1;
    }
    assert!(told.values().all(|times| *times == 1), "{told:?}");
    // What was in the process's hands when it was killed is not repeated: it stays as it is until it is shown as unknown.
    let sent = messages.iter().filter(|it| it["state"] == "sent").count();
    let held = messages.iter().filter(|it| it["state"] == "sending" || it["state"] == "unknown").count();
    assert_eq!(sent + held, 40, "{messages:?}");
    assert!(told.len() >= sent && held <= 9, "{} told, {sent} sent, {held} held", told.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sets_on_one_database_tell_none_twice_and_all_when_one_of_them_is_killed() {
    const PEOPLE: usize = 30;
    let slack = Slack::default();
    let database = Database::new().await;
    let (home, of_other) = (Home::new(), Home::new());
    let url = slack.start().await;
    for home in [&home, &of_other] {
        home.set_parameter("collector/alert-targets/sales", &url);
        home.set_parameter("collector/alerts/demo.json", r#"{"on":"demo","to":"sales"}"#);
        // A company of two who ask for a demo has 20 points, of one 10.
        home.set_parameter("collector/alerts/hot.json", r#"{"on":"points","over":15,"to":"sales"}"#);
    }
    let environment = [PRIVATE, ("DATABASE_URL", database.url.as_str())];
    let (koala, other) = (home.up(&environment), of_other.up(&environment));
    // Both have taken all companies for what they are before anybody is there.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
    let demo = |n: usize| {
        json!({"type": "track", "event": "Demo Requested", "messageId": format!("m-{n}"), "timestamp": now,
               "userId": format!("u-{n}"), "properties": {"email": format!("someone-{n}@company-{}.example", n / 2)}})
    };
    for n in 0..PEOPLE {
        // Each comes to both.
        let (first, second) = if n % 2 == 0 { (&koala, &other) } else { (&other, &koala) };
        send(first, &demo(n)).await;
        send(second, &demo(n)).await;
    }
    slack.until(5, Duration::from_secs(40)).await;
    other.kill();
    for n in 0..PEOPLE {
        send(&koala, &demo(n)).await;
    }
    // What the one that was killed had taken on comes again, as Segment sends it again.
    let other = of_other.up(&environment);
    let all = PEOPLE + PEOPLE / 2;
    let begun = Instant::now();
    let messages = loop {
        let (_, shown) = koala.get("/api/alerts?limit=1000").await;
        let messages = shown["messages"].as_array().unwrap().clone();
        if messages.len() == all && !messages.iter().any(|it| it["state"] == "due") {
            break messages;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "{} of {all}: {shown}", messages.len());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    let headlines = slack.headlines();
    assert_eq!(slack.1.load(Ordering::Relaxed), 0, "the two keep to Slack's pace together");
    let (of_points, of_demo): (Vec<_>, Vec<_>) = headlines.iter().partition(|line| line.contains("points"));
    let distinct: BTreeSet<_> = of_points.iter().collect();
    assert_eq!(distinct.len(), of_points.len(), "{headlines:#?}");
    // Of each company two have asked.
    let mut companies: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &of_demo {
        *companies.entry(line.split(' ').next().unwrap_or_default()).or_default() += 1;
    }
    assert!(companies.values().all(|times| *times <= 2), "{headlines:#?}");
    let of = |state: &str| messages.iter().filter(|it| it["state"] == state).count();
    let held = of("sending") + of("unknown");
    assert_eq!(of("sent") + held, all, "{messages:?}");
    // What was in the hands of the one that was killed is not repeated: at most one request's.
    assert!(headlines.len() >= of("sent") && headlines.len() <= all && held <= 10, "{held} held: {headlines:#?}");
    assert_eq!(other.get("/api/alerts?limit=1000").await.1["messages"].as_array().unwrap().len(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_tested_by_the_command_and_by_the_api_and_previewed() {
    let slack = Slack::default();
    let home = Home::new();
    home.set_parameter("collector/alert-targets/sales", &slack.start().await);
    home.set_parameter("collector/alerts/demo.json", r#"{"on":"demo","to":"sales"}"#);
    let command = |arguments: &[&str], allowed: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_koala"))
            .args(arguments)
            .arg("--parameters")
            .arg(home.parameters())
            .env("ALERTS_ALLOW_PRIVATE", allowed)
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, said) = tokio::task::block_in_place(|| command(&["alerts", "--test", "demo"], "true"));
    assert_eq!((status, said.as_str()), (0, "sales: delivered\n"));
    let (status, said) = command(&["alerts", "--test", "demo"], "false");
    assert_eq!(status, 1);
    assert!(said.starts_with("sales: the target's URL does not begin with https://"), "{said}");
    let (status, listed) = command(&["alerts"], "false");
    assert_eq!(
        (status, listed.contains("the intent rule demo, once for a visitor and day → sales (Slack)")),
        (0, true)
    );
    let event = home.parameters().join("../event.json");
    fs::write(&event, r#"{"type":"track","event":"Demo Requested","messageId":"m","userId":"u"}"#).unwrap();
    let (_, previewed) = command(&["preview", event.to_str().unwrap()], "false");
    assert!(previewed.contains("demo → sales: by the intent rule demo, once for a visitor and day"), "{previewed}");

    let koala = home.up(&[PRIVATE]);
    let json = [("content-type", "application/json")];
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (status, tested) = koala.request("POST", "/api/alerts/test", r#"{"alert":"demo"}"#, &json).await;
    assert_eq!((status, &tested["tested"]), (200, &json!([{"target": "sales", "delivered": true, "reason": null}])));
    let (status, _) = koala.request("POST", "/api/alerts/test", r#"{"alert":"none"}"#, &json).await;
    assert_eq!(status, 404);
    assert_eq!(slack.headlines(), vec!["Koala destination: a test of the alert demo"; 2]);
}
