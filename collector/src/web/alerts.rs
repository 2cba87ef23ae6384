//! Alerts in the API: what is configured, what was told, a test, and dead letters retried.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::api_error::ApiError;
use super::parameters::Parameters;
use super::state::Web;

/// The most messages in one answer.
const MOST_MESSAGES: u32 = 1000;

#[derive(Deserialize)]
pub struct MessagesQuery {
    #[serde(default = "default_limit")]
    limit: u32,
}

fn default_limit() -> u32 {
    100
}

/// `GET /api/alerts`
pub async fn list(
    State(web): State<Web>,
    Parameters(MessagesQuery { limit }): Parameters<MessagesQuery>,
) -> Result<Response, ApiError> {
    let desk = web.desk.as_ref().ok_or(ApiError::NoAlerts)?;
    let shown = desk.configured().await;
    let messages = desk.messages(limit.min(MOST_MESSAGES)).await?;
    let body = json!({"alerts": shown.alerts, "problems": shown.problems, "messages": messages});
    Ok(axum::Json(body).into_response())
}

#[derive(Deserialize)]
pub struct TestRequest {
    alert: String,
}

/// `POST /api/alerts/test`. Only as JSON, which a page of another origin cannot send without being asked about first.
pub async fn test(
    State(web): State<Web>,
    body: Result<axum::Json<TestRequest>, JsonRejection>,
) -> Result<Response, ApiError> {
    let axum::Json(TestRequest { alert }) = body.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let desk = web.desk.as_ref().ok_or(ApiError::NoAlerts)?;
    let tested = desk.test(&alert).await.ok_or(ApiError::NoSuchAlert(alert))?;
    Ok(axum::Json(json!({"tested": tested})).into_response())
}

#[derive(Deserialize)]
pub struct Nothing {}

/// `POST /api/alerts/redrive`, with `{}`. Only as JSON, as a test is.
pub async fn redrive(
    State(web): State<Web>,
    body: Result<axum::Json<Nothing>, JsonRejection>,
) -> Result<Response, ApiError> {
    let axum::Json(Nothing {}) = body.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let redriven = web.desk.as_ref().ok_or(ApiError::NoAlerts)?.redrive().await?;
    Ok(axum::Json(json!({"redriven": redriven})).into_response())
}
