//! A page as an answer, or why there is none.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::Markup;
use thiserror::Error;

use super::layout;
use crate::store::StoreError;
use crate::store::decision::Undone;
use crate::web::pipeline::PipelineError;

/// A page, or why there is none.
pub type Page = Result<Html<String>, PageError>;

pub fn page(markup: Markup) -> Html<String> {
    Html(markup.into_string())
}

/// Why a page cannot be shown.
#[derive(Debug, Error)]
pub enum PageError {
    #[error("Not found: there is no such page, or no longer.")]
    NotFound,
    #[error("This cannot be decided: {0}.")]
    Undone(#[from] Undone),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title) = match self {
            Self::NotFound | Self::Undone(Undone::Unknown) => (StatusCode::NOT_FOUND, "Not found"),
            Self::Undone(Undone::Refused(_)) => (StatusCode::CONFLICT, "Not possible"),
            Self::Pipeline(_) | Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
        };
        let markup = layout::page(title, None, &maud::html! { p.empty { (self) } });
        (status, page(markup)).into_response()
    }
}
