//! What `dispatch` does with a request, from the invocation's bytes to the answer's, with an outbox in memory; beside the
//! floor: `serde_json` reading the same bytes into raw values, and an HMAC-SHA1 of them.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use koala_destination::intake::{IntakeOptions, Outbox, OutboxError};
use koala_destination::lambda::dispatch::answer;
use koala_destination::message::OutgoingMessage;
use koala_destination::metrics::Metrics;
use koala_destination::segment::SharedSecret;
use koala_destination::settings::{Parameter, ParameterSource, SettingsCache, SourceError};
use serde_json::json;
use serde_json::value::RawValue;

/// An event of 1.5 KB, as analytics.js sends them.
const TRACK: &str = include_str!("../../benches/peer/track.json");
const SECRET: &str = "the secret";
const OPTIONS: IntakeOptions = IntakeOptions {
    answer_within: Duration::from_secs(1),
    max_body_bytes: 1024 * 1024,
    koala_pixel_installed: false,
    forward_ip: true,
    consent_categories: &[],
};

struct Tree;

impl ParameterSource for Tree {
    async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
        let tree = [("public-api-key", "pk_1"), ("webhook-secret", SECRET), ("write-keys", "wk-1")];
        Ok(tree.map(|(name, value)| Parameter::new(name, value)).into())
    }
}

#[derive(Default)]
struct InMemory(AtomicUsize);

impl Outbox for InMemory {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        let bytes = messages.iter().map(|message| message.body.len()).sum();
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// An invocation as API Gateway makes it.
fn invocation(path: &str, body: &str) -> String {
    let signature = SharedSecret::parse(SECRET).map(|secret| secret.sign(body.as_bytes()).to_string());
    json!({
        "version": "2.0", "routeKey": "ANY /v1/{proxy+}", "rawPath": path, "rawQueryString": "",
        "headers": {
            "accept-encoding": "gzip,deflate", "content-type": "application/json", "content-length": body.len().to_string(),
            "host": "abc123.execute-api.eu-west-1.amazonaws.com", "user-agent": "Segment.io/1.0",
            "x-signature": signature.unwrap_or_default(), "x-amzn-trace-id": "Root=1-6740f0a0-0123456789abcdef01234567",
            "x-forwarded-for": "203.0.113.9", "x-forwarded-port": "443", "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc123", "domainName": "abc123.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "abc123",
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9", "userAgent": "Segment.io/1.0"},
            "requestId": "JKJaXmPLvHcESHA=", "routeKey": "ANY /v1/{proxy+}", "stage": "$default",
            "time": "24/Nov/2026:09:00:00 +0000", "timeEpoch": 1_795_510_800_000_u64,
        },
        "body": body, "isBase64Encoded": false,
    })
    .to_string()
}

/// Distinct events, as many as asked for.
fn events(count: usize) -> Vec<String> {
    let id = serde_json::from_str::<serde_json::Value>(TRACK)
        .ok()
        .and_then(|event| Some(event["messageId"].as_str()?.to_owned()));
    let id = id.unwrap_or_default();
    (0..count).map(|n| TRACK.trim().replace(&id, &format!("{id}-{n:04}"))).collect()
}

fn dispatch(criterion: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
    let settings = SettingsCache::new(Tree, Duration::from_hours(1));
    let outbox = InMemory::default();
    let metrics = Metrics::new("dispatch", "KoalaDestination").to(|_| {});
    let handle = |invocation: &str| {
        runtime.block_on(async {
            let request: ApiGatewayV2httpRequest = serde_json::from_str(invocation).unwrap_or_default();
            let response = answer(&request, "r-1", &settings, &outbox, OPTIONS, &metrics).await;
            assert_eq!(response.status_code, 200, "{response:?}");
            serde_json::to_vec(&response)
        })
    };
    for count in [1, 100] {
        let mut group = criterion.benchmark_group(format!("dispatch, {count} at once"));
        group.throughput(Throughput::Elements(count as u64));
        let events = events(count);
        let webhook = if count == 1 { events[0].clone() } else { format!("[{}]", events.join(",")) };
        let sdk =
            format!(r#"{{"batch":[{}],"writeKey":"wk-1","sentAt":"2026-11-24T09:00:00.000Z"}}"#, events.join(","));
        for (name, path, body) in [("webhook", "/v1/segment", &webhook), ("sdk", "/v1/batch", &sdk)] {
            let invocation = invocation(path, body);
            group.bench_with_input(BenchmarkId::from_parameter(name), &invocation, |bencher, invocation| {
                bencher.iter(|| handle(black_box(invocation)));
            });
        }
        let secret = SharedSecret::parse(SECRET);
        group.bench_with_input(BenchmarkId::from_parameter("floor"), &webhook, |bencher, body| {
            bencher.iter(|| {
                let body = black_box(body.as_bytes());
                let events = serde_json::from_slice::<&RawValue>(body);
                let elements = serde_json::from_slice::<Vec<&RawValue>>(body).map(|events| events.len());
                (events.map(|event| event.get().len()), elements, secret.as_ref().map(|secret| secret.sign(body)))
            });
        });
        group.finish();
    }
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
