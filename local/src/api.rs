//! The JSON API for people's programs: what the page shows, and what it can do.

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use koala_destination::koala::Email;
use koala_destination::segment::{Action, Mapping};
use koala_destination::settings::{IntentRule, SettingsUnavailable};
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use crate::export;
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::visitors::{TimelineEntry, Visitor};
use crate::visitor_query::VisitorQuery;

/// The most visitors or timeline entries in one answer.
const LONGEST_PAGE: u32 = 1000;

/// The routes of the API.
pub fn router() -> Router<Gateway> {
    Router::new()
        .route("/api/visitors", get(list_visitors))
        .route("/api/visitors/{id}", get(show_visitor))
        .route("/api/companies", get(list_companies))
        .route("/api/companies/{key}", get(show_company))
        .route("/api/companies.csv", get(export::companies))
        .route("/api/visitors.csv", get(export::visitors))
        .route("/api/intent-rules", get(list_intent_rules))
        .route("/api/mappings", get(list_mappings))
        .route("/api/preview", post(preview))
        .route("/api/deliveries", get(show_deliveries))
        .route("/api/queues", get(count_queues))
        .route("/api/dead-letters", get(list_dead_letters))
        .route("/api/redrive", post(redrive))
        .route("/api/v1/deletion-requests", post(delete_person))
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

async fn list_visitors(
    State(gateway): State<Gateway>,
    Query(query): Query<VisitorQuery>,
    Query(page): Query<Page>,
) -> Result<Response, ApiError> {
    let filter = query.filter().map_err(ApiError::BadRequest)?;
    let (visitors, total) = gateway.visitors.list(filter, page.offset, page.limit.min(LONGEST_PAGE)).await?;
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
        Some(company) => Ok(axum::Json(company).into_response()),
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

async fn show_deliveries(State(gateway): State<Gateway>) -> Result<Response, ApiError> {
    let (received, mappings) = gateway.queues.tallies().await?;
    Ok(axum::Json(json!({"received": received, "mappings": mappings})).into_response())
}

async fn list_mappings(State(gateway): State<Gateway>) -> Result<Response, ApiError> {
    let settings = gateway.settings.current().await?;
    let (_, mut tallies) = gateway.queues.tallies().await?;
    let mapping = |mapping: &Mapping| {
        json!({
            "mapping": mapping.name(), "action": mapping.action().name(), "enabled": mapping.is_enabled(),
            "trigger": mapping.trigger().as_str(), "counts": tallies.remove(mapping.name()).unwrap_or_default(),
        })
    };
    let mappings: Vec<_> = settings.mappings().iter().map(mapping).collect();
    Ok(axum::Json(json!({"mappings": mappings})).into_response())
}

async fn list_intent_rules(State(gateway): State<Gateway>) -> Result<Response, ApiError> {
    let settings = gateway.settings.current().await?;
    let rule = |rule: &IntentRule| {
        json!({
            "rule": rule.name, "trigger": rule.trigger.as_str(), "score": rule.score,
            "half_life_days": rule.half_life_days,
        })
    };
    let rules: Vec<_> = settings.intent_rules().iter().map(rule).collect();
    let looked_back = gateway.companies.rules_looked_back().await?;
    Ok(axum::Json(json!({"intent_rules": rules, "looked_back": looked_back})).into_response())
}

/// What would happen to the event that is the body, without sending it.
async fn preview(State(gateway): State<Gateway>, event: String) -> Result<Response, ApiError> {
    let settings = gateway.settings.current().await?;
    Ok(axum::Json(gateway.previewer(&settings).preview(&event)).into_response())
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
#[derive(Debug, Error)]
pub enum ApiError {
    #[error("no visitor has the id {0}")]
    NoSuchVisitor(i64),
    #[error("no company has the key {0}")]
    NoSuchCompany(String),
    #[error("{0}")]
    BadRequest(String),
    #[error(transparent)]
    Settings(#[from] SettingsUnavailable),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Self::NoSuchVisitor(_) | Self::NoSuchCompany(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Settings(_) => (StatusCode::SERVICE_UNAVAILABLE, "settings_unavailable"),
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
        };
        (status, axum::Json(json!({"error": {"code": code, "message": self.to_string()}}))).into_response()
    }
}
