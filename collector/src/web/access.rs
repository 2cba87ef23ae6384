//! Who may see what was collected: on loopback everyone on this machine, elsewhere who has a token.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Version};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};

use super::origin::{self, RequestOrigin};
use super::throttle::Throttle;
use crate::credentials::fingerprint::Fingerprint;
use crate::credentials::session::LONGEST_SESSION;
use crate::credentials::{PageTokens, SessionKeys};
use crate::settings::CollectorSettings;
use crate::store::history::Actor;

/// The cookie of a session on HTTPS: no other host and no page on plain HTTP can set one of this name (RFC 6265bis, 4.1.3.2).
const COOKIE_ON_HTTPS: &str = "__Host-koala_session";
/// The same on plain HTTP, where a browser refuses the prefix.
const COOKIE_ON_HTTP: &str = "koala_session";

/// The rule for the page and the API; clones share it. Intake and the collector have credentials of their own.
#[derive(Debug, Clone)]
pub struct Access(Arc<Rule>);

#[derive(Debug)]
struct Rule {
    keys: RwLock<Keys>,
    throttle: Throttle,
    is_loopback: bool,
    is_https: bool,
}

#[derive(Debug, Clone, Default)]
struct Keys {
    tokens: PageTokens,
    /// Whether the command line has said them, and the parameter does not count.
    are_fixed: bool,
    sessions: SessionKeys,
    /// What signs where the parameter `session-key` is not set.
    own_sessions: SessionKeys,
}

/// Who asks. Stands in the extensions of every request that passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Caller {
    /// The token that was shown, now or at sign-in; none where none is asked for.
    pub token: Option<Fingerprint>,
    /// Whether it is a browser that is signed in, and can sign out.
    pub is_signed_in: bool,
}

impl Caller {
    /// Whoever asks, as the history names them.
    #[allow(clippy::unnecessary_wraps)] // the store takes what may be nobody: the software's own doing
    pub(super) fn actor(self) -> Option<Actor> {
        Some(Actor { token: self.token })
    }
}

/// Where a request comes from, as whoever hands it to the routes knows; it stands in the request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

/// Why a request does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// Nobody may see anything.
    Closed(&'static str),
    /// It has no token and no session, or none that is good.
    NotSignedIn,
    /// Another site's page asks, with a session that its browser has added.
    OtherSite,
}

impl Access {
    /// The rule of a set that listens on `address`, by plain HTTP.
    #[must_use]
    pub fn of_set(address: IpAddr) -> Self {
        Self::new(address.is_loopback(), false)
    }

    /// The rule of a function, which is reached by HTTPS alone, and by anybody: closed until there is a token.
    #[must_use]
    pub fn of_function() -> Self {
        Self::new(false, true)
    }

    fn new(is_loopback: bool, is_https: bool) -> Self {
        Self(Arc::new(Rule { keys: RwLock::default(), throttle: Throttle::default(), is_loopback, is_https }))
    }

    /// The same with tokens that the parameter `page-token` does not replace.
    #[must_use]
    pub fn with_tokens(self, tokens: PageTokens) -> Self {
        self.change(|keys| (keys.tokens, keys.are_fixed) = (tokens, true));
        self
    }

    /// The same with keys that sign sessions where the parameter `session-key` is not set.
    #[must_use]
    pub fn with_session_keys(self, sessions: SessionKeys) -> Self {
        self.change(|keys| (keys.sessions, keys.own_sessions) = (sessions.clone(), sessions));
        self
    }

