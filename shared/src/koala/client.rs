//! The HTTP client: one for the life of the process, its connections reused.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect;
use tokio::time::Instant;

use super::address::KoalaUrl;
use super::collector::{Collector, Route, SendError, classify};
use crate::http_client::{self, BuildClientError, causes};
use crate::patience::until;
use crate::resolver::LookupError;
use crate::settings::PublicApiKey;

/// Koala accepts a request without a User-Agent and throws it away.
pub const USER_AGENT: &str =
    concat!("koala-destination/", env!("CARGO_PKG_VERSION"), " (+", env!("CARGO_PKG_REPOSITORY"), ")");

/// Shows our own collector that a request is of the stack's own handlers: it believes them when intake took an event.
pub const COLLECTOR_TOKEN_HEADER: &str = "x-collector-token";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// From the beginning of a request to the head of its answer; with the body it is what delivery gives a request.
const LONGEST_HEAD: Duration = Duration::from_secs(9);
/// How long the body of an answer may take. What became of the request its status says: a body that trickles in or never ends
/// holds nothing up, and makes nothing be sent again.
pub const LONGEST_ANSWER_BODY: Duration = Duration::from_secs(1);
/// The most of an answer that is read: an error is a line of JSON.
const MOST_OF_AN_ANSWER: usize = 16 * 1024;

/// The collector over HTTP.
#[derive(Clone)]
pub struct KoalaClient {
    http: reqwest::Client,
    url: KoalaUrl,
    collector_token: Option<TokenNow>,
}

/// The token of one's own collector as it is now: it may be replaced while the process runs.
type TokenNow = Arc<dyn Fn() -> Option<HeaderValue> + Send + Sync>;

impl fmt::Debug for KoalaClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KoalaClient").field("url", &self.url).finish_non_exhaustive()
    }
}

impl KoalaClient {
    /// A client for the collector at `url`: 2 s to connect, 9 s until the head of an answer, 1 s for its body, no redirects followed.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(url: KoalaUrl) -> Result<Self, BuildClientError> {
        Self::with(http_client::builder()?, url)
    }

    fn with(builder: reqwest::ClientBuilder, url: KoalaUrl) -> Result<Self, BuildClientError> {
        let http = builder
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(BuildClientError::from)?;
        Ok(Self { http, url, collector_token: None })
    }

    /// Shows a token with every request, where the collector is our own and knows it.
    #[must_use]
    pub fn with_collector_token(self, token: HeaderValue) -> Self {
        self.with_collector_token_of(move || Some(token.clone()))
    }

    /// The same with the token that there is at the time of a request, if any.
    #[must_use]
    pub fn with_collector_token_of(self, now: impl Fn() -> Option<HeaderValue> + Send + Sync + 'static) -> Self {
        Self { collector_token: Some(Arc::new(now)), ..self }
    }

    /// Asks the collector whether a key is good (`GET …/auth`, as Segment's cloud-mode destination does).
    ///
    /// # Errors
    /// When it is refused, or the collector cannot say.
    pub async fn check_key(&self, key: &PublicApiKey) -> Result<(), SendError> {
        let url = format!("{}/web/projects/{}/auth", self.url, key.as_str());
        Self::answered(self.http.get(url)).await
    }

    /// Where it sends.
    #[must_use]
    pub fn url(&self) -> &KoalaUrl {
        &self.url
    }
}

impl Collector for KoalaClient {
    async fn send(&self, key: &PublicApiKey, route: Route, body: Bytes) -> Result<(), SendError> {
        let url = self.url.of(route, key);
        let mut request = self.http.post(url).header(CONTENT_TYPE, "application/json").body(body);
        if let Some(mut token) = self.collector_token.as_ref().and_then(|now| now()) {
            token.set_sensitive(true);
            request = request.header(COLLECTOR_TOKEN_HEADER, token);
        }
        Self::answered(request).await
    }
}

impl KoalaClient {
    async fn answered(request: reqwest::RequestBuilder) -> Result<(), SendError> {
        let sent = until(Instant::now() + LONGEST_HEAD, request.send()).await;
        let mut response = sent
            .ok_or_else(|| SendError::Unreachable { reason: "no answer in time".to_owned() })?
            .map_err(|error| not_sent(&error))?;
        let status = response.status();
        // Nothing packed was asked for, so that a packed answer is not a collector's.
        let is_packed = response.headers().contains_key(CONTENT_ENCODING);
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_html =
            content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html"));
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut answer = Vec::new();
        let end = Instant::now() + LONGEST_ANSWER_BODY;
        let is_whole = until(end, read_body(&mut response, &mut answer)).await.is_some_and(|is_whole| is_whole);
        let answer = String::from_utf8_lossy(&answer);
        if status.is_success() && (is_packed || (is_html && (!is_whole || is_for_people(&answer)))) {
            let reason = format!("{}, and the body is a page for people: not a collector's answer", status.as_u16());
            return Err(SendError::Passing { reason, retry_after: None });
        }
        let classified = classify(status, retry_after.as_deref(), &answer);
        if is_whole { classified } else { of_a_part(classified) }
    }
}

