//! Intake through its door: a request, the answer to it, and what then stands in the queues.
#![allow(clippy::unwrap_used)]

mod credentials;
mod events;
mod faults;
mod size;
mod skipped;

use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue};
use koala_destination::clock;
use koala_destination::intake::{self, IntakeOptions, Outbox, OutboxError, Request};
use koala_destination::message::OutgoingMessage;
use koala_destination::segment::SharedSecret;
use koala_destination::settings::{Parameter, ParameterSource, SettingsCache, SourceError};
use serde_json::{Value, json};

const SECRET: &str = "the secret";
const OPTIONS: IntakeOptions = IntakeOptions {
    answer_within: Duration::from_secs(5),
    max_body_bytes: 1024 * 1024,
    koala_pixel_installed: false,
    forward_ip: true,
    consent_categories: &[],
};

struct Tree(&'static [(&'static str, &'static str)]);

impl ParameterSource for Tree {
    async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
        let parameter = |(name, value): &(&str, &str)| Parameter::new(*name, *value);
        Ok(self.0.iter().map(parameter).collect())
    }
}

/// Every event is taken, so that what intake makes of it can be seen.
const TREE: Tree = Tree(&[
    ("public-api-key", "pk_1"),
    ("webhook-secret", "the secret\nthe next secret"),
    ("bearer-token", "token-1\ntoken-2"),
    ("write-keys", "wk-old\nwk-new"),
    ("mappings/all", r#"{"trigger":"type != \"none\"","action":"track-event"}"#),
]);

#[derive(Default)]
struct Kept(Mutex<Vec<String>>);

impl Outbox for Kept {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        self.0.lock().unwrap().extend(messages.iter().map(|message| message.body.clone()));
        Ok(())
    }
}

/// What came of a request.
struct Answered {
    status: u16,
    body: Value,
    headers: Vec<(&'static str, &'static str)>,
    messages: Vec<String>,
}

impl Answered {
    fn code(&self) -> (u16, &str) {
        (self.status, self.body["error"]["code"].as_str().unwrap_or_default())
    }

    fn events(&self) -> Vec<Value> {
        let event = |message: &String| serde_json::from_str::<Value>(message).unwrap()["event"].take();
        self.messages.iter().map(event).collect()
    }
}

async fn send(method: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answered {
    send_to(TREE, OPTIONS, method, path, headers, body.as_ref()).await
}

async fn send_to(
    tree: Tree,
    options: IntakeOptions,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answered {
    let header = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    let request =
        Request { id: "r-1", trace_id: "t-1", method, path, headers: &headers, source_ip: Some("203.0.113.9"), body };
    let kept = Kept::default();
    let settings = SettingsCache::new(tree, Duration::from_mins(5));
    let answer = intake::handle(&request, &settings, &kept, options).await;
    Answered {
        status: answer.status,
        body: serde_json::from_str(&answer.body).unwrap_or_default(),
        headers: answer.headers.to_vec(),
        messages: kept.0.into_inner().unwrap(),
    }
}

/// As an SDK with a write key in the body.
async fn from_sdk(path: &str, body: &Value) -> Answered {
    let mut body = body.clone();
    body["writeKey"] = json!("wk-new");
    send("POST", path, &[], body.to_string()).await
}

fn signed(body: &str) -> String {
    SharedSecret::parse(SECRET).unwrap().sign(body.as_bytes()).to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn basic(user: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user))
}
