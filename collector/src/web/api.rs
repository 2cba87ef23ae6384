//! The JSON API for people's programs: what the page shows, and what it can do.

use axum::extract::rejection::{JsonRejection, StringRejection};
use axum::extract::{Path, State};
use axum::handler::Handler;
use axum::http::header::ALLOW;
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter, any};
use axum::{Router, middleware};
use koala_destination::segment::{Function, Mapping};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api_error::ApiError;
use super::filter_query::{CompanyQuery, VisitorQuery};
use super::listed::Listed;
use super::parameters::{Parameters, refuse_unknown};
use super::state::Web;
use super::{alerts, decisions, deletions, export, history, visitor_export};
use crate::intent::{Count, IntentRule};
use crate::store::visitor::{TimelineEntry, Visitor, VisitorId};

/// The most visitors or timeline entries in one answer.
const LONGEST_PAGE: u32 = 1000;

/// The routes of the API.
pub fn router() -> Router<Web> {
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
        .route("/api/rejected-events", get(list_rejected_events))
        .route("/api/install", get(show_install))
        .route("/api/redrive", post(redrive))
        .route("/api/alerts", get(alerts::list))
        .route("/api/alerts/test", post(alerts::test))
        .route("/api/alerts/redrive", post(alerts::redrive))
        .route("/api/identities/split", post(decisions::split))
        .route("/api/identities/block", post(decisions::block))
        .route("/api/identities/attach", post(decisions::attach))
        .route("/api/visitors/{id}/export", get(visitor_export::export))
        .route("/api/v1/deletion-requests", post(deletions::request))
        .route("/api/v1/deletion-requests/{id}", get(deletions::show))
        .route("/api/history", get(history::list))
        .layer(middleware::from_fn(refuse_unknown))
        .route("/api/{*rest}", any(async || ApiError::NoSuchRoute))
}

/// A route that is read, and says so to whoever comes by another method.
fn get<H: Handler<T, Web>, T: 'static>(handler: H) -> MethodRouter<Web> {
    routing::get(handler).fallback(async || ([(ALLOW, "GET,HEAD")], ApiError::Method("GET")))
}

/// A route that something is sent to, and that says so.
fn post<H: Handler<T, Web>, T: 'static>(handler: H) -> MethodRouter<Web> {
    routing::post(handler).fallback(async || ([(ALLOW, "POST")], ApiError::Method("POST")))
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
    total: u64,
    visitors: Vec<Visitor>,
}

#[derive(Serialize)]
struct VisitorPage {
    #[serde(flatten)]
    visitor: Visitor,
    timeline: Vec<TimelineEntry>,
}

async fn list_visitors(
    State(web): State<Web>,
    Parameters(query): Parameters<VisitorQuery>,
    Parameters(page): Parameters<Page>,
) -> Result<Response, ApiError> {
    let filter = query.filter().map_err(ApiError::BadRequest)?;
    let (visitors, total) = web.store.list_visitors(filter, page.offset, page.limit.min(LONGEST_PAGE)).await?;
    Ok(axum::Json(VisitorList { total, visitors }).into_response())
}

async fn show_visitor(
    State(web): State<Web>,
    Path(id): Path<VisitorId>,
    Parameters(page): Parameters<Page>,
) -> Result<Response, ApiError> {
    match web.store.show_visitor(&id, page.limit.min(LONGEST_PAGE)).await? {
        Some((visitor, timeline)) => Ok(axum::Json(VisitorPage { visitor, timeline }).into_response()),
        None => Err(ApiError::NoSuchVisitor(id)),
    }
}

async fn list_companies(
    State(web): State<Web>,
    Parameters(query): Parameters<CompanyQuery>,
    Parameters(page): Parameters<Page>,
) -> Result<Response, ApiError> {
    let filter = query.filter().map_err(ApiError::BadRequest)?;
    let (companies, total) = web.store.list_companies(filter, page.offset, page.limit.min(LONGEST_PAGE)).await?;
    let companies = Listed::of(&*web.store, companies).await?;
    let excluded = web.store.excluded().await?;
    Ok(axum::Json(json!({"total": total, "excluded": excluded, "companies": companies})).into_response())
}

