//! The HTTP server under the gateway: it holds out against clients that are slow, silent or many.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use hyper_util::rt::TokioTimer;
use tokio::task::JoinHandle;

/// A connection that sends no whole head of a request for so long is closed: a new one, and one that is kept alive.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
/// Connections are files, of which a process may often have 1,024 until it asks for more.
const MOST_FILES: u64 = 65_536;

/// A running server.
pub struct Server {
    handle: Handle<SocketAddr>,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Serves on a listener.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn start(listener: TcpListener, router: Router) -> io::Result<Self> {
        if let Err(error) = rlimit::increase_nofile_limit(MOST_FILES) {
            tracing::warn!(%error, "the process may have few connections at once");
        }
        let handle = Handle::new();
        let mut server = axum_server::from_tcp(listener)?.handle(handle.clone());
        server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(LONGEST_SILENCE);
        let serving = tokio::spawn(server.serve(router.into_make_service_with_connect_info::<SocketAddr>()));
        Ok(Self { handle, serving })
    }

    /// Ends it after the requests that are under way, at most for `grace`.
    pub async fn stop(self, grace: Duration) {
        self.handle.graceful_shutdown(Some(grace));
        if let Ok(Err(error)) = self.serving.await {
            tracing::warn!(%error, "the gateway did not end well");
        }
    }
}
