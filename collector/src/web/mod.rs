//! What people and their programs see: the page, the API, and who may see them.
//!
//! | module | what it does |
//! |---|---|
//! | [`access`], [`gate`] | who may see what was collected |
//! | [`throttle`], [`destination`] | how often one may try to sign in, and where a browser goes then |
//! | [`api`], `api_error`, `listed`, [`export`] | JSON and CSV for programs and spreadsheets |
//! | [`origin`], [`headers`] | what a request tells of where it comes from, and what an answer says to a browser |
//! | [`page`] | the page for people |
//! | [`filter_query`] | which visitors and companies an address asks for |
//! | [`deletions`], [`visitor_export`] | a person deleted; all that is kept of one |
//! | [`alerts`] | alerts in the API |
//! | [`history`] | what people did, with which token |
//! | [`parameters`], [`presentation`] | the query of an address of the API; what can be done where the routes are served |
//! | [`decisions`] | an id taken from a person, or blocked |
//! | [`pipeline`], [`intake`] | the port of what stands before the collector, and what it tells of intake |
//! | [`shown`] | what a pipeline shows the same way whatever its queues are |
//! | [`state`] | what the routes work with |

pub mod access;
mod alerts;
mod api;
mod api_error;
mod decisions;
mod deletions;
mod destination;
mod export;
mod filter_query;
mod gate;
mod headers;
mod history;
mod intake;
mod listed;
mod origin;
mod page;
mod parameters;
mod pipeline;
mod presentation;
pub mod shown;
mod state;
mod throttle;
mod visitor_export;

pub use access::{Access, ClientAddress};
pub use intake::{
    Install, ReceivedTally, RejectedEvent, SettingsProblem, TEST_EVENT_NAME, TEST_USER_ID, TestEvent, WebhookAddress,
};
pub use pipeline::{MappingTally, Pipeline, PipelineError, QueueCounts, RequestTally, StoredDeadLetter, Tallies};
pub use presentation::{Live, Presentation};

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};

use self::state::Web;
use crate::signals::desk::Desk;
use crate::store::Store;
use crate::store::deletion::Retention;

/// The API and the page, for those who may see them.
pub fn router(
    store: Arc<dyn Store>,
    pipeline: Arc<dyn Pipeline>,
    access: Access,
    retention: Retention,
    desk: Option<Arc<dyn Desk>>,
    presentation: Presentation,
) -> Router {
    let seen = middleware::from_fn_with_state(access.clone(), gate::check);
    let web = Web { store, pipeline, retention, desk, presentation };
    let of_caller = api::router().merge(page::router(&web)).layer(seen).with_state(web);
    headers::with_headers(of_caller.merge(page::public_router(access)))
}

/// What a browser sees at an address that leads to nothing, for whoever routes what is left over.
#[must_use]
pub fn unknown_page() -> Response {
    let page = page::sign_in::refused("Not found", "This page does not exist. The first page is at /.");
    let mut page = (StatusCode::NOT_FOUND, page).into_response();
    headers::put(page.headers_mut());
    page
}
