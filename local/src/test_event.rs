//! A test event through the intake of this set, signed as Segment would sign it.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use koala_collector::web::{TEST_EVENT_NAME, TEST_USER_ID, TestEvent};
use koala_destination::clock;
use koala_destination::intake::{self, IntakeOptions, Request, SkipReason};
use koala_destination::settings::{Credentials, SettingsCache, SettingsUnavailable};
use serde_json::json;
use uuid::Uuid;

use crate::parameter_directory::ParameterDirectory;
use crate::queue::Queues;

/// Sends it, and says what intake made of it.
///
/// # Errors
/// When there are no settings.
pub async fn send(
    settings: &SettingsCache<ParameterDirectory>,
    queues: &Queues,
    options: IntakeOptions,
) -> Result<TestEvent, SettingsUnavailable> {
    let id = Uuid::from_u128(fastrand::u128(..)).to_string();
    let message_id = format!("koala-test-{id}");
    let body = json!({
        "type": "track", "messageId": message_id, "userId": TEST_USER_ID, "event": TEST_EVENT_NAME,
        "timestamp": clock::now(), "properties": {}, "context": {"library": {"name": "koala test"}},
    })
    .to_string();
    let (path, headers) = with_credentials(settings.current().await?.credentials(), &body);
    let request = Request {
        id: &id,
        trace_id: &id,
        method: "POST",
        path,
        headers: &headers,
        source_ip: None,
        body: body.as_bytes(),
    };
    let answer = intake::handle(&request, settings, queues, options).await;
    let counts = answer.counts();
    let skipped = counts.skipped.iter().next();
    let accepted = counts.accepted;
    queues.count_request(counts.clone());
    Ok(match skipped {
        _ if accepted > 0 => TestEvent::Accepted { message_id },
        Some((reason, _)) => TestEvent::Stopped { reason: skipped_because(reason) },
        None => TestEvent::Stopped { reason: format!("intake answered {}: {}", answer.status, said(&answer.body)) },
    })
}

fn skipped_because(reason: SkipReason) -> String {
    format!("it was skipped: {}", reason.explanation())
}

/// The message of a refusal.
fn said(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    body["error"]["message"].as_str().unwrap_or_default().to_owned()
}

/// The route and the headers of a request with the first of the credentials that there are: the webhook's, else an SDK's.
fn with_credentials(credentials: &Credentials, body: &str) -> (&'static str, HeaderMap) {
    const WEBHOOK: &str = "/v1/segment";
    let header = |name: &'static str, value: String| {
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some(HeaderMap::from_iter([(HeaderName::from_static(name), value)]))
    };
    let text = |token: &[u8]| String::from_utf8_lossy(token).into_owned();
    let signed = credentials.webhook_secrets.first().map(|secret| secret.sign(body.as_bytes()).to_string());
    let bearer = credentials.bearer_tokens.first().map(|token| format!("Bearer {}", text(token.as_bytes())));
    let basic = credentials.write_keys.first().map(|key| {
        let pair = [key.as_bytes(), b":"].concat();
        format!("Basic {}", STANDARD.encode(pair))
    });
    let (path, headers) = match (signed, bearer, basic) {
        (Some(signature), _, _) => (WEBHOOK, header("x-signature", signature)),
        (None, Some(bearer), _) => (WEBHOOK, header("authorization", bearer)),
        (None, None, Some(basic)) => ("/v1/track", header("authorization", basic)),
        (None, None, None) => (WEBHOOK, None),
    };
    (path, headers.unwrap_or_default())
}
