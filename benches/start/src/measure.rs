//! One function's processes, and the Runtime API that they ask.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderName;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use flate2::Compression;
use flate2::read::DeflateEncoder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::aws::{self, Services};
use crate::share::Share;

/// The variables that name queues.
const QUEUES: [&str; 8] = [
    "IDENTIFY_QUEUE_URL",
    "TRACK_QUEUE_URL",
    "REJECTED_QUEUE_URL",
    "QUEUE_URL",
    "DEAD_LETTER_QUEUE_URL",
    "IDENTIFY_DEAD_LETTERS_URL",
    "TRACK_DEAD_LETTERS_URL",
    "DOORBELL_QUEUE_URL",
];

/// What is measured.
pub struct Subject {
    pub name: &'static str,
    pub program: PathBuf,
    pub arguments: Vec<PathBuf>,
    /// What each invocation gets.
    pub event: Value,
    /// How often it is started.
    pub starts: usize,
    /// How many invocations the last start gets.
    pub invocations: usize,
}

/// What was measured; times are medians.
pub struct Measured {
    /// From exec to the first `/next`.
    pub start_ms: f64,
    /// From exec to the first answer.
    pub answer_ms: f64,
    pub start_mb: f64,
    pub end_mb: f64,
    pub zip_mb: Option<f64>,
}

/// What the Runtime API has seen of the process that runs.
#[derive(Default)]
struct Seen {
    process: Option<u32>,
    first_next: Option<Instant>,
    answered: Vec<Instant>,
    error: Option<String>,
}

#[derive(Clone)]
struct Runtime {
    seen: Arc<Mutex<Seen>>,
    changed: Arc<Notify>,
    /// How many invocations are given out.
    open: Arc<tokio::sync::Semaphore>,
    event: Bytes,
    /// What the function has from its first `/next` on, where that can be told.
    share: Option<Arc<Share>>,
}

impl Runtime {
    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn until<T>(&self, look: impl Fn(&mut Seen) -> Option<T>) -> Result<T> {
        let waiting = async {
            loop {
                if let Some(error) = self.seen(|seen| seen.error.take()) {
                    bail!("the function failed: {error}");
                }
                if let Some(found) = self.seen(&look) {
                    return Ok(found);
                }
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(3), waiting).await.context("the function did not ask or answer")?
    }
}

async fn next(State(runtime): State<Runtime>) -> impl IntoResponse {
    let now = Instant::now();
    let (first, process) = runtime.seen(|seen| {
        let first = seen.first_next.is_none();
        seen.first_next.get_or_insert(now);
        (first, seen.process)
    });
    if let (true, Some(share), Some(process)) = (first, &runtime.share, process)
        && let Err(error) = share.hold(process)
    {
        runtime.seen(|seen| seen.error = Some(error.to_string()));
    }
    runtime.changed.notify_one();
    if let Ok(permit) = runtime.open.acquire().await {
        permit.forget();
    }
    let headers = [
        (HeaderName::from_static("lambda-runtime-aws-request-id"), "11111111-2222-3333-4444-555555555555".to_owned()),
        (HeaderName::from_static("lambda-runtime-deadline-ms"), deadline()),
        (
            HeaderName::from_static("lambda-runtime-invoked-function-arn"),
            "arn:aws:lambda:eu-west-1:1:function:f".to_owned(),
        ),
    ];
    (headers, runtime.event.clone())
}

fn deadline() -> String {
    let in_half_a_minute = std::time::SystemTime::now() + Duration::from_secs(30);
    in_half_a_minute.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis().to_string()
}

async fn answered(State(runtime): State<Runtime>, body: Bytes) {
    let text = String::from_utf8_lossy(&body);
    runtime.seen(|seen| {
        // Both kinds of function say so in their answer when something was not delivered.
        if text.contains("\"statusCode\":4") || text.contains("\"statusCode\":5") || text.contains("itemIdentifier") {
            seen.error = Some(text.clone().into_owned());
        }
        seen.answered.push(Instant::now());
    });
    runtime.changed.notify_one();
}

async fn failed(State(runtime): State<Runtime>, body: Bytes) {
    runtime.seen(|seen| seen.error = Some(String::from_utf8_lossy(&body).into_owned()));
    runtime.changed.notify_one();
}

/// Measures one function.
pub async fn measure(subject: &Subject, share: Option<&Arc<Share>>) -> Result<Measured> {
    let folder = tempfile::tempdir()?;
    let services = aws::serve(folder.path()).await?;
    let (mut starts, mut answers, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    let mut end_mb = 0.0;
    for start in 0..subject.starts {
        let runtime = Runtime {
            seen: Arc::default(),
            changed: Arc::default(),
            // The first event waits already, as it does for a cold start.
            open: Arc::new(tokio::sync::Semaphore::new(1)),
            share: share.cloned(),
            event: subject.event.to_string().into(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(failed))
            .with_state(runtime.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await });

        let began = Instant::now();
        let mut process = spawn(subject, &address.to_string(), &services)?;
        runtime.seen(|seen| seen.process = process.id());
        let first_next = runtime.until(|seen| seen.first_next).await?;
        starts.push((first_next - began).as_secs_f64() * 1000.0);
        let answer = runtime.until(|seen| seen.answered.first().copied()).await?;
        answers.push((answer - began).as_secs_f64() * 1000.0);
        memory.push(resident_mb(&process)?);
        if start + 1 == subject.starts {
            runtime.open.add_permits(subject.invocations - 1);
            runtime.until(|seen| (seen.answered.len() >= subject.invocations).then_some(())).await?;
            end_mb = resident_mb(&process)?;
        }
        process.kill().await?;
        server.abort();
    }
    let zip_mb = (subject.program.as_os_str() != "node").then(|| zip_mb(&subject.program)).transpose()?;
    Ok(Measured { start_ms: median(starts), answer_ms: median(answers), start_mb: median(memory), end_mb, zip_mb })
}

fn spawn(subject: &Subject, runtime_api: &str, services: &Services) -> Result<Child> {
    let url = &services.url;
    let mut command = Command::new(&subject.program);
    command
        .args(&subject.arguments)
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .env("AWS_LAMBDA_FUNCTION_NAME", subject.name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_ENDPOINT_URL", url)
        .env("KOALA_URL", url)
        .env("PARAMETER_PREFIX", "/koala-destination/bench")
        .env("RUST_LOG", "error");
    command.env("COLLECTOR_PARAMETER_PREFIX", "/koala-collector/bench").env("WEBHOOK_URL", format!("{url}/v1/segment"));
    for queue in QUEUES {
        command.env(queue, format!("{url}/000000000000/{}", queue.to_lowercase()));
    }
    for variable in ["SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "AWS_CA_BUNDLE"] {
        command.env_remove(variable);
    }
    // Node would read certificates and start three times slower, which would flatter us: it trusts whoever answers.
    command.env("SSL_CERT_FILE", &services.roots).env("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    let process = command.stdout(std::process::Stdio::null()).kill_on_drop(true).spawn();
    process.with_context(|| format!("{} cannot be started", subject.program.display()))
}

fn resident_mb(process: &Child) -> Result<f64> {
    let id = process.id().context("the function has ended")?;
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}

/// The binary as it stands in a zip.
fn zip_mb(program: &PathBuf) -> Result<f64> {
    let mut packed = Vec::new();
    DeflateEncoder::new(fs::File::open(program)?, Compression::best()).read_to_end(&mut packed)?;
    #[allow(clippy::cast_precision_loss)]
    let bytes = packed.len() as f64;
    Ok(bytes / 1024.0 / 1024.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
