//! A run of the pipeline itself, with an outbox and a collector that count.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use koala_destination::delivery::{
    DeadLetter, Delivery, DeliveryOptions, ReceivedMessage, Retried, SourceQueue, consume,
};
use koala_destination::environment;
use koala_destination::intake::{self, IntakeOptions, Outbox, OutboxError, Request};
use koala_destination::koala::{Collector, CollectorKind, Route, SendError};
use koala_destination::lambda::span::invocation;
use koala_destination::message::{OutgoingMessage, Queue};
use koala_destination::metrics::Metrics;
use koala_destination::segment::Function;
use koala_destination::settings::{Parameter, ParameterSource, PublicApiKey, SettingsCache, SourceError};
use serde_json::json;
use tokio::time::Instant;
use tracing::Instrument;

use super::usage::{CONCURRENT_REQUESTS, DELIVERY_SECONDS, DISPATCH_SECONDS, MEMORY_GB, Options, SQS_BATCH, Usage};

/// How many events the run has.
const EVENTS: usize = 20_000;
/// Where the functions' metrics go by default.
const NAMESPACE: &str = "KoalaDestination";
/// A request id of an invocation.
const INVOCATION: &str = "11111111-2222-3333-4444-555555555555";
/// The first delay of a message that failed, as on AWS.
const FIRST_DELAY_SECONDS: u64 = 30;
/// The bytes of all lines that were logged.
static LOGGED: AtomicUsize = AtomicUsize::new(0);
/// What Lambda and API Gateway log by themselves.
const LAMBDA_LINES: usize = 380;
const ACCESS_LINE: usize = 210;

struct Tree;

impl ParameterSource for Tree {
    async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
        let tree = [("public-api-key", "pk_cost"), ("bearer-token", "token")];
        Ok(tree.map(|(name, value)| Parameter::new(name, value)).into())
    }
}

#[derive(Default)]
struct Queues {
    messages: Mutex<[Vec<String>; 2]>,
    calls: AtomicUsize,
}

impl Outbox for Queues {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        let mut queues = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        for (queue, function) in queues.iter_mut().zip(Function::ALL) {
            let of_function = messages.iter().filter(|message| message.queue == Queue::Function(function));
            let before = queue.len();
            queue.extend(of_function.map(|message| message.body.clone()));
            self.calls.fetch_add((queue.len() - before).div_ceil(10), Ordering::Relaxed);
        }
        Ok(())
    }
}

