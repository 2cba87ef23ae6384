//! The HTTP client of alerts. A target is a secret: no reason that it gives names the URL or a part of it.

use std::time::Duration;

use koala_destination::http_client::{self, BuildClientError, causes};
use koala_destination::koala::{USER_AGENT, retry_after};
use koala_destination::resolver::{Lookup, LookupError, SystemLookup};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Url, redirect};
use secrecy::ExposeSecret;

use super::address::{Guarded, PRIVATE, Reach};
use super::request::TargetRequest;
use super::response::TargetResponse;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Slack answers within a second; Standard Webhooks gives receivers 15 to 30 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The most of an answer that is read.
const MOST_OF_AN_ANSWER: usize = 4 * 1024;
/// The longest answer that is shown: Slack's are a word, as `invalid_payload`.
const LONGEST_SAID: usize = 60;
/// A part of a URL that is as long may be the secret in it.
const SECRET_PART: usize = 6;

/// The client; clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    reach: Reach,
}

impl Client {
    /// A client that follows no redirect and no proxy of the environment, and keeps no connection: one that the other end closes
    /// while a request is on its way would leave open whether it arrived.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(reach: Reach) -> Result<Self, BuildClientError> {
        Self::with(reach, SystemLookup)
    }

    fn with(reach: Reach, lookup: impl Lookup) -> Result<Self, BuildClientError> {
        let http = http_client::builder_with(Guarded { lookup, reach })?
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(BuildClientError::from)?;
        Ok(Self { http, reach })
    }

    /// Sends a request, once.
    pub async fn send(&self, request: TargetRequest) -> TargetResponse {
        let Ok(url) = Url::parse(request.url.expose_secret()) else {
            return TargetResponse::Forbidden { reason: "the target's URL cannot be read" };
        };
        if let Some(reason) = self.reach.forbids(&url) {
            return TargetResponse::Forbidden { reason };
        }
        let mut post = self.http.post(url).header(CONTENT_TYPE, "application/json").body(request.body);
        for (name, value) in &request.headers {
            post = post.header(*name, value.expose_secret());
        }
        match post.send().await {
            Ok(response) => answered(response, request.shows_answer.then(|| request.url.expose_secret())).await,
            Err(error) => not_answered(&error),
        }
    }
}

/// `url` where the answer may be shown, in as far as it repeats nothing of that.
async fn answered(mut response: reqwest::Response, url: Option<&str>) -> TargetResponse {
    let status = response.status().as_u16();
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = header.and_then(retry_after);
    let mut body = Vec::new();
    // One that is cut off after its status says enough.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_OF_AN_ANSWER {
            break;
        }
    }
    TargetResponse::Status { status, retry_after, said: url.and_then(|url| said(&body, url)) }
}

/// A short plain answer, where it repeats nothing of the URL.
fn said(body: &[u8], url: &str) -> Option<String> {
    let said = std::str::from_utf8(body).ok()?.trim();
    let is_plain = said.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" _-.,:'".contains(&byte));
    if said.is_empty() || said.len() > LONGEST_SAID || !is_plain {
        return None;
    }
    let mut parts = url.split(['/', '?', '&', '=', ':', '@', '#']).filter(|part| part.len() >= SECRET_PART);
    (!parts.any(|part| said.contains(part))).then(|| said.to_owned())
}

/// What a request that got no answer means. reqwest's own words name the URL.
fn not_answered(error: &reqwest::Error) -> TargetResponse {
    if let Some(lookup) = causes(error).find_map(|cause| cause.downcast_ref::<LookupError>()) {
        return match lookup {
            LookupError::Failed { reason, .. } if reason == PRIVATE => TargetResponse::Forbidden { reason: PRIVATE },
            LookupError::Failed { .. } => {
                TargetResponse::NotSent { reason: "the target's host name cannot be resolved now".to_owned() }
            }
            LookupError::NotFound(_) => {
                TargetResponse::NotSent { reason: "the target's host name does not exist".to_owned() }
            }
        };
    }
    if error.is_connect() {
        let kind = causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
        let reason = match kind {
            _ if error.is_timeout() => "no connection in time".to_owned(),
            Some(kind) => format!("no connection: {kind}"),
            None => "no connection".to_owned(),
        };
        return TargetResponse::NotSent { reason };
    }
    let reason = if error.is_timeout() { "no answer in time" } else { "the connection broke before an answer came" };
    TargetResponse::Lost { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn request(url: &str) -> TargetRequest {
        TargetRequest { url: url.into(), headers: Vec::new(), body: "{}".to_owned(), shows_answer: true }
    }

    /// Every name leads to this machine's metadata service.
    struct Metadata;

    impl Lookup for Metadata {
        fn lookup(&self, _: &str) -> Result<Vec<SocketAddr>, LookupError> {
            Ok(vec![SocketAddr::from(([169, 254, 169, 254], 0)), SocketAddr::from(([127, 0, 0, 1], 0))])
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_is_never_asked() {
        let client = Client::with(Reach::Public, Metadata).expect("a client");
        let answer = client.send(request("https://hooks.example/services/hunter2")).await;
        assert_eq!(answer, TargetResponse::Forbidden { reason: PRIVATE });
    }

    #[tokio::test]
    async fn an_address_of_this_machine_and_http_are_refused_without_a_setting() {
        let client = Client::new(Reach::Public).expect("a client");
        for url in ["https://127.0.0.1:9/", "http://hooks.example/", "https://[::1]/", "not a url"] {
            assert!(matches!(client.send(request(url)).await, TargetResponse::Forbidden { .. }), "{url}");
        }
    }

    #[tokio::test]
    async fn who_does_not_listen_was_sent_nothing_and_no_reason_names_the_target() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let client = Client::new(Reach::Private).expect("a client");
        let answers = [
            client.send(request(&format!("http://127.0.0.1:{port}/services/hunter2"))).await,
            client.send(request("https://hunter2.invalid/services/hunter2")).await,
        ];
        for answer in answers {
            assert!(matches!(answer, TargetResponse::NotSent { .. }), "{answer:?}");
            let shown = format!("{answer:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("127.0.0.1"), "{shown}");
        }
    }

    #[test]
    fn an_answer_is_shown_where_it_is_short_and_repeats_nothing_of_the_target() {
        let url = "https://hooks.slack.com/services/T0/B0/hunter2secret";
        assert_eq!(said(b"no_service\n", url).as_deref(), Some("no_service"));
        assert_eq!(said(b"no webhook hunter2secret", url), None);
        assert_eq!(said(b"<html>", url), None);
        assert_eq!(said("x".repeat(61).as_bytes(), url), None);
        assert_eq!(said(b"", url), None);
    }
}
