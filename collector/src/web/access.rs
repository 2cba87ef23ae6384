//! Who may see what was collected: on loopback everyone on this machine, elsewhere who has the token.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};

use super::origin::{self, Origin};
use super::page_token::PageToken;

/// The cookie that a browser keeps the token in.
const COOKIE_NAME: &str = "koala_token";

/// The rule for the page and the API; clones share it. Intake and the collector have credentials of their own.
#[derive(Debug, Clone)]
pub struct Access {
    token: Arc<RwLock<Option<PageToken>>>,
    is_loopback: bool,
}

impl Access {
    /// The rule of a set that listens on `address`.
    #[must_use]
    pub fn new(token: Option<PageToken>, address: IpAddr) -> Self {
        Self { token: Arc::new(RwLock::new(token)), is_loopback: address.is_loopback() }
    }

    /// Has another token open what it opens, or none.
    pub fn set_token(&self, token: Option<PageToken>) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    fn token(&self) -> Option<PageToken> {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether nobody may see anything, since others can reach the address and no token is set.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.token().is_none() && !self.is_loopback
    }

    /// What is asked of a request where no token is set: that it comes from this machine, and from no other site's page.
    fn refusal_without_token(&self, version: Version, headers: &HeaderMap) -> Option<&'static str> {
        if !self.is_loopback {
            return Some(
                "this set listens on an address that others can reach: start it with --token to see what it has",
            );
        }
        if !origin::names_this_machine(headers) {
            return Some(
                "the name in the request is not this machine's: open http://localhost, or start the set with --token",
            );
        }
        // Browsers have long left HTTP/1.0; a reverse proxy that is set up in three lines speaks it, and says nothing of itself.
        if version < Version::HTTP_11 || origin::is_forwarded(headers) {
            return Some("a proxy has forwarded this request, so others may reach the set: start it with --token");
        }
        (Origin::of(headers) == Origin::Other).then_some("a page of another site cannot read this")
    }
}

/// Lets a request pass, or answers in its place.
pub async fn check(State(access): State<Access>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let Some(token) = access.token() else {
        return match access.refusal_without_token(request.version(), headers) {
            Some(words) => (StatusCode::FORBIDDEN, words).into_response(),
            None => next.run(request).await,
        };
    };
    if bearer(headers).is_some_and(|shown| token.is(shown.as_bytes())) {
        return next.run(request).await;
    }
    let cookies = CookieJar::from_headers(headers);
    if cookies.get(COOKIE_NAME).is_some_and(|cookie| token.is(cookie.value().as_bytes())) {
        // The browser adds the cookie, whoever's page asks.
        if Origin::of(headers) == Origin::Other && !origin::is_navigation(request.method(), headers) {
            return (StatusCode::FORBIDDEN, "a page of another site cannot read this").into_response();
        }
        return next.run(request).await;
    }
    match in_query(request.uri()) {
        Some(shown) if token.is(shown.as_bytes()) => with_cookie(shown, request.uri().path()),
        _ => (StatusCode::UNAUTHORIZED, "open this page with ?token=…, or send Authorization: Bearer").into_response(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn in_query(uri: &Uri) -> Option<String> {
    let mut query = form_urlencoded::parse(uri.query()?.as_bytes());
    query.find(|(name, _)| name == "token").map(|(_, value)| value.into_owned())
}

/// The token leaves the address bar for a cookie that no script can read.
fn with_cookie(token: String, path: &str) -> Response {
    // A path that begins with two slashes would be another host's address.
    let path = format!("/{}", path.trim_start_matches('/'));
    let Ok(location) = HeaderValue::from_str(&path) else { return StatusCode::UNAUTHORIZED.into_response() };
    let cookie = Cookie::build((COOKIE_NAME, token)).http_only(true).same_site(SameSite::Strict).path("/");
    (StatusCode::SEE_OTHER, CookieJar::new().add(cookie), [(LOCATION, location)]).into_response()
}
