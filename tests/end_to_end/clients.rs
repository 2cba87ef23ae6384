//! Segment's own clients and its webhook sender, as their packages come, pointed at a set: each event arrives once.

use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::collector::Collector;
use crate::koala::{SECRET, WRITE_KEY, root};
use crate::set::{Kind, Set, hold_for_both_sets};

hold_for_both_sets!(
    the_node_sdk_sends_each_event_once,
    the_python_sdk_sends_each_event_once,
    segment_s_webhook_sends_each_event_once_single_and_batched,
    analytics_js_in_a_browser_sends_each_event_once,
);

/// Runs a client of `tests/clients` until it has sent everything; gives what it says.
pub async fn run(client: &str, arguments: [&str; 2]) -> String {
    let script = root().join("tests/clients").join(client);
    let is_python = script.extension().is_some_and(|extension| extension == "py");
    let program = if is_python { root().join("target/venv/bin/python") } else { "node".into() };
    let mut command = Command::new(program);
    command.arg(script).args(arguments).env("NODE_PATH", root().join("target/clients/node_modules"));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{client}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Waits until `identifies` and `events` arrived, each once and under an id of its own.
async fn arrive_once(set: &Set, collector: &Collector, identifies: usize, events: usize) {
    collector.until_taken(identifies + events, Duration::from_secs(30)).await;
    let dead = set.until_settled().await;
    assert!(dead.is_empty(), "{dead:?}");
    let taken = collector.taken();
    assert_eq!(taken.len(), identifies + events, "{taken:?}");
    assert!(taken.values().all(|times| *times == 1), "{taken:?}");
    let count =
        |kind: &str| collector.requests().iter().filter_map(|it| Some(it.body[kind].as_array()?.len())).sum::<usize>();
    assert_eq!((count("identifies"), count("events")), (identifies, events));
}

fn ids(client: &str, count: usize) -> HashSet<String> {
    (0..count).map(|n| format!("{client}-track-{n}")).chain([format!("{client}-identify")]).collect()
}

async fn the_node_sdk_sends_each_event_once(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    run("node.cjs", [set.url(), WRITE_KEY]).await;
    arrive_once(&set, &collector, 1, 10).await;
    assert_eq!(collector.taken().into_keys().collect::<HashSet<_>>(), ids("node", 10));
    let requests = collector.requests();
    assert!(requests.iter().all(|request| request.body["email"] == "node@example.com"));
    // The address of a team's own server says nothing of the visitor.
    assert!(requests.iter().all(|request| request.body.get("ip").is_none()), "{requests:?}");
}

async fn the_python_sdk_sends_each_event_once(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    run("python_sdk.py", [set.url(), WRITE_KEY]).await;
    arrive_once(&set, &collector, 1, 10).await;
    assert_eq!(collector.taken().into_keys().collect::<HashSet<_>>(), ids("python", 10));
}

async fn segment_s_webhook_sends_each_event_once_single_and_batched(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    run("webhook.cjs", [set.url(), SECRET]).await;
    arrive_once(&set, &collector, 1, 11).await;
    let mut expected = ids("webhook", 10);
    expected.insert("webhook-track-single".to_owned());
    assert_eq!(collector.taken().into_keys().collect::<HashSet<_>>(), expected);
    let names: HashSet<String> = entries(&collector, "events").iter().map(|entry| text(&entry["event"])).collect();
    assert_eq!(names, HashSet::from(["Plan Änderung “Pro” 🚀".to_owned()]));
}

async fn analytics_js_in_a_browser_sends_each_event_once(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    run("browser.cjs", [set.url(), WRITE_KEY]).await;
    // Of two pages: an identify and five events each, and a beacon.
    arrive_once(&set, &collector, 2, 11).await;
    let entries = entries(&collector, "events");
    let names: HashSet<String> = entries.iter().map(|entry| text(&entry["event"])).collect();
    let expected =
        ["single", "batching"].into_iter().flat_map(|page| (0..5).map(move |n| format!("Browser {page} {n}")));
    assert_eq!(names, expected.chain(["Browser beacon".to_owned()]).collect());
    // The visitor's address was added at intake, as Segment's servers do.
    assert!(collector.requests().iter().all(|request| request.body["ip"].as_str().is_some_and(|ip| ip == "127.0.0.1")));
    assert!(entries.iter().all(|entry| entry["context"]["ip"] != json!(null)), "{entries:?}");
}

fn entries(collector: &Collector, kind: &str) -> Vec<Value> {
    collector.requests().iter().filter_map(|request| request.body[kind].as_array().cloned()).flatten().collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
