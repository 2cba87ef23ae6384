//! A collector on loopback that keeps every request it gets and answers as it is told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
    /// Whether it was answered with success.
    pub taken: bool,
    /// When it came.
    pub at: Instant,
}

impl Received {
    /// The entries of the request, of whatever kind.
    pub fn entries(&self) -> Vec<&Value> {
        let arrays = ["identifies", "events", "page_views"].into_iter().filter_map(|kind| self.body[kind].as_array());
        arrays.flatten().collect()
    }
}

/// What a request is answered with.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    /// This status and body.
    Answer(u16, &'static str),
    /// 429 with this `Retry-After`.
    TooMany(&'static str),
    /// Success, after a while.
    Slow(Duration),
    /// Success, and the connection is closed in the middle of the body.
    CutOff,
    /// Nothing, for ever.
    Hang,
}

impl From<(u16, &'static str)> for Reply {
    fn from((status, body): (u16, &'static str)) -> Self {
        Self::Answer(status, body)
    }
}

/// Decides on the reply to a request.
pub type Rule = Box<dyn Fn(&Received) -> Reply + Send + Sync>;

/// A collector; it ends when it is dropped.
pub struct Collector {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    rule: Arc<Mutex<Rule>>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    received: Arc<Mutex<Vec<Received>>>,
    rule: Arc<Mutex<Rule>>,
}

impl Collector {
    /// A collector on a free port, that takes everything.
    pub fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// A collector at an address that was free before.
    pub fn start_at(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let listener: TcpListener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::default();
        let take_all: Rule = Box::new(|_| Reply::Answer(200, r#"{"ok":true}"#));
        let rule = Arc::new(Mutex::new(take_all));
        let shared = Shared { received: Arc::clone(&received), rule: Arc::clone(&rule) };
        let router = Router::new().fallback(take).with_state(shared);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, received, rule, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers by `rule` from now on.
    pub fn answer<R: Into<Reply>>(&self, rule: impl Fn(&Received) -> R + Send + Sync + 'static) {
        *self.rule.lock().unwrap() = Box::new(move |request| rule(request).into());
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// How often each message id was taken.
    pub fn taken(&self) -> HashMap<String, usize> {
        let mut taken = HashMap::new();
        for request in self.received.lock().unwrap().iter().filter(|request| request.taken) {
            for entry in request.entries() {
                *taken.entry(entry["message_id"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        taken
    }

    /// Waits until `count` message ids were taken.
    pub async fn until_taken(&self, count: usize, longest: Duration) {
        let begun = Instant::now();
        while self.taken().len() < count {
            assert!(begun.elapsed() < longest, "{} of {count} arrived in {longest:?}", self.taken().len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until as many requests came in, taken or not.
    pub async fn until_asked(&self, count: usize) {
        let begun = Instant::now();
        while self.received.lock().unwrap().len() < count {
            assert!(begun.elapsed() < Duration::from_secs(30), "{count} requests did not come");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut received = Received {
        method: method.to_string(),
        path: uri.path().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        taken: false,
        at: Instant::now(),
    };
    let reply = shared.rule.lock().unwrap()(&received);
    let (status, wait) = match reply {
        Reply::Answer(status, _) => (StatusCode::from_u16(status).unwrap(), Duration::ZERO),
        Reply::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, Duration::ZERO),
        Reply::Slow(wait) => (StatusCode::OK, wait),
        Reply::CutOff => (StatusCode::OK, Duration::ZERO),
        // A hanging request was received, and taken by nobody.
        Reply::Hang => (StatusCode::INTERNAL_SERVER_ERROR, Duration::MAX),
    };
    received.taken = status.is_success();
    shared.received.lock().unwrap().push(received);
    tokio::time::sleep(wait).await;
    match reply {
        Reply::Answer(_, body) => (status, body).into_response(),
        Reply::TooMany(retry_after) => (status, [("retry-after", retry_after)]).into_response(),
        Reply::CutOff => {
            let cut = async {
                // The beginning is on its way by then.
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(std::io::Error::other("cut off"))
            };
            let body = stream::iter([Ok("{\"ok\":")]).chain(stream::once(cut));
            Body::from_stream(body).into_response()
        }
        Reply::Slow(_) | Reply::Hang => status.into_response(),
    }
}