/// Reads the body of an answer into `answer`, as much of it as is looked at. Gives back whether that came.
async fn read_body(response: &mut reqwest::Response, answer: &mut Vec<u8>) -> bool {
    while answer.len() <= MOST_OF_AN_ANSWER {
        match response.chunk().await {
            Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
    true
}

/// What an answer means whose body was cut off or did not come in time. The status says whether the request was taken; why it
/// was not taken the body may say: that the collector is suspended, and not that something is wrong with the entries.
fn of_a_part(classified: Result<(), SendError>) -> Result<(), SendError> {
    match classified {
        Err(SendError::Rejected { reason, .. }) => {
            let reason = format!("{reason}, and its body did not come whole");
            Err(SendError::Passing { reason, retry_after: None })
        }
        whole => whole,
    }
}

/// Whether a body that is said to be HTML is for people to read: some servers call each answer HTML, an empty one and JSON too.
fn is_for_people(body: &str) -> bool {
    !body.trim().is_empty() && serde_json::from_str::<serde::de::IgnoredAny>(body).is_err()
}

/// What a request that got no answer means.
fn not_sent(error: &reqwest::Error) -> SendError {
    let reason = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        // The innermost cause is the one that says something; the outer ones repeat the URL, which holds the key.
        innermost(error).to_string()
    };
    // Only a name that does not exist is an address that is gone; a resolver that fails will answer another time.
    if causes(error).any(|cause| matches!(cause.downcast_ref(), Some(LookupError::NotFound(_)))) {
        SendError::Unavailable { reason }
    } else {
        SendError::Unreachable { reason }
    }
}

fn innermost<'e>(error: &'e (dyn StdError + 'static)) -> &'e (dyn StdError + 'static) {
    causes(error).last().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::koala::ParseKoalaUrlError;
    use crate::resolver::Lookup;

    #[test]
    fn the_key_stands_in_the_path() {
        let key = PublicApiKey::parse("pk_1").expect("a key");
        for text in ["https://koala.example", "https://koala.example/"] {
            let url = KoalaUrl::parse(text).expect("a URL");
            assert_eq!(url.of(Route::Batch, &key), "https://koala.example/web/projects/pk_1/batch");
            let accounts = "https://koala.example/web/projects/pk_1/accounts/batch";
            assert_eq!(url.of(Route::AccountsBatch, &key), accounts);
        }
        assert_eq!(KoalaUrl::parse("ftp://koala.example"), Err(ParseKoalaUrlError::Scheme));
        assert!(KoalaUrl::parse("koala").is_err());
    }

    /// A resolver with one answer.
    struct Says(LookupError);

    impl Lookup for Says {
        fn lookup(&self, _: &str) -> Result<Vec<SocketAddr>, LookupError> {
            Err(self.0.clone())
        }
    }

    #[tokio::test]
    async fn a_resolver_that_fails_is_a_passing_fault_and_only_a_name_that_does_not_exist_is_gone() {
        let host = "koala.example".to_owned();
        let key = PublicApiKey::parse("pk_1").expect("a key");
        let ask = async |says: LookupError| {
            let url = KoalaUrl::parse("http://koala.example").expect("a URL");
            let http = http_client::builder_with(Says(says)).expect("TLS");
            let client = KoalaClient::with(http, url).expect("a client");
            client.send(&key, Route::Batch, Bytes::from_static(b"{}")).await.expect_err("no address")
        };
        // EAI_AGAIN, EAI_FAIL and the like.
        let failed = ask(LookupError::Failed { host: host.clone(), reason: "try again".to_owned() }).await;
        assert!(matches!(failed, SendError::Unreachable { .. }), "{failed}");
        let gone = ask(LookupError::NotFound(host)).await;
        assert!(matches!(gone, SendError::Unavailable { .. }), "{gone}");
    }

    #[tokio::test]
    async fn a_host_name_that_is_gone_is_unavailable() {
        let client = KoalaClient::new(KoalaUrl::parse("http://koala.invalid").expect("a URL")).expect("a client");
        let key = PublicApiKey::parse("pk_1").expect("a key");
        let error = client.send(&key, Route::Batch, Bytes::from_static(b"{}")).await.expect_err("no such host");
        assert!(matches!(error, SendError::Unavailable { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_host_that_is_down_is_unreachable_and_the_reason_keeps_the_key_to_itself() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let client =
            KoalaClient::new(KoalaUrl::parse(&format!("http://127.0.0.1:{port}")).expect("a URL")).expect("a client");
        let key = PublicApiKey::parse("pk_hidden").expect("a key");
        let error = client.send(&key, Route::Batch, Bytes::from_static(b"{}")).await.expect_err("nobody listens");
        assert!(matches!(error, SendError::Unreachable { .. }), "{error}");
        assert!(!error.to_string().contains("pk_hidden"), "{error}");
    }
}