    /// Keeps to the parameters `page-token` and `session-key` as they are now. One that cannot be used opens and closes nothing: the
    /// ones before serve on.
    pub fn follow(&self, settings: &CollectorSettings) {
        self.change(|keys| {
            if let Some(tokens) = settings.page_tokens().ok().filter(|_| !keys.are_fixed) {
                keys.tokens = tokens.clone();
            }
            if let Ok(sessions) = settings.session_keys() {
                keys.sessions = if sessions.is_empty() { keys.own_sessions.clone() } else { sessions.clone() };
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Keys)) {
        change(&mut self.0.keys.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn keys<T>(&self, with: impl FnOnce(&Keys) -> T) -> T {
        with(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether nobody may see anything, since others can reach the address and no token is set.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.0.is_loopback && !self.asks_for_token()
    }

    /// Whether there is a token.
    #[must_use]
    pub fn asks_for_token(&self) -> bool {
        self.keys(|keys| !keys.tokens.is_empty())
    }

    /// Whether somebody with a token can sign in: a session can be signed.
    pub(super) fn can_sign_in(&self) -> bool {
        self.keys(|keys| !keys.sessions.is_empty())
    }

    /// Who may pass, by a token, by a session, or because none is asked for here.
    pub(super) fn admit(&self, request: &Parts) -> Result<Caller, Denied> {
        let headers = &request.headers;
        if !self.asks_for_token() {
            let refusal = self.refusal_without_token(request.version, headers);
            return refusal.map_or(Ok(Caller::default()), Err);
        }
        if let Some(token) = bearer(headers).and_then(|shown| self.keys(|keys| keys.tokens.find(shown.as_bytes()))) {
            return Ok(Caller { token: Some(token), is_signed_in: false });
        }
        let token = self.session(headers).ok_or(Denied::NotSignedIn)?;
        // The browser adds the cookie, whoever's page asks.
        if RequestOrigin::of(headers) == RequestOrigin::Other && !origin::is_navigation(&request.method, headers) {
            return Err(Denied::OtherSite);
        }
        Ok(Caller { token: Some(token), is_signed_in: true })
    }

    /// What is asked of a request where no token is set: that it comes from this machine, and from no other site's page.
    fn refusal_without_token(&self, version: Version, headers: &HeaderMap) -> Option<Denied> {
        if !self.0.is_loopback {
            return Some(Denied::Closed(
                "others can reach this address: set the parameter page-token (koala up also takes --token) to open page and API to who has it",
            ));
        }
        if !origin::names_this_machine(headers) {
            return Some(Denied::Closed(
                "the name in the request is not this machine's: open http://localhost, or start the set with --token",
            ));
        }
        // Browsers have long left HTTP/1.0; a reverse proxy that is set up in three lines speaks it, and says nothing of itself.
        if version < Version::HTTP_11 || origin::is_forwarded(headers) {
            return Some(Denied::Closed(
                "a proxy has forwarded this request, so others may reach the set: start it with --token",
            ));
        }
        (RequestOrigin::of(headers) == RequestOrigin::Other).then_some(Denied::OtherSite)
    }

    /// The token that the browser of a request is signed in by, while that token opens anything.
    fn session(&self, headers: &HeaderMap) -> Option<Fingerprint> {
        let cookies = CookieJar::from_headers(headers);
        let session = cookies.get(self.cookie_name(headers))?;
        self.keys(|keys| keys.sessions.read(session.value()).filter(|token| keys.tokens.has(*token)))
    }

    /// Signs a browser in that shows a token: the value of a `Set-Cookie`. None where it is no token of ours.
    pub(super) fn sign_in(&self, shown: &str, headers: &HeaderMap) -> Option<String> {
        let session = self.keys(|keys| keys.sessions.begin(keys.tokens.find(shown.as_bytes())?))?;
        Some(self.cookie(&session, LONGEST_SESSION, headers))
    }

    /// Signs a browser out: the value of a `Set-Cookie`.
    pub(super) fn sign_out(&self, headers: &HeaderMap) -> String {
        self.cookie("", Duration::ZERO, headers)
    }

    fn cookie(&self, session: &str, longest: Duration, headers: &HeaderMap) -> String {
        let seconds = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
        Cookie::build((self.cookie_name(headers), session))
            .path("/")
            .max_age(cookie::time::Duration::seconds(seconds))
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.is_https(headers))
            .to_string()
    }

    fn cookie_name(&self, headers: &HeaderMap) -> &'static str {
        if self.is_https(headers) { COOKIE_ON_HTTPS } else { COOKIE_ON_HTTP }
    }

    /// Whether a browser reaches the page by HTTPS. A client that says so of itself only loses its own session.
    pub(super) fn is_https(&self, headers: &HeaderMap) -> bool {
        self.0.is_https || origin::is_forwarded_from_https(headers)
    }

    /// What bounds the tries to sign in.
    pub(super) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
