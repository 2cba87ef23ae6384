//! HTTP: the intake routes beside the collector's, on one port.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use koala_collector::web::ClientAddress;
use koala_destination::intake::{self, Answer, IntakeOptions};
use koala_destination::settings::SettingsCache;

use crate::bodies::{self, Bodies, BodyError, WholeBody};
use crate::forwarded;
use crate::parameter_directory::ParameterDirectory;
use crate::queue::Queues;
use crate::request_id;

/// What intake works with.
#[derive(Clone)]
pub struct Intake {
    /// The parameters.
    pub settings: Arc<SettingsCache<ParameterDirectory>>,
    /// Where the messages go.
    pub queues: Queues,
    /// How it works.
    pub options: IntakeOptions,
    /// Whether a proxy before the set is trusted to say whom a request comes from.
    pub trust_forwarded_for: bool,
    /// Room for bodies.
    pub bodies: Bodies,
}

/// The collector's routes, and intake under every other path; each request has an id.
pub fn router(intake: Intake, collector: Router) -> Router {
    // Room of its own, so that what is sent to intake never keeps delivery from the collector.
    let collector = collector
        .layer(middleware::from_fn_with_state(Bodies::default(), bodies::within_room))
        .layer(middleware::from_fn_with_state(intake.trust_forwarded_for, with_address));
    request_id::with_ids(Router::new().fallback(take_in).with_state(intake).merge(collector))
}

/// Tells the collector's routes whom a request comes from.
async fn with_address(
    State(trust_forwarded_for): State<bool>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = client_address(trust_forwarded_for, request.headers(), source);
    request.extensions_mut().insert(ClientAddress(address));
    next.run(request).await
}

/// Whom a request comes from; what a proxy says of it counts where the proxy is trusted.
fn client_address(trust_forwarded_for: bool, headers: &HeaderMap, source: SocketAddr) -> IpAddr {
    let forwarded = trust_forwarded_for.then(|| forwarded::client(headers)).flatten();
    forwarded.unwrap_or(source.ip()).to_canonical()
}

/// Whether somebody opens an address of no route in a browser.
fn is_of_browser(request: &Request) -> bool {
    let path = request.uri().path();
    let is_of_programs = ["/v1/", "/web/", "/api/"].iter().any(|route| path.starts_with(route));
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    *request.method() == Method::GET && !is_of_programs && accept.contains("text/html")
}

/// Every other path is intake's, as in the AWS deployment.
async fn take_in(
    State(gateway): State<Intake>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    if is_of_browser(&request) {
        return koala_collector::web::unknown_page();
    }
    let (head, body) = request.into_parts();
    let limit = gateway.options.max_body_bytes;
    let read = read_body(&gateway.bodies, &head.headers, body, limit).await;
    let source_ip = client_address(gateway.trust_forwarded_for, &head.headers, source).to_string();
    let id = request_id::of(&head.headers);
    let request = intake::Request {
        id,
        trace_id: id,
        method: head.method.as_str(),
        path: head.uri.path(),
        headers: &head.headers,
        source_ip: Some(&source_ip),
        body: read.as_ref().map(|body| &*body.bytes).unwrap_or_default(),
    };
    if let Err(error) = read {
        let refusal = error.answer(limit);
        refusal.log(&request);
        return answer(refusal);
    }
    let taken = intake::handle(&request, &gateway.settings, &gateway.queues, gateway.options).await;
    gateway.queues.count_request(taken.counts());
    answer(taken)
}

/// A body, with room for what it comes to when it has to be unpacked.
async fn read_body(bodies: &Bodies, headers: &HeaderMap, body: Body, limit: usize) -> Result<WholeBody, BodyError> {
    let mut body = bodies.read(body, bodies::declared_length(headers), limit).await?;
    if headers.contains_key(CONTENT_ENCODING) {
        bodies.make_room_to_unpack(&mut body, limit)?;
    }
    Ok(body)
}

fn answer(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    response.headers_mut().remove(CONTENT_TYPE);
    for (name, value) in answer.headers {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
