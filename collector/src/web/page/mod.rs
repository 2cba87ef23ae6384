//! The page: who visits, which company, what they look at; and how deliveries go.
//!
//! Server-rendered, and whole without a script. What stands in events is never trusted: every value is escaped by the
//! templates, and the Content-Security-Policy lets nothing run but the one script of ours.

mod alerts;
mod answer;
mod companies;
mod company;
mod decisions;
mod deletion;
mod deliveries;
mod entry;
mod filters;
mod history;
mod install;
mod layout;
mod live;
mod mappings;
mod place;
mod query;
pub mod sign_in;
mod visitor;
mod visitor_name;
mod visitors;
pub mod words;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};

use self::answer::{Content, PageError};
use super::access::{Access, Caller};
use super::origin::RequestOrigin;
use super::state::Web;

/// The most bytes of the form that signs in.
const LARGEST_SIGN_IN: usize = 16 * 1024;

/// The routes of the page.
pub fn router(web: &Web) -> Router<Web> {
    Router::new()
        .route("/", get(companies::list))
        .route("/companies/{key}", get(company::show))
        .route("/visitors", get(visitors::list))
        .route("/visitors/{id}", get(visitor::show))
        .route("/visitors/{id}/split", post(decisions::split))
        .route("/visitors/{id}/block", post(decisions::block))
        .route("/visitors/{id}/delete", post(deletion::delete))
        .route("/deletions/{id}", get(deletion::show))
        .route("/mappings", get(mappings::list).post(mappings::try_event))
        .route("/deliveries", get(deliveries::show))
        .route("/deliveries/redrive", post(deliveries::redrive))
        .route("/alerts", get(alerts::show))
        .route("/alerts/test", post(alerts::test))
        .route("/alerts/redrive", post(alerts::redrive))
        .route("/install", get(install::show))
        .route("/history", get(history::show))
        .route("/install/test", post(install::test))
        .route("/live", get(live::changes))
        .route("/assets/live.js", get(async || asset("text/javascript", include_str!("assets/live.js"))))
        .route("/assets/icon.svg", get(async || asset("image/svg+xml", include_str!("assets/icon.svg"))))
        // An address that takes a form alone, opened again.
        .method_not_allowed_fallback(async || PageError::NotFound)
        .layer(middleware::from_fn_with_state(web.clone(), frame))
        .layer(middleware::from_fn(guard))
}

/// What everybody may see: the way in and out, and what it looks like.
pub fn public_router(access: Access) -> Router {
    Router::new()
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .layer(DefaultBodyLimit::max(LARGEST_SIGN_IN))
        .route("/assets/style.css", get(async || asset("text/css", include_str!("assets/style.css"))))
        .layer(middleware::from_fn(guard))
        .with_state(access)
}

fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type)], text)
}

/// Puts around a page what all have in common. Here, so that no page can be without it.
async fn frame(State(web): State<Web>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().copied().unwrap_or_default();
    let mut response = next.run(request).await;
    let Some(content) = response.extensions_mut().remove::<Content>() else { return response };
    let problems = web.pipeline.settings_problems().await;
    (
        response.status(),
        Html(layout::page(&content, &problems, caller.is_signed_in, web.presentation.live).into_string()),
    )
        .into_response()
}

/// Refuses what is not sent from a page of ours: a browser says with every form where the page is from that sends it.
async fn guard(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read && RequestOrigin::of(request.headers()) != RequestOrigin::Own {
        return (StatusCode::FORBIDDEN, "this can only be sent from the page itself").into_response();
    }
    next.run(request).await
}
