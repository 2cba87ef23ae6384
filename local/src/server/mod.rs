//! The HTTP server under the gateway: it holds out against clients that are slow, silent or many.
//!
//! | limit | what it is against |
//! |---|---|
//! | [`LONGEST_HEAD`] | a client that connects and says nothing, or sends the head of its request byte by byte |
//! | [`LONGEST_BODY_SILENCE`], [`LONGEST_REQUEST`] | the same with a body, on every route |
//! | `CatchPanicLayer` | a fault of ours in one request: it is answered with 500, and its connection goes on |
//! | [`Connections`] | so many clients that no file descriptor is left for delivery, settings and the store |

mod connections;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

use connections::{Connections, Held};

/// A connection that sends no whole head of a request for so long is closed: a new one, and one that is kept alive.
const LONGEST_HEAD: Duration = Duration::from_secs(30);
/// A body of which nothing comes for so long is given up.
const LONGEST_BODY_SILENCE: Duration = Duration::from_secs(10);
/// The longest from a request's head to its answer's, body included.
const LONGEST_REQUEST: Duration = Duration::from_mins(1);
/// A system that has no descriptor left is given time to get some back.
const PAUSE_AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(50);
/// Connections are files, of which a process may often have 1,024 until it asks for more.
const MOST_FILES: u64 = 65_536;

/// A running server.
pub struct Server {
    stopping: watch::Sender<bool>,
    serving: JoinHandle<GracefulShutdown>,
}

impl Server {
    /// Serves on a listener.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn start(listener: TcpListener, router: Router) -> io::Result<Self> {
        let files = rlimit::increase_nofile_limit(MOST_FILES).unwrap_or_else(|error| {
            tracing::warn!(%error, "the limit of open files cannot be raised; few connections are taken at once");
            connections::FILES_WHERE_UNKNOWN
        });
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let router = router
            // The panic is logged where it happens; its request is answered with 500, so that who sent it tries again.
            .layer(CatchPanicLayer::new())
            .layer(RequestBodyTimeoutLayer::new(LONGEST_BODY_SILENCE))
            .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, LONGEST_REQUEST));
        let (stopping, stop) = watch::channel(false);
        let connections = Connections::within(files);
        Ok(Self { stopping, serving: tokio::spawn(accept_all(listener, router, connections, stop)) })
    }

    /// Stops it after the requests that are under way, at most after `grace`.
    pub async fn stop(self, grace: Duration) {
        self.stopping.send_replace(true);
        match self.serving.await {
            Ok(connections) => {
                if timeout(grace, connections.shutdown()).await.is_err() {
                    tracing::info!("requests were still under way when the gateway stopped");
                }
            }
            Err(error) => tracing::warn!(%error, "gateway shutdown failed"),
        }
    }
}

/// Accepts until it is told to stop; gives what ends the connections that are open then.
async fn accept_all(
    listener: tokio::net::TcpListener,
    router: Router,
    connections: Arc<Connections>,
    mut stop: watch::Receiver<bool>,
) -> GracefulShutdown {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return graceful,
        };
        match accepted {
            Ok((stream, address)) => {
                let held = connections.hold();
                tokio::spawn(serve(stream, address, router.clone(), held, graceful.watcher()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(PAUSE_AFTER_FAILED_ACCEPT).await;
            }
        }
    }
}

/// Serves one connection until it ends, or has to make room for another.
async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    held: Held,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let requests = held.requests();
    let service = router.map_request(move |request: Request<_>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(address));
        request
    });
    let service = tower::service_fn(move |request| {
        let (service, busy) = (service.clone(), requests.begin());
        async move {
            let answer = service.oneshot(request).await;
            drop(busy);
            answer
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(LONGEST_HEAD);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::select! {
        // How a connection ends is its client's business.
        _ = watcher.watch(connection) => {}
        () = held.told_to_make_room() => {}
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use koala_destination::http_client;

    use super::*;

    #[tokio::test]
    async fn a_panic_in_one_request_is_a_500_and_the_server_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let panics = get(async || -> &'static str { panic!("as the test wants it") });
        let router = Router::new().route("/panics", panics).route("/well", get(async || "well"));
        let server = Server::start(listener, router).expect("a server");
        let client = http_client::builder().expect("TLS").build().expect("a client");
        for (path, status) in [("panics", 500), ("well", 200), ("panics", 500), ("well", 200)] {
            let answer = client.get(format!("{url}/{path}")).send().await.expect("an answer");
            assert_eq!(answer.status(), status, "{path}");
        }
        server.stop(Duration::from_secs(1)).await;
    }
}