async fn show_company(
    State(web): State<Web>,
    Path(key): Path<String>,
    Parameters(page): Parameters<Page>,
) -> Result<Response, ApiError> {
    match web.company(&key, page.limit.min(LONGEST_PAGE)).await? {
        Some(company) => Ok(axum::Json(company).into_response()),
        None => Err(ApiError::NoSuchCompany(key)),
    }
}

async fn count_queues(State(web): State<Web>) -> Result<Response, ApiError> {
    Ok(axum::Json(web.pipeline.counts().await?).into_response())
}

async fn list_dead_letters(State(web): State<Web>, Parameters(page): Parameters<Page>) -> Result<Response, ApiError> {
    let letters = web.pipeline.dead_letters(page.limit.min(LONGEST_PAGE)).await?;
    Ok(axum::Json(json!({"dead_letters": letters})).into_response())
}

async fn list_rejected_events(
    State(web): State<Web>,
    Parameters(page): Parameters<Page>,
) -> Result<Response, ApiError> {
    let rejected = web.pipeline.rejected_events(page.limit.min(LONGEST_PAGE)).await?;
    Ok(axum::Json(json!({"rejected_events": rejected})).into_response())
}

async fn show_install(State(web): State<Web>) -> Result<Response, ApiError> {
    let install = web.pipeline.install().await?;
    let problems = web.pipeline.settings_problems().await;
    Ok(axum::Json(json!({"install": install, "settings_problems": problems})).into_response())
}

async fn show_deliveries(State(web): State<Web>) -> Result<Response, ApiError> {
    let (received, mappings) = web.pipeline.tallies().await?;
    Ok(axum::Json(json!({"received": received, "mappings": mappings})).into_response())
}

async fn list_mappings(State(web): State<Web>) -> Result<Response, ApiError> {
    let mappings = web.pipeline.mappings().await?;
    let (_, mut tallies) = web.pipeline.tallies().await?;
    let mapping = |mapping: &Mapping| {
        json!({
            "mapping": mapping.name(), "action": mapping.action().name(), "enabled": mapping.is_enabled(),
            "preset": mapping.is_preset(),
            "trigger": mapping.trigger().as_str(), "counts": tallies.remove(mapping.name()).unwrap_or_default(),
        })
    };
    let mappings: Vec<_> = mappings.iter().map(mapping).collect();
    Ok(axum::Json(json!({"mappings": mappings})).into_response())
}

async fn list_intent_rules(State(web): State<Web>) -> Result<Response, ApiError> {
    let rule = |rule: &IntentRule| {
        let mut json = json!({
            "rule": rule.name, "trigger": rule.trigger.as_str(), "score": rule.score,
            "half_life_days": rule.half_life_days,
        });
        if let Some(Count { at_least, within_days }) = rule.count {
            json["at_least"] = at_least.into();
            json["within_days"] = within_days.into();
        }
        json
    };
    let rules: Vec<_> = web.store.intent_rules().await?.iter().map(rule).collect();
    let looked_back = web.store.looked_back().await?;
    Ok(axum::Json(json!({"intent_rules": rules, "looked_back": looked_back})).into_response())
}

/// What would happen to the event that is the body, without sending it.
async fn preview(State(web): State<Web>, event: Result<String, StringRejection>) -> Result<Response, ApiError> {
    let event = event.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    Ok(axum::Json(web.pipeline.preview(&event).await?).into_response())
}

#[derive(Deserialize)]
struct Redrive {
    queue: Option<Function>,
}

/// Only as JSON, which a page of another origin cannot send without being asked about first.
async fn redrive(
    State(web): State<Web>,
    body: Result<axum::Json<Redrive>, JsonRejection>,
) -> Result<Response, ApiError> {
    let axum::Json(Redrive { queue }) = body.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let redriven = web.pipeline.redrive(queue).await?;
    Ok(axum::Json(json!({"redriven": redriven})).into_response())
}