impl SourceQueue for Queues {
    async fn add_dead_letters(&self, _: &[DeadLetter<'_>]) -> std::collections::HashSet<String> {
        std::collections::HashSet::new()
    }

    async fn retry(&self, _: &[Retried<'_>]) {}

    async fn delete(&self, _: &[ReceivedMessage<'_>]) {}
}

#[derive(Default)]
struct Counting {
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

impl Collector for &Counting {
    async fn send(&self, _: &PublicApiKey, _: Route, body: Bytes) -> Result<(), SendError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(body.len(), Ordering::Relaxed);
        Ok(())
    }
}

struct CountedLog;

impl Write for CountedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One event of 1.5 KB of a visitor; every other one is an identify.
fn event(number: usize, visitor: usize) -> String {
    let kind = if number.is_multiple_of(2) { "track" } else { "identify" };
    let filler = "x".repeat(1040);
    let (properties, traits) = if kind == "track" { (Some(&filler), None) } else { (None, Some(&filler)) };
    json!({
        "type": kind, "event": "Report Exported", "messageId": format!("m-{number:010}"), "userId": format!("u-{visitor:08}"),
        "timestamp": "2026-11-20T09:00:00.000Z", "receivedAt": "2026-11-20T09:00:01.000Z",
        "properties": {"email": format!("v{visitor}@example.com"), "more": properties},
        "traits": {"email": format!("v{visitor}@example.com"), "plan": "team", "more": traits},
        "context": {"ip": "203.0.113.9", "library": {"name": "analytics-node", "version": "3.1.0"}},
    })
    .to_string()
}

/// What an event took, in a run of the pipeline.
#[allow(clippy::cast_precision_loss)]
pub async fn usage(options: &Options) -> Result<Usage> {
    let lines = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(true).with_span_list(false);
    let lines = lines.with_max_level(tracing::Level::INFO).with_writer(|| CountedLog).finish();
    let _counted = tracing::subscriber::set_default(lines);
    let count_metrics: fn(&str) = |line| {
        LOGGED.fetch_add(line.len() + 1, Ordering::Relaxed);
    };
    let (intake_options, delivery_options) = environment::read(
        |_| None,
        |variables| {
            (
                IntakeOptions::read(variables),
                DeliveryOptions::read(variables, FIRST_DELAY_SECONDS, CollectorKind::Koala),
            )
        },
    )?;
    let settings = Arc::new(SettingsCache::new(Tree, Duration::from_hours(1)));
    let queues = Queues::default();
    let metrics = Metrics::new("dispatch", NAMESPACE).to(count_metrics);

    let headers = [("authorization", "Bearer token"), ("content-type", "application/json")];
    let headers = headers
        .map(|(name, value)| (axum::http::HeaderName::from_static(name), axum::http::HeaderValue::from_static(value)));
    let headers = headers.into_iter().collect();
    // A visitor's events come one after the other, half of them for each of the two functions.
    let per_visitor = usize::try_from(options.events_per_visitor)? * 2;
    let events: Vec<String> = (0..EVENTS).map(|number| event(number, number / per_visitor)).collect();
    let (mut requests, mut logs) = (0_usize, 0);
    for events in events.chunks(usize::try_from(options.events_per_request)?) {
        let body = format!("[{}]", events.join(","));
        let id = "JKJaXmPLvHcESHA=";
        let trace_id = "1-6923f0a0-1a2b3c4d5e6f708192a3b4c5";
        let request = Request {
            id,
            trace_id,
            method: "POST",
            path: "/v1/segment",
            headers: &headers,
            source_ip: None,
            body: body.as_bytes(),
        };
        let intake_options = IntakeOptions { max_body_bytes: 8 * 1024 * 1024, ..intake_options };
        let invocation = invocation(INVOCATION);
        let answer = intake::handle(&request, &settings, &queues, intake_options).instrument(invocation).await;
        ensure!(answer.status == 200, "{}", answer.body);
        metrics.write(&answer, id, settings.freshness());
        requests += 1;
        logs += LAMBDA_LINES + ACCESS_LINE;
    }

    let collector = Counting::default();
    let (mut batches, mut seconds) = (0_usize, 0.0);
    let messages = std::mem::take(&mut *queues.messages.lock().unwrap_or_else(PoisonError::into_inner));
    for (messages, function) in messages.iter().zip(Function::ALL) {
        let delivery = Delivery::new(function, Arc::clone(&settings), &collector, delivery_options.clone());
        let metrics = Metrics::new(function.name(), NAMESPACE).to(count_metrics);
        for messages in messages.chunks(100) {
            let received: Vec<ReceivedMessage<'_>> =
                messages.iter().map(|body| ReceivedMessage { id: "1", receipt: "1", body, receive_count: 1 }).collect();
            let deadline = Instant::now() + Duration::from_secs(30);
            let done = consume(&delivery, &queues, &received, deadline).instrument(invocation(INVOCATION)).await;
            ensure!(done.counts.delivered == messages.len(), "{:?}", done.counts);
            metrics.write(&done.counts, INVOCATION, settings.freshness());
            let rounds = (done.counts.requests.latencies.len() as f64 / CONCURRENT_REQUESTS).ceil();
            seconds += DELIVERY_SECONDS + rounds * f64::from(options.koala_milliseconds) / 1000.0;
            batches += 1;
            logs += LAMBDA_LINES;
        }
    }
    let per_event = |count: usize| count as f64 / EVENTS as f64;
    Ok(Usage {
        api_requests: per_event(requests),
        sqs_calls: per_event(queues.calls.load(Ordering::Relaxed)) + 2.0 / SQS_BATCH,
        batches: per_event(batches),
        koala_requests: per_event(collector.requests.load(Ordering::Relaxed)),
        gb_seconds: (requests as f64 * DISPATCH_SECONDS + seconds) * MEMORY_GB / EVENTS as f64,
        log_bytes: per_event(logs + LOGGED.load(Ordering::Relaxed)),
        sent_bytes: per_event(collector.bytes.load(Ordering::Relaxed)),
    })
}
