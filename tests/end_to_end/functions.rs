//! The three functions as Lambda runs them: real binaries under a Runtime API, the unchanged AWS SDK over the wire.

#[cfg(feature = "aws")]
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::collector::Collector;
use crate::koala::root;
use crate::lambda::{Functions, KEY};

// The collector answers while a thread waits for `cargo lambda invoke`.
#[tokio::test(flavor = "multi_thread")]
async fn events_go_from_the_gateway_through_the_queues_to_koala() {
    let collector = Collector::start();
    let functions = Functions::start(&collector.url());
    for (file, status, accepted) in [
        ("tests/events/lambda/dispatch-track.json", 200, json!(1)),
        ("tests/events/lambda/dispatch-identify.json", 200, json!(1)),
        ("tests/events/lambda/dispatch-base64.json", 200, json!(1)),
        ("tests/events/lambda/dispatch-batch.json", 200, json!(4)),
        // Without a collector of ours the presets for these are off.
        ("tests/events/lambda/dispatch-page.json", 200, json!(0)),
        ("tests/events/lambda/dispatch-group.json", 200, json!(0)),
        ("tests/events/lambda/dispatch-alias.json", 200, json!(0)),
        ("tests/events/lambda/dispatch-unsigned.json", 401, json!(null)),
    ] {
        let (answered, body) = functions.dispatch(file);
        assert_eq!((answered, &body["accepted"]), (status, &accepted), "{file}: {body} {}", functions.logged());
    }
    collector.until_taken(7, Duration::from_secs(20)).await;
    assert!(collector.taken().values().all(|times| *times == 1), "{:?}", collector.taken());
    for request in collector.requests() {
        assert_eq!(request.path, format!("/web/projects/{KEY}/batch"));
    }
    let rejected = functions.until_messages("rejected", 1).await;
    let kept: Value = serde_json::from_str(rejected[0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!(kept["event"]["messageId"], "batch-bad");
    assert!(kept["reason"].as_str().unwrap().contains("`type` is missing"), "{kept}");

    // The logs are JSON lines, words or metrics, without event data.
    for line in functions.logged().lines() {
        let is_known = |line: Value| line["level"].is_string() || line["_aws"].is_object();
        assert!(serde_json::from_str::<Value>(line).is_ok_and(is_known), "{line}");
        assert!(!["@", "203.0.113", KEY, "a-secret"].iter().any(|secret| line.contains(secret)), "{line}");
    }
}

// The collector answers while a thread waits for `cargo lambda invoke`.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_message_by_message_and_bad_ones_are_dead_letters_with_their_reason() {
    let collector = Collector::start();
    let functions = Functions::start(&collector.url());
    let answer = functions.invoke("track-event", "tests/events/lambda/track-event-batch.json");
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let answer = functions.invoke("identify-visitor", "tests/events/lambda/identify-visitor-batch.json");
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert_eq!(collector.taken().len(), 3);

    let dead = functions.until_messages("identify_dead_letters", 1).await;
    let attribute =
        |name: &str| dead[0]["MessageAttributes"][name]["StringValue"].as_str().unwrap_or_default().to_owned();
    assert_eq!(attribute("reason"), "Traits (`traits`) must be an object, not a string");
    assert_eq!(
        (attribute("mapping").as_str(), attribute("function").as_str()),
        ("identify-visitor", "identify-visitor")
    );
    let dead = functions.until_messages("track_dead_letters", 1).await;
    assert_eq!(dead[0]["Body"], "not a message of dispatch");

    // What fails for a passing reason is named, so that Lambda leaves it in the queue.
    collector.answer(|_| (400, r#"{"error":"Koala ingest suspended"}"#));
    let answer = functions.invoke("track-event", "tests/events/lambda/track-event-batch.json");
    let failed =
        answer["batchItemFailures"].as_array().unwrap().iter().map(|item| item["itemIdentifier"].as_str().unwrap());
    let failed: Vec<&str> = failed.collect();
    assert_eq!(failed, ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"]);
}

// The collector answers while a thread waits for `cargo lambda invoke`.
#[tokio::test(flavor = "multi_thread")]
async fn what_koala_could_not_take_is_delivered_when_it_can() {
    let collector = Collector::start();
    collector.answer(|_| (400, r#"{"error":"Koala ingest suspended"}"#));
    let functions = Functions::start(&collector.url());
    assert_eq!(functions.dispatch("tests/events/lambda/dispatch-track.json").0, 200);
    collector.until_asked(1).await;
    collector.answer(|_| (200, r#"{"ok":true}"#));
    collector.until_taken(1, Duration::from_secs(30)).await;
    assert_eq!(collector.taken()["track-server-1"], 1);
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn koala_check_reads_a_tree_in_parameter_store() {
    let collector = Collector::start();
    let functions = Functions::start(&collector.url());
    let check = |prefix: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_koala"))
            .args(["check", "--prefix", prefix])
            .env("AWS_ENDPOINT_URL", &functions.endpoint)
            .envs([("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, said) = check(&functions.prefix);
    assert_eq!(status, 0);
    assert!(said.ends_with("No problem: 2 mappings in force, 2 presets.\n"), "{said}");
    let (status, said) = check("/koala-destination/another-stage");
    assert_eq!(status, 1);
    assert!(said.contains("public-api-key: is missing"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_an_event_s_whole_way_are_in_the_functions_output() {
    let collector = Collector::start();
    let functions = Functions::start(&collector.url());
    functions.dispatch("tests/events/lambda/dispatch-track.json");
    collector.until_taken(1, Duration::from_secs(20)).await;
    let metrics = |function: &str| -> Option<Value> {
        let logged = functions.logged();
        let lines = logged.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["_aws"].is_object()).find(|line| line["Function"] == function)
    };
    let begun = std::time::Instant::now();
    while metrics("track-event").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", functions.logged());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (dispatch, track) = (metrics("dispatch").unwrap(), metrics("track-event").unwrap());
    assert_eq!(
        (&dispatch["Accepted"], &dispatch["QueuedTrackEvent"], &dispatch["Unavailable"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!((&track["Delivered"], &track["CollectorRequests"], &track["Dead"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(track["CollectorLatency"].as_array().map(Vec::len), Some(1));
    assert!(track["SettingsAge"].is_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_log_line_of_a_delivery_has_the_request_id_of_its_invocation() {
    let collector = Collector::start();
    // The first request fails, so that what is said of failures is among the lines.
    let first = std::sync::atomic::AtomicBool::new(true);
    collector
        .answer(move |_| if first.swap(false, std::sync::atomic::Ordering::SeqCst) { (503, "") } else { (200, "{}") });
    let functions = Functions::start(&collector.url());
    functions.dispatch("tests/events/lambda/dispatch-track.json");
    collector.until_taken(1, Duration::from_secs(20)).await;
    let lines =
        || -> Vec<Value> { functions.logged().lines().filter_map(|line| serde_json::from_str(line).ok()).collect() };
    let begun = std::time::Instant::now();
    while !lines().iter().any(|line| line["message"] == "batch done") {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", functions.logged());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let lines = lines();
    let of_invocations: Vec<&Value> = lines
        .iter()
        .filter(|line| line["_aws"].is_object() && line["Function"] != "dispatch")
        .map(|line| &line["request_id"])
        .collect();
    let of_delivery =
        |line: &&Value| line["target"].as_str().is_some_and(|target| target.starts_with("koala_destination::delivery"));
    let delivery: Vec<&Value> = lines.iter().filter(of_delivery).collect();
    for message in ["delivery request failed", "request delivered", "batch done"] {
        assert!(delivery.iter().any(|line| line["message"] == message), "{message}: {delivery:?}");
    }
    for line in delivery {
        let id = &line["span"]["request_id"];
        assert!(id.as_str().is_some_and(|id| !id.is_empty()) && of_invocations.contains(&id), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_id_goes_from_the_request_through_the_queue_to_the_log_line_of_the_request_to_koala() {
    let collector = Collector::start();
    let functions = Functions::start(&collector.url());
    // API Gateway's header, as the fixture has it.
    let fixture = std::fs::read_to_string(root().join("tests/events/lambda/dispatch-track.json")).unwrap();
    let fixture: Value = serde_json::from_str(&fixture).unwrap();
    let header = fixture["headers"]["x-amzn-trace-id"].as_str().unwrap();
    let trace = header.strip_prefix("Root=").unwrap();
    functions.dispatch("tests/events/lambda/dispatch-track.json");
    collector.until_taken(1, Duration::from_secs(20)).await;
    let begun = std::time::Instant::now();
    let has = |message: &str, field: &str| {
        let logged = functions.logged();
        let mut lines = logged.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.any(|line| line["message"] == message && line[field] == trace)
    };
    while !has("request delivered", "trace_ids") {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", functions.logged());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(has("request taken", "trace_id"), "{}", functions.logged());
}
