//! HTTP: the intake routes beside the collector's, on one port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use koala_destination::intake::{self, Answer, IntakeOptions};
use koala_destination::settings::{ParameterDirectory, SettingsCache};
use tokio::time::timeout;
use uuid::Uuid;

use crate::forwarded;
use crate::queue::Queues;

/// How long a body may take. Segment waits no longer than five seconds for the answer to one.
const LONGEST_BODY: Duration = Duration::from_secs(10);

/// What intake works with.
#[derive(Clone)]
pub struct Intake {
    /// The parameters.
    pub settings: Arc<SettingsCache<ParameterDirectory>>,
    /// Where the messages go.
    pub queues: Queues,
    /// What it is told.
    pub options: IntakeOptions,
    /// Whether a proxy before the set is trusted to say whom a request comes from.
    pub trust_forwarded_for: bool,
}

/// The collector's routes, and intake under every other path.
pub fn router(intake: Intake, collector: Router) -> Router {
    Router::new().fallback(take_in).with_state(intake).merge(collector)
}

/// Every other path is intake's, as in the AWS deployment.
async fn take_in(
    State(gateway): State<Intake>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let limit = gateway.options.max_body_bytes;
    if let Some(declared) = declared_length(&head.headers)
        && declared > limit
    {
        return answer(Answer::body_too_large(declared, limit));
    }
    let body = match timeout(LONGEST_BODY, to_bytes(body, limit)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_too_large(&error) => return answer(Answer::body_too_large(limit + 1, limit)),
        Ok(Err(_)) | Err(_) => return answer(Answer::body_not_whole()),
    };
    let forwarded = gateway.trust_forwarded_for.then(|| forwarded::client(&head.headers)).flatten();
    let source_ip = forwarded.unwrap_or(source.ip()).to_canonical().to_string();
    let id = Uuid::from_u128(fastrand::u128(..)).to_string();
    let request = intake::Request {
        id: &id,
        trace_id: &id,
        method: head.method.as_str(),
        path: head.uri.path(),
        headers: &head.headers,
        source_ip: Some(&source_ip),
        body: &body,
    };
    let taken = intake::handle(&request, &gateway.settings, &gateway.queues, gateway.options).await;
    gateway.queues.count_request(taken.counts());
    answer(taken)
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get("content-length")?.to_str().ok()?.parse().ok()
}

fn answer(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    response.headers_mut().remove(CONTENT_TYPE);
    for (name, value) in answer.headers {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
