//! The three functions as Lambda runs them: real binaries under a Runtime API, the unchanged AWS SDK over the wire.
//!
//! `tests/functions.py` starts it all. `tests/run` installs what it needs and builds the functions first.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use koala_destination::http_client;
use serde_json::{Value, json};

use crate::collector::Collector;
use crate::koala::root;

/// The key in `local/parameters`.
const KEY: &str = "pk_local_0123456789";

struct Functions {
    endpoint: String,
    /// The root of the parameter tree.
    #[cfg_attr(not(feature = "aws"), allow(dead_code))]
    prefix: String,
    invoke: String,
    queues: Value,
    log: tempfile::NamedTempFile,
    http: reqwest::Client,
    process: Child,
    /// Closed when this is dropped, which ends the process and what it started.
    _stdin: ChildStdin,
}

impl Functions {
    fn start(koala_url: &str) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut process = Command::new(root().join("target/venv/bin/python"))
            .arg(root().join("tests/functions.py"))
            .args(["--invoke-port", "0", "--until-stdin-closes", "--koala-url", koala_url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.reopen().unwrap())
            .spawn()
            .expect("tests/environment installs target/venv");
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let said = || fs::read_to_string(log.path()).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap_or_else(|_| panic!("not ready: {}", said()));
        Self {
            endpoint: ready["endpoint"].as_str().unwrap().to_owned(),
            prefix: ready["prefix"].as_str().unwrap().to_owned(),
            invoke: ready["invoke"].as_str().unwrap().to_owned(),
            queues: ready["queues"].clone(),
            http: http_client::builder().unwrap().timeout(Duration::from_secs(30)).build().unwrap(),
            _stdin: process.stdin.take().unwrap(),
            process,
            log,
        }
    }

    /// `cargo lambda invoke <function> --data-file <file>`, as the README shows it.
    fn invoke(&self, function: &str, file: &str) -> Value {
        let port = self.invoke.rsplit(':').next().unwrap();
        let output = Command::new(root().join("target/venv/bin/cargo-lambda"))
            .current_dir(root())
            .args([
                "lambda",
                "invoke",
                function,
                "--invoke-address",
                "127.0.0.1",
                "--invoke-port",
                port,
                "--data-file",
                file,
            ])
            .output()
            .unwrap();
        let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{function} {file}: {said} {why} {}", self.logged()))
    }

    /// The body of `dispatch`'s answer, with its status.
    fn dispatch(&self, file: &str) -> (i64, Value) {
        let answer = self.invoke("dispatch", file);
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_i64().unwrap(), body)
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    /// The messages of a queue with their attributes.
    async fn messages(&self, queue: &str) -> Vec<Value> {
        let request = json!({
            "QueueUrl": self.queues[queue], "MaxNumberOfMessages": 10, "VisibilityTimeout": 0, "MessageAttributeNames": ["All"],
        });
        let response = self
            .http
            .post(&self.endpoint)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", "AmazonSQS.ReceiveMessage")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=0",
            )
            .body(request.to_string())
            .send()
            .await
            .unwrap();
        let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        answer["Messages"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until a queue has that many messages.
    async fn until_messages(&self, queue: &str, count: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let messages = self.messages(queue).await;
            if messages.len() >= count {
                return messages;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{queue}: {messages:?} {}", self.logged());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        // A TERM lets it end what it started; it may have ended.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

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

    // The logs are JSON lines without event data.
    for line in functions.logged().lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"].is_string()), "{line}");
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
    assert_eq!(attribute("reason"), "Traits (`traits`) must be an object, and is a string");
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
    assert_eq!(check(&functions.prefix), (0, "No problem: 2 mappings, 2 of them enabled.\n".to_owned()));
    let (status, said) = check("/koala-destination/another-stage");
    assert_eq!(status, 1);
    assert!(said.contains("public-api-key: is missing"), "{said}");
}
