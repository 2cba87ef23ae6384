//! An HTTP event of API Gateway → the answer: never a panic, always JSON with a status that Segment knows what to do with, and
//! never more memory than a small multiple of the body. The limits are those of production.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use koala_destination::intake::{IntakeOptions, Outbox, OutboxError};
use koala_destination::json::without_lone_surrogates;
use koala_destination::lambda::dispatch::answer;
use koala_destination::message::{Message, OutgoingMessage, Queue};
use koala_destination::metrics::Metrics;
use koala_destination::segment::{Event, SharedSecret};
use koala_destination::settings::SettingsCache;
use koala_fuzz::{SECRET, Tree, WRITE_KEY, block_on, settings};
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What a request may cost beside eight times its body, which gzip may unpack to the largest that is taken.
const CONSTANT: usize = 4 * 1024 * 1024;

const OPTIONS: IntakeOptions = IntakeOptions {
    answer_within: Duration::from_secs(60),
    max_body_bytes: 1024 * 1024,
    koala_pixel_installed: false,
    forward_ip: true,
    consent_categories: &[],
};
const PATHS: [&str; 6] = ["/v1/segment", "/v1/batch", "/v1/track", "/v1/i", "/v1/page", "/v1/x"];

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::new("dispatch", "KoalaDestination").to(|_| {}));
static SETTINGS: LazyLock<SettingsCache<Tree>> = LazyLock::new(settings);

/// What stands in the queues is what the consumers can read.
struct Checked;

impl Outbox for Checked {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        for message in messages {
            assert!(message.body.len() < 1024 * 1024);
            match message.queue {
                Queue::Function(_) => {
                    let read = Message::parse(&message.body).expect("a message");
                    assert_eq!(without_lone_surrogates(read.event.get()), read.event.get(), "all text is Unicode");
                    assert!(
                        !Event::from_json(read.event.get()).expect("an event").message_id().is_empty()
                            || read.message_id.is_some()
                    );
                }
                Queue::Rejected => {
                    drop(serde_json::from_str::<&serde_json::value::RawValue>(&message.body).expect("JSON"))
                }
            }
        }
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let [choice, body @ ..] = data else { return };
    // The whole invocation is hostile, or only the request's body, with valid credentials.
    let invocation = if choice & 0x80 != 0 {
        body.to_vec()
    } else {
        let signature = SharedSecret::parse(SECRET).expect("a secret").sign(body).to_string();
        let mut headers = json!({"x-signature": signature, "authorization": "Basic d2s6"});
        if choice & 0x40 != 0 {
            headers["content-encoding"] = json!("gzip");
        }
        let text = std::str::from_utf8(body);
        json!({
            "rawPath": PATHS[usize::from(choice & 0x0f) % PATHS.len()], "headers": headers,
            "requestContext": {"http": {"method": "POST", "sourceIp": "203.0.113.9"}},
            "body": text.map_or_else(|_| base64(body), str::to_owned), "isBase64Encoded": text.is_err(),
        })
        .to_string()
        .into_bytes()
    };
    let Ok(request) = serde_json::from_slice::<ApiGatewayV2httpRequest>(&invocation) else { return };
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let response = block_on(answer(&request, "r", &SETTINGS, &Checked, OPTIONS, &METRICS));
    let peak = MEMORY.peak_usage().saturating_sub(before);
    let unpacked = if request.headers.contains_key("content-encoding") { OPTIONS.max_body_bytes } else { body.len() };
    assert!(peak < 8 * unpacked + CONSTANT, "{peak} bytes for {unpacked}");
    assert!(matches!(response.status_code, 200 | 204 | 400 | 401 | 404 | 405 | 413 | 415), "{response:?}");
    let Some(Body::Text(body)) = response.body else { panic!("no text") };
    assert!(!body.contains(WRITE_KEY) || response.status_code != 401);
    if response.status_code != 204 {
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        assert!(answer["accepted"].is_u64() || answer["error"]["code"].is_string(), "{answer}");
    }
});

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |group: u32, at: u32| char::from(DIGITS[(group >> (18 - 6 * at) & 63) as usize]);
    let encode = |chunk: &[u8]| -> String {
        let group = chunk.iter().chain([&0; 2]).take(3).fold(0, |group, byte| group << 8 | u32::from(*byte));
        (0..4).map(|at| if at as usize <= chunk.len() { digit(group, at) } else { '=' }).collect()
    };
    bytes.chunks(3).map(encode).collect()
}
