//! HTTP: the intake routes, the collector's routes and the API, on one port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::LengthLimitError;
use koala_destination::intake::{self, Answer, IntakeOptions};
use koala_destination::koala::Email;
use koala_destination::segment::Action;
use koala_destination::settings::{ParameterDirectory, SettingsCache};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use crate::access::{self, Access};
use crate::collector::{self, Refusal};
use crate::export;
use crate::page;
use crate::store::StoreError;
use crate::store::companies::{Companies, Company};
use crate::store::queues::Queues;
use crate::store::visitors::{Filter, TimelineEntry, Visitor, Visitors};

/// The most bytes of a batch request: 30 entries of the largest events, three times.
const LARGEST_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How long a body may take. Segment waits no longer than five seconds for the answer to one.
const LONGEST_BODY: Duration = Duration::from_secs(10);
/// The most visitors or timeline entries in one answer.
const LONGEST_PAGE: u32 = 1000;

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
}

/// The routes.
pub fn router(gateway: Gateway) -> Router {
    let seen = middleware::from_fn_with_state(gateway.access.clone(), access::check);
    let people = Router::new()
        .route("/api/visitors", get(list_visitors))
        .route("/api/visitors/{id}", get(show_visitor))
        .route("/api/companies", get(list_companies))
        .route("/api/companies/{key}", get(show_company))
        .route("/api/companies.csv", get(export::companies))
        .route("/api/visitors.csv", get(export::visitors))
        .route("/api/v1/deletion-requests", post(delete_person))
        .route("/api/queues", get(count_queues))
        .route("/api/dead-letters", get(list_dead_letters))
        .route("/api/redrive", post(redrive))
        .merge(page::router())
        .layer(seen);
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
    answer(intake::handle(&request, &gateway.settings, &gateway.queues, gateway.options).await)
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
    if headers.get(USER_AGENT).is_none_or(reqwest::header::HeaderValue::is_empty) {
        return Err(Refusal::NoUserAgent.into());
    }
    is_our_key(&gateway, &key).await?;
    let body = to_bytes(body, LARGEST_BATCH_BYTES).await.map_err(|error| Refusal::Form(error.to_string()))?;
    gateway.visitors.keep(collector::read(&body)?).await?;
    Ok(axum::Json(json!({"ok": true})).into_response())
}

async fn collect_accounts(
    State(gateway): State<Gateway>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, CollectorError> {
    if headers.get(USER_AGENT).is_none_or(reqwest::header::HeaderValue::is_empty) {
        return Err(Refusal::NoUserAgent.into());
    }
    is_our_key(&gateway, &key).await?;
    let body = to_bytes(body, LARGEST_BATCH_BYTES).await.map_err(|error| Refusal::Form(error.to_string()))?;
    gateway.companies.keep(collector::read_accounts(&body)?).await?;
    Ok(axum::Json(json!({"ok": true})).into_response())
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

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    offset: u32,
    #[serde(default = "default_limit")]
    limit: u32,
}

fn default_limit() -> u32 {
    100
}

#[derive(Serialize)]
struct VisitorList {
    total: i64,
    visitors: Vec<Visitor>,
}

#[derive(Serialize)]
struct VisitorPage {
    #[serde(flatten)]
    visitor: Visitor,
    timeline: Vec<TimelineEntry>,
}

#[derive(Serialize)]
struct CompanyPage {
    #[serde(flatten)]
    company: Company,
    people: Vec<Visitor>,
}

async fn list_visitors(State(gateway): State<Gateway>, Query(page): Query<Page>) -> Result<Response, ApiError> {
    let (visitors, total) = gateway.visitors.list(Filter::default(), page.offset, page.limit.min(LONGEST_PAGE)).await?;
    Ok(axum::Json(VisitorList { total, visitors }).into_response())
}

async fn show_visitor(
    State(gateway): State<Gateway>,
    Path(id): Path<i64>,
    Query(page): Query<Page>,
) -> Result<Response, ApiError> {
    match gateway.visitors.timeline(id, page.limit.min(LONGEST_PAGE)).await? {
        Some((visitor, timeline)) => Ok(axum::Json(VisitorPage { visitor, timeline }).into_response()),
        None => Err(ApiError::NoSuchVisitor(id)),
    }
}

async fn list_companies(State(gateway): State<Gateway>, Query(page): Query<Page>) -> Result<Response, ApiError> {
    let (companies, total) = gateway.companies.list(page.offset, page.limit.min(LONGEST_PAGE)).await?;
    Ok(axum::Json(json!({"total": total, "companies": companies})).into_response())
}

async fn show_company(
    State(gateway): State<Gateway>,
    Path(key): Path<String>,
    Query(page): Query<Page>,
) -> Result<Response, ApiError> {
    match gateway.companies.show(key.to_lowercase(), page.limit.min(LONGEST_PAGE)).await? {
        Some((company, people)) => Ok(axum::Json(CompanyPage { company, people }).into_response()),
        None => Err(ApiError::NoSuchCompany(key)),
    }
}

async fn count_queues(State(gateway): State<Gateway>) -> Result<Response, ApiError> {
    Ok(axum::Json(gateway.queues.counts().await?).into_response())
}

async fn list_dead_letters(State(gateway): State<Gateway>, Query(page): Query<Page>) -> Result<Response, ApiError> {
    let letters = gateway.queues.dead_letters(page.limit.min(LONGEST_PAGE)).await?;
    Ok(axum::Json(json!({"dead_letters": letters})).into_response())
}

#[derive(Deserialize)]
struct Redrive {
    queue: Option<Action>,
}

/// Only as JSON, which a page of another origin cannot send without being asked about first.
async fn redrive(
    State(gateway): State<Gateway>,
    body: Result<axum::Json<Redrive>, JsonRejection>,
) -> Result<Response, ApiError> {
    let axum::Json(Redrive { queue }) = body.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let redriven = gateway.queues.redrive(queue).await?;
    Ok(axum::Json(json!({"redriven": redriven})).into_response())
}

#[derive(Deserialize)]
struct DeletionRequest {
    email: String,
}

/// Koala's route for it (`POST /api/v1/deletion-requests`). Only as JSON, as a redrive is.
async fn delete_person(
    State(gateway): State<Gateway>,
    body: Result<axum::Json<DeletionRequest>, JsonRejection>,
) -> Result<Response, ApiError> {
    let axum::Json(DeletionRequest { email }) = body.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let email =
        Email::parse(&email).ok_or_else(|| ApiError::BadRequest("email must be an email address".to_owned()))?;
    let receipt = gateway.visitors.delete(&email).await?;
    Ok(axum::Json(receipt).into_response())
}

/// What the API answers when it cannot: `{"error":{"code","message"}}`, as intake does.
pub enum ApiError {
    NoSuchVisitor(i64),
    NoSuchCompany(String),
    BadRequest(String),
    Store(StoreError),
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::NoSuchVisitor(id) => (StatusCode::NOT_FOUND, "not_found", format!("no visitor has the id {id}")),
            Self::NoSuchCompany(key) => (StatusCode::NOT_FOUND, "not_found", format!("no company has the key {key}")),
            Self::BadRequest(reason) => (StatusCode::BAD_REQUEST, "bad_request", reason),
            Self::Store(error) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", error.to_string()),
        };
        (status, axum::Json(json!({"error": {"code": code, "message": message}}))).into_response()
    }
}
