//! What people did, in the API: who was deleted, which ids were split off, joined or blocked, when, and by which token.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::api_error::ApiError;
use super::parameters::Parameters;
use super::state::Web;
use crate::store::StoreError;
use crate::store::history::{HistoryCursor, HistoryEntry};

/// The most entries in one answer.
const MOST_ENTRIES: u32 = 1000;

/// Which entries.
#[derive(Deserialize)]
pub struct HistoryQuery {
    #[serde(default)]
    before: String,
    #[serde(default = "default_limit")]
    limit: u32,
}

fn default_limit() -> u32 {
    100
}

/// The entries behind a place, and the place behind which there are more.
pub async fn entries(
    web: &Web,
    behind: Option<HistoryCursor>,
    limit: u32,
) -> Result<(Vec<HistoryEntry>, Option<HistoryCursor>), StoreError> {
    let mut entries = web.store.history(behind, limit.saturating_add(1)).await?;
    let is_more = u32::try_from(entries.len()).is_ok_and(|count| count > limit);
    entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = entries.last().filter(|_| is_more).map(|entry| entry.cursor);
    Ok((entries, next))
}

/// `GET /api/history`
pub async fn list(State(web): State<Web>, Parameters(which): Parameters<HistoryQuery>) -> Result<Response, ApiError> {
    let behind = match which.before.as_str() {
        "" => None,
        before => Some(HistoryCursor::parse(before).ok_or_else(|| {
            ApiError::BadRequest(format!("before must be the next of an earlier answer, not {before:?}"))
        })?),
    };
    let (entries, next) = entries(&web, behind, which.limit.clamp(1, MOST_ENTRIES)).await?;
    Ok(axum::Json(json!({"history": entries, "next": next.map(|next| next.to_string())})).into_response())
}
