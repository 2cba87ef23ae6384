//! The routes of Koala's protocol.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::{ALLOW, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use koala_destination::json::remove_ip_addresses;
use koala_destination::koala::COLLECTOR_TOKEN_HEADER;
use serde_json::json;

use super::keys::{Keys, KeysUnavailable};
use super::refusal::Refusal;
use super::{accounts, batch};
use crate::networks::Networks;
use crate::store::{Store, StoreError};

/// The most bytes of a batch request: three arrays of 30 entries, each of an event of 32 KiB, are 2.8 MiB; the rest is for what is
/// written around them.
const LARGEST_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What guessing the companies of a request may take, whatever the number of its addresses.
const LONGEST_GUESSING: Duration = Duration::from_secs(1);

/// What the routes work with.
#[derive(Clone)]
struct Collector {
    store: Arc<dyn Store>,
    keys: Arc<dyn Keys>,
    keep_ip: bool,
    networks: Option<Arc<Networks>>,
}

/// The routes: entries, companies, and whether a key is good.
pub fn router(store: Arc<dyn Store>, keys: Arc<dyn Keys>, keep_ip: bool) -> Router {
    router_with(store, keys, keep_ip, None)
}

/// The same with what tells whose network an address is of.
pub fn router_with(
    store: Arc<dyn Store>,
    keys: Arc<dyn Keys>,
    keep_ip: bool,
    networks: Option<Arc<Networks>>,
) -> Router {
    Router::new()
        .route("/web/projects/{key}/batch", post(collect).fallback(async || CollectorError::Method("POST")))
        .route(
            "/web/projects/{key}/accounts/batch",
            post(collect_accounts).fallback(async || CollectorError::Method("POST")),
        )
        .route("/web/projects/{key}/auth", get(check_key).fallback(async || CollectorError::Method("GET")))
        .with_state(Collector { store, keys, keep_ip, networks })
}

async fn collect(
    State(collector): State<Collector>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, CollectorError> {
    let body = body_from_client(&*collector.keys, &key, &headers, body).await?;
    let mut batch = batch::read(&body)?;
    if !is_of_own_handlers(&*collector.keys, &headers).await? {
        batch.forget_arrival();
    }
    if let Some(networks) = &collector.networks {
        networks.guess_companies(&mut batch, LONGEST_GUESSING).await;
    }
    if !collector.keep_ip {
        batch.forget_addresses();
    }
    collector.store.ingest(batch).await?;
    Ok(axum::Json(json!({"ok": true})).into_response())
}

async fn is_of_own_handlers(keys: &dyn Keys, headers: &HeaderMap) -> Result<bool, CollectorError> {
    match token(headers) {
        Some(token) => Ok(keys.is_of_own_handlers(token).await?),
        None => Ok(false),
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(COLLECTOR_TOKEN_HEADER).and_then(|value| value.to_str().ok())
}

async fn collect_accounts(
    State(collector): State<Collector>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, CollectorError> {
    let body = body_from_client(&*collector.keys, &key, &headers, body).await?;
    let mut accounts = accounts::read_accounts(&body)?;
    if !collector.keep_ip {
        for (_, traits) in &mut accounts {
            remove_ip_addresses(traits);
        }
    }
    collector.store.ingest_accounts(accounts).await?;
    Ok(axum::Json(json!({"ok": true})).into_response())
}

/// The body of a request of Koala's protocol, from a client that says what it is and has our key.
async fn body_from_client(
    keys: &dyn Keys,
    key: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, CollectorError> {
    if headers.get(USER_AGENT).is_none_or(HeaderValue::is_empty) {
        return Err(Refusal::NoUserAgent.into());
    }
    is_our_key(keys, key, headers).await?;
    Ok(to_bytes(body, LARGEST_BATCH_BYTES).await.map_err(|error| Refusal::Form(error.to_string()))?)
}

async fn check_key(
    State(collector): State<Collector>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<Response, CollectorError> {
    is_our_key(&*collector.keys, &key, &headers).await?;
    Ok(axum::Json(json!({"ok": true})).into_response())
}

async fn is_our_key(keys: &dyn Keys, key: &str, headers: &HeaderMap) -> Result<(), CollectorError> {
    if !keys.admits(token(headers)).await? {
        return Err(Refusal::NotAdmitted.into());
    }
    if keys.knows(key).await? { Ok(()) } else { Err(Refusal::UnknownKey.into()) }
}

/// What the collector answers to a request that it does not take: `{"error","code"}`.
enum CollectorError {
    Refused(Refusal),
    /// The route has another method alone.
    Method(&'static str),
    Unavailable(String),
}

impl From<Refusal> for CollectorError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<KeysUnavailable> for CollectorError {
    fn from(error: KeysUnavailable) -> Self {
        Self::Unavailable(error.to_string())
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
                (refusal.status(), axum::Json(body)).into_response()
            }
            Self::Method(method) => {
                let error = format!("method not allowed; use {method}");
                let body = json!({"error": error, "code": "method_not_allowed"});
                (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, method)], axum::Json(body)).into_response()
            }
            Self::Unavailable(reason) => {
                tracing::error!(reason, "the collector cannot keep a request");
                let body = json!({"error": "the collector cannot keep this now", "code": "unavailable"});
                (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
            }
        }
    }
}
