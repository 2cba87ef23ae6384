//! HTTP: the intake routes, the collector's, the API's and the page's, on one port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::LengthLimitError;
use koala_destination::intake::{self, Answer, IntakeOptions};
use koala_destination::koala::EntryOptions;
use koala_destination::settings::{ParameterDirectory, Settings, SettingsCache};
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use crate::access::{self, Access};
use crate::collector::{self, Refusal};
use crate::preview::outcome::Previewer;
use crate::store::StoreError;
use crate::store::companies::Companies;
use crate::store::queues::Queues;
use crate::store::visitors::Visitors;
use crate::{api, page};

/// The most bytes of a batch request: 30 entries of the largest events, three times.
const LARGEST_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How long a body may take. Segment waits no longer than five seconds for the answer to one.
const LONGEST_BODY: Duration = Duration::from_secs(10);

/// What the routes work with.
#[derive(Clone)]
pub struct Gateway {
    /// The parameters.
    pub settings: Arc<SettingsCache<ParameterDirectory>>,
    /// Where intake puts its messages.
    pub queues: Queues,
    /// What the collector has.
    pub visitors: Visitors,
    /// What the collector knows of their companies.
    pub companies: Companies,
    /// Who may see it.
    pub access: Access,
    /// What intake is told.
    pub options: IntakeOptions,
    /// What delivery is told of entries, for the preview.
    pub entry_options: Arc<EntryOptions>,
}

impl Gateway {
    /// What tells what would happen to an event.
    pub fn previewer<'s>(&'s self, settings: &'s Settings) -> Previewer<'s> {
        Previewer { settings, intake: self.options, entry: &self.entry_options }
    }
}

/// The routes.
pub fn router(gateway: Gateway) -> Router {
    let seen = middleware::from_fn_with_state(gateway.access.clone(), access::check);
    let people = api::router().merge(page::router()).layer(seen);
    Router::new()
        .route("/web/projects/{key}/batch", post(collect))
        .route("/web/projects/{key}/accounts/batch", post(collect_accounts))
        .route("/web/projects/{key}/auth", get(check_key))
        .merge(people)
        .fallback(take_in)
        .with_state(gateway)
}

/// Every other path is intake's, as in the AWS deployment.
async fn take_in(
    State(gateway): State<Gateway>,
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
    let source_ip = source.ip().to_canonical().to_string();
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

async fn collect(
    State(gateway): State<Gateway>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, CollectorError> {
    let body = body_from_client(&gateway, &key, &headers, body).await?;
    gateway.visitors.keep(collector::read(&body)?).await?;
    Ok(axum::Json(json!({"ok": true})).into_response())
}

async fn collect_accounts(
    State(gateway): State<Gateway>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, CollectorError> {
    let body = body_from_client(&gateway, &key, &headers, body).await?;
    gateway.companies.keep(collector::read_accounts(&body)?).await?;
    Ok(axum::Json(json!({"ok": true})).into_response())
}

/// The body of a request of Koala's protocol, from a client that says what it is and has our key.
async fn body_from_client(
    gateway: &Gateway,
    key: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, CollectorError> {
    if headers.get(USER_AGENT).is_none_or(HeaderValue::is_empty) {
        return Err(Refusal::NoUserAgent.into());
    }
    is_our_key(gateway, key).await?;
    Ok(to_bytes(body, LARGEST_BATCH_BYTES).await.map_err(|error| Refusal::Form(error.to_string()))?)
}

async fn check_key(State(gateway): State<Gateway>, Path(key): Path<String>) -> Result<Response, CollectorError> {
    is_our_key(&gateway, &key).await?;
    Ok(axum::Json(json!({"ok": true})).into_response())
}

async fn is_our_key(gateway: &Gateway, key: &str) -> Result<(), CollectorError> {
    let settings = gateway.settings.current().await.map_err(|error| CollectorError::Unavailable(error.to_string()))?;
    if settings.public_api_key().as_str() == key { Ok(()) } else { Err(Refusal::UnknownKey.into()) }
}

/// What the collector answers to a request that it does not take: `{"error","code"}`.
enum CollectorError {
    Refused(Refusal),
    Unavailable(String),
}

impl From<Refusal> for CollectorError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for CollectorError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl IntoResponse for CollectorError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => {
                let body = json!({"error": refusal.to_string(), "code": refusal.code()});
                (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
            }
            Self::Unavailable(reason) => {
                tracing::error!(reason, "the collector cannot keep a request");
                let body = json!({"error": "the collector cannot keep this now", "code": "unavailable"});
                (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
            }
        }
    }
}
