//! The page: who visits, which company, what they look at; and how deliveries go.
//!
//! Server-rendered, and whole without a script. What stands in events is never trusted: every value is escaped by the
//! templates, and the Content-Security-Policy lets nothing run but the one script of ours.

mod companies;
mod deliveries;
mod layout;
mod live;
mod mappings;
mod visitors;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use maud::Markup;
use thiserror::Error;

use super::pipeline::PipelineError;
use super::state::Web;
use crate::store::StoreError;

/// No script but ours, nothing of another origin, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The routes of the page.
pub fn router() -> Router<Web> {
    Router::new()
        .route("/", get(companies::list))
        .route("/companies/{key}", get(companies::show))
        .route("/visitors", get(visitors::list))
        .route("/visitors/{id}", get(visitors::show))
        .route("/visitors/{id}/delete", post(visitors::delete))
        .route("/mappings", get(mappings::list).post(mappings::try_event))
        .route("/deliveries", get(deliveries::show))
        .route("/deliveries/redrive", post(deliveries::redrive))
        .route("/live", get(live::changes))
        .route("/assets/style.css", get(async || asset("text/css", include_str!("assets/style.css"))))
        .route("/assets/live.js", get(async || asset("text/javascript", include_str!("assets/live.js"))))
        .layer(middleware::from_fn(guard))
}

fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type)], text)
}

/// Refuses what another site's page sends, and says to the browser what a page may do.
async fn guard(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), axum::http::Method::GET | axum::http::Method::HEAD);
    if !is_read && !is_of_this_site(&request) {
        return (StatusCode::FORBIDDEN, "this can only be sent from the page itself").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A browser says with every form where the page is from that sends it.
fn is_of_this_site(request: &Request) -> bool {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let site = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
    let origin = header(ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    site.is_some_and(|site| site == "same-origin") || site.is_none() && origin.is_some() && origin == header(HOST)
}

/// A page, or why there is none.
type Page = Result<Html<String>, PageError>;

fn page(markup: Markup) -> Html<String> {
    Html(markup.into_string())
}

/// Why a page cannot be shown.
#[derive(Debug, Error)]
enum PageError {
    #[error("Nothing is here (any more).")]
    NotFound,
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Not found"),
            Self::Pipeline(_) | Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
        };
        let markup = layout::page(title, None, &maud::html! { p.empty { (self) } });
        (status, page(markup)).into_response()
    }
}
