//! Faults that only AWS has, met by the three functions as Lambda runs them.

use std::time::Duration;

use serde_json::json;

use crate::collector::Collector;
use crate::faults::{SUSPENDED, each_arrives_once, event, events};
use crate::lambda::Functions;
use crate::set::Kind;

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_start_without_parameter_store_answer_503_and_lose_nothing() {
    let collector = Collector::start();
    let set = Kind::Functions.start(&collector);
    let functions = set.functions().unwrap();
    set.post_all(&events(10)).await;
    collector.until_taken(10, Duration::from_secs(20)).await;
    functions.faults(json!({"parameter_store": "down"})).await;
    // dispatch has its settings; track-event starts without: its batch fails and stays in the queue.
    functions.kill("track-event").await;
    set.post_all(&(10..20).map(|n| event(&format!("m-{n}"), 1)).collect::<Vec<_>>()).await;
    set.until_logged("the batch goes back to the queue").await;
    assert_eq!(set.undelivered().await, 10);
    functions.kill("dispatch").await;
    let (status, answer) = set.post(&event("m-20", 2)).await;
    // Its process is started again while it is asked; API Gateway answers for the one that ended.
    assert!(status == 503 && answer["error"]["code"] == "settings_unavailable" || status == 500, "{status} {answer}");
    functions.faults(json!({})).await;
    // As Segment does on 5xx.
    while set.post(&event("m-20", 2)).await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    collector.until_taken(21, Duration::from_secs(30)).await;
    assert!(set.until_settled().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_sqs_refuses_make_the_request_fail_until_all_are_queued() {
    let collector = Collector::start();
    let set = Kind::Functions.start(&collector);
    set.functions().unwrap().faults(json!({"refuse_messages": ["m-3\"", "m-17\""]})).await;
    let body = format!("[{}]", events(20).join(","));
    let (status, answer) = set.post(&body).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("queue_unavailable")), "{answer}");
    set.functions().unwrap().faults(json!({})).await;
    assert_eq!(set.post(&body).await.0, 200);
    collector.until_taken(20, Duration::from_secs(20)).await;
    assert!(set.until_settled().await.is_empty());
    // Those that were queued at first may arrive twice, under one message id: Koala keeps one.
    assert_eq!(collector.taken().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_on_aws_are_sent_again_by_a_message_move_task() {
    let collector = Collector::start();
    let set = Kind::Functions.start_with(&collector.url(), &[("SETTINGS_TTL_SECONDS", "0")]);
    let functions = set.functions().unwrap();
    let wrong = r#"{"trigger":"type = \"track\"","action":"track-event","fields":{"event":{"@path":"$.properties"}}}"#;
    set.set_parameter("mappings/track", wrong).await;
    set.post_all(&events(5)).await;
    assert_eq!(set.until_settled().await.len(), 5);
    set.set_parameter("mappings/track", r#"{"trigger":"type = \"track\"","action":"track-event"}"#).await;
    let request = json!({
        "SourceArn": functions.queue_arn("track_dead_letters").await, "DestinationArn": functions.queue_arn("track").await,
    });
    functions.aws("AmazonSQS.StartMessageMoveTask", &request).await;
    each_arrives_once(&set, &collector, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_received_as_often_as_the_queue_allows_is_a_dead_letter() {
    let collector = Collector::start();
    collector.answer(|_| SUSPENDED);
    let few = ["--visibility-timeout-seconds", "8", "--batching-window-seconds", "0.1", "--max-receive-count", "5"];
    let functions =
        Functions::start_with(&collector.url(), &[&few[..], &["--set", "RETRY_FIRST_DELAY_SECONDS=0"]].concat());
    assert_eq!(functions.dispatch("tests/events/lambda/dispatch-track.json").0, 200);
    functions.until_messages("track_dead_letters", 1).await;
    assert_eq!(collector.requests().len(), 5);
}
