//! What the API answers when it cannot: `{"error":{"code","message"}}`, as intake does.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use thiserror::Error;

use super::pipeline::PipelineError;
use crate::store::StoreError;
use crate::store::decision::Refused;
use crate::store::deletion::DeletionId;
use crate::store::visitor::VisitorId;

/// Why a request of the API has no answer.
#[derive(Debug, Error)]
pub enum ApiError {
    #[error("no visitor has the id {0}")]
    NoSuchVisitor(VisitorId),
    #[error("no company has the key {0}")]
    NoSuchCompany(String),
    #[error("no deletion has the id {0}, or it was long ago")]
    NoSuchDeletion(DeletionId),
    #[error("no alert in force has the name {0}")]
    NoSuchAlert(String),
    #[error("alerts are not evaluated here")]
    NoAlerts,
    #[error("no visitor has this identity")]
    NoSuchIdentity,
    #[error(transparent)]
    Refused(Refused),
    #[error("no such route")]
    NoSuchRoute,
    #[error("method not allowed; use {0}")]
    Method(&'static str),
    #[error("{0}")]
    BadRequest(String),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Self::NoSuchVisitor(_)
            | Self::NoSuchCompany(_)
            | Self::NoSuchDeletion(_)
            | Self::NoSuchAlert(_)
            | Self::NoAlerts
            | Self::NoSuchRoute
            | Self::NoSuchIdentity => (StatusCode::NOT_FOUND, "not_found"),
            Self::Refused(_) => (StatusCode::CONFLICT, "refused"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Pipeline(PipelineError::Settings(_)) => (StatusCode::SERVICE_UNAVAILABLE, "settings_unavailable"),
            Self::Pipeline(PipelineError::Queues(_)) | Self::Store(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
            }
        };
        (status, axum::Json(json!({"error": {"code": code, "message": self.to_string()}}))).into_response()
    }
}
