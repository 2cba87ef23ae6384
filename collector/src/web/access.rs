//! Who may see what was collected: on loopback everyone on this machine, elsewhere who has the token.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, LOCATION, SET_COOKIE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use koala_destination::settings::Token;

/// The cookie that a browser keeps the token in.
const COOKIE_NAME: &str = "koala_token";

/// The rule for the page and the API. Intake and the collector have proofs of their own.
#[derive(Debug, Clone)]
pub struct Access {
    token: Option<Arc<Token>>,
    is_loopback: bool,
}

impl Access {
    /// The rule of a set that listens on `address`.
    #[must_use]
    pub fn new(token: Option<Token>, address: IpAddr) -> Self {
        Self { token: token.map(Arc::new), is_loopback: address.is_loopback() }
    }
}

/// Lets a request pass, or answers in its place.
pub async fn check(State(access): State<Access>, request: Request, next: Next) -> Response {
    let Some(token) = &access.token else {
        if access.is_loopback && names_this_machine(&request) {
            return next.run(request).await;
        }
        let words = "this set listens on an address that others can reach: start it with --token to see what it has";
        return (StatusCode::FORBIDDEN, words).into_response();
    };
    if bearer(&request).into_iter().chain(cookie(&request)).any(|shown| token.is(shown.as_bytes())) {
        return next.run(request).await;
    }
    if let Some(shown) = in_query(&request)
        && token.is(shown.as_bytes())
    {
        return with_cookie(&shown, request.uri().path());
    }
    (StatusCode::UNAUTHORIZED, "open this page with ?token=…, or send Authorization: Bearer").into_response()
}

/// A page of another site can make its own name lead to this machine; the request then still has that name.
fn names_this_machine(request: &Request) -> bool {
    let Some(host) = header(request, HOST) else { return true };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    name.eq_ignore_ascii_case("localhost")
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn header(request: &Request, name: HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = header(request, AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(request: &Request) -> Option<&str> {
    let cookies = header(request, COOKIE)?.split(';');
    cookies
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, value)| value)
}

fn in_query(request: &Request) -> Option<String> {
    form_urlencoded::parse(request.uri().query()?.as_bytes())
        .find(|(name, _)| name == "token")
        .map(|(_, value)| value.into_owned())
}

/// The token leaves the address bar for a cookie that no script can read.
fn with_cookie(token: &str, path: &str) -> Response {
    let cookie = HeaderValue::from_str(&format!("{COOKIE_NAME}={token}; HttpOnly; SameSite=Strict; Path=/"));
    let location = HeaderValue::from_str(path);
    match (cookie, location) {
        (Ok(cookie), Ok(location)) => {
            (StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, location)]).into_response()
        }
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}
