//! Parameter Store, SQS and the collector as one server that answers at once, over TLS: their own time is not what is measured.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

/// What our own handlers show to `collect`.
pub const COLLECTOR_TOKEN: &str = "5f0c1b2a5f0c1b2a5f0c1b2a5f0c1b2a5f0c1b2a5f0c1b2a5f0c1b2a5f0c1b2a";
/// What opens the page.
pub const PAGE_TOKEN: &str = "9e3d7c6b9e3d7c6b9e3d7c6b9e3d7c6b9e3d7c6b9e3d7c6b9e3d7c6b9e3d7c6b";

/// A running one.
#[derive(Debug, Clone)]
pub struct Services {
    /// Where it is.
    pub url: String,
    /// The PEM file that says whom to trust.
    pub roots: PathBuf,
}

/// Starts it on a free port, with a certificate of its own in `folder`.
pub async fn serve(folder: &Path) -> Result<Services> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let roots = folder.join("roots.pem");
    std::fs::write(&roots, certified.cert.pem())?;
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)?;
    let tcp = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://localhost:{}", tcp.local_addr()?.port());
    let listener = Tls { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    Ok(Services { url, roots })
}

/// Connections whose handshake is done.
struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.tcp.accept().await else { continue };
            // An answer is small, and must not wait for another to fill a packet.
            let _ = stream.set_nodelay(true);
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

async fn answer(headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = match target.rsplit('.').next().unwrap_or_default() {
        "GetParametersByPath" if request["Path"].as_str().is_some_and(|path| path.starts_with("/koala-collector")) => {
            let parameter = |name: &str, value: &str| json!({"Name": format!("/koala-collector/bench/{name}"), "Type": "SecureString", "Value": value, "Version": 1});
            let database = std::env::var("DATABASE_URL").unwrap_or_default();
            json!({"Parameters": [parameter("database-url", &database), parameter("page-token", PAGE_TOKEN), parameter("session-key", PAGE_TOKEN)]})
        }
        "GetParametersByPath" => {
            let parameter = |name: &str, value: &str| json!({"Name": format!("/koala-destination/bench/{name}"), "Type": "SecureString", "Value": value, "Version": 1});
            // The secret is that of the fixtures.
            let secret = include_str!("../../../local/parameters/webhook-secret").trim();
            json!({"Parameters": [parameter("public-api-key", "pk_bench"), parameter("webhook-secret", secret)]})
        }
        // By their names, as `collect` asks for them; of the collector's tree there is the database alone.
        "GetParameters" => {
            let database = std::env::var("DATABASE_URL").unwrap_or_default();
            let value = |name: &str| match name.rsplit('/').next() {
                Some("public-api-key") => Some("pk_bench".to_owned()),
                Some("collector-token") => Some(COLLECTOR_TOKEN.to_owned()),
                Some("database-url") => Some(database.clone()),
                _ => None,
            };
            let names = request["Names"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let parameters: Vec<Value> = names
                .filter_map(|name| {
                    Some(json!({"Name": name, "Type": "SecureString", "Value": value(name)?, "Version": 1}))
                })
                .collect();
            json!({"Parameters": parameters, "InvalidParameters": []})
        }
        "SendMessageBatch" => {
            let sent = |entry: &Value| json!({"Id": entry["Id"], "MessageId": "00000000-0000-4000-8000-000000000000", "MD5OfMessageBody": ""});
            let sent: Vec<Value> =
                request["Entries"].as_array().map(|it| it.iter().map(sent).collect()).unwrap_or_default();
            json!({"Successful": sent, "Failed": []})
        }
        _ => json!({"ok": true}),
    };
    ([("content-type", "application/x-amz-json-1.0")], answer.to_string())
}
