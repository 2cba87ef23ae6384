//! A page as an answer, or why there is none.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use thiserror::Error;

use super::place::Place;
use crate::store::StoreError;
use crate::store::decision::Undone;
use crate::web::pipeline::PipelineError;

/// A page, or why there is none.
pub type Page = Result<Content, PageError>;

/// What a page has of its own. What all have in common is put around it when it is answered, by `frame`.
#[derive(Debug, Clone)]
pub struct Content {
    /// Its title.
    pub title: String,
    /// Where the navigation is.
    pub place: Option<Place>,
    /// Whether it stays as it is, as the answer to something that was sent; else it shows what changes.
    pub is_still: bool,
    /// What stands below the title.
    pub markup: Markup,
}

impl Content {
    /// A page that shows what changes.
    pub fn new(title: impl Into<String>, place: Place, markup: Markup) -> Self {
        Self { title: title.into(), place: Some(place), is_still: false, markup }
    }

    /// A page that stays as it is.
    pub fn still(title: impl Into<String>, place: Place, markup: Markup) -> Self {
        Self { is_still: true, ..Self::new(title, place, markup) }
    }
}

impl IntoResponse for Content {
    fn into_response(self) -> Response {
        let mut response = StatusCode::OK.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Why a page cannot be shown.
#[derive(Debug, Error)]
pub enum PageError {
    #[error("This page does not exist, or was deleted.")]
    NotFound,
    #[error("This cannot be decided: {0}.")]
    Undone(#[from] Undone),
    #[error("This address cannot be read: {0}.")]
    Query(String),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title) = match self {
            Self::NotFound | Self::Undone(Undone::Unknown) => (StatusCode::NOT_FOUND, "Not found"),
            Self::Query(_) => (StatusCode::BAD_REQUEST, "Bad address"),
            Self::Undone(Undone::Refused(_)) => (StatusCode::CONFLICT, "Not possible"),
            Self::Pipeline(_) | Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
        };
        let markup = html! { p.empty { (self) } };
        (status, Content { title: title.to_owned(), place: None, is_still: false, markup }).into_response()
    }
}
