//! A receiver of messages on loopback: Slack's incoming webhooks with their limits and rates, a webhook, or a source of Segment.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

/// What came to the receiver: a body, its headers, and when.
pub struct Received {
    pub body: Value,
    pub headers: HeaderMap,
    pub at: Instant,
}

/// A status, and a `Retry-After`.
pub type Scripted = (u16, Option<&'static str>);

/// A receiver on loopback, as Slack's incoming webhooks are documented
/// (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>): what is not as they want it is 400, more than one
/// request a second is 429 with Retry-After.
#[derive(Clone, Default)]
pub struct Receiver {
    pub received: Arc<Mutex<Vec<Received>>>,
    /// Answers in place of its own, the first first.
    pub answers: Arc<Mutex<Vec<Scripted>>>,
    /// When each request came, also one that was refused, and the status of its answer.
    pub asked: Arc<Mutex<Vec<(Instant, u16)>>>,
    pub holds_slack_s_rate: bool,
}

impl Receiver {
    pub async fn start(self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/services/{*hook}", post(take)).with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/services/T0/B0/hunter2")
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.received.lock().unwrap().iter().map(|it| it.body.clone()).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let at = Instant::now();
    let answer = answer_of(&receiver, headers, &body);
    receiver.asked.lock().unwrap().push((at, answer.status().as_u16()));
    answer
}

fn answer_of(receiver: &Receiver, headers: HeaderMap, body: &[u8]) -> Response {
    let scripted = {
        let mut answers = receiver.answers.lock().unwrap();
        (!answers.is_empty()).then(|| answers.remove(0))
    };
    if let Some((status, retry_after)) = scripted {
        let status = StatusCode::from_u16(status).unwrap();
        return match retry_after {
            Some(seconds) => (status, [("retry-after", seconds)]).into_response(),
            // As some do, to be of help.
            None if status == StatusCode::UNAUTHORIZED => {
                (status, "Invalid write key: hunter2writekey").into_response()
            }
            None => status.into_response(),
        };
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return refuse("invalid_payload") };
    let mut taken = receiver.received.lock().unwrap();
    if receiver.holds_slack_s_rate {
        if let Some(problem) = problem_of_slack(&body) {
            return refuse(problem);
        }
        if taken.last().is_some_and(|last| last.at.elapsed() < Duration::from_secs(1)) {
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "rate_limited").into_response();
        }
    }
    taken.push(Received { body, headers, at: Instant::now() });
    "ok".into_response()
}

fn refuse(why: &'static str) -> Response {
    (StatusCode::BAD_REQUEST, why).into_response()
}

/// Limits of Block Kit (<https://docs.slack.dev/reference/block-kit/blocks>).
fn problem_of_slack(body: &Value) -> Option<&'static str> {
    // Slack takes a text without blocks too.
    let blocks = body["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_text = |text: &Value, most: usize| {
        let length = text["text"].as_str().map_or(0, |text| text.chars().count());
        text["type"] == "mrkdwn" && (1..=most).contains(&length)
    };
    let is_right = |block: &Value| match block["type"].as_str() {
        Some("section") => of_text(&block["text"], 3000),
        Some("context") => block["elements"]
            .as_array()
            .is_some_and(|all| (1..=10).contains(&all.len()) && all.iter().all(|it| of_text(it, 2000))),
        _ => false,
    };
    let text = body["text"].as_str().unwrap_or_default();
    if blocks.len() > 50 || !blocks.iter().all(is_right) {
        Some("invalid_blocks")
    } else if text.is_empty() || text.chars().count() > 40_000 {
        Some("no_text")
    } else {
        None
    }
}
