//! `koala send`: events from files to a set, signed as Segment signs them.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use koala_destination::clock::now_milliseconds;
use koala_destination::http_client;
use koala_destination::plural::counted;
use koala_destination::segment::SharedSecret;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::fixtures::{self, Fixture};
use crate::output::outln;

/// From this many requests on, a terminal shows a progress bar in place of a line for each.
const MANY: usize = 40;
/// What Segment gives an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What `koala send` is asked for.
#[derive(Args)]
#[command(after_help = "Examples:
  koala send tests/events                          every fixture, one request each
  koala send --batch 10 tests/events/batch.json    arrays, as Segment sends with batching on
  koala send --now tests/events/two-weeks          two weeks of visits, the last of them now
  cat events.jsonl | koala send -                  JSON lines from standard input
  koala send --url https://… --secret … FILE       to a deployed stack

Exit status: 0 every event was accepted or skipped, 1 some were rejected or refused, 2 nothing could be sent.")]
pub struct Options {
    /// Files with one JSON event, an array, or JSON lines; a folder stands for its .json and .jsonl files, - for stdin.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where to send: the whole URL of the webhook route.
    #[arg(long, env = "KOALA_SEND_URL", default_value = "http://127.0.0.1:8787/v1/segment")]
    url: String,
    /// The webhook's shared secret; without it, the first of the parameter webhook-secret.
    #[arg(long, env = "KOALA_WEBHOOK_SECRET", hide_env_values = true)]
    secret: Option<SecretString>,
    /// Where the parameter webhook-secret is.
    #[arg(long, default_value = "local/parameters", value_name = "DIR")]
    parameters: PathBuf,
    /// Send arrays of up to N events; Segment signs the first event of each.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    batch: Option<u16>,
    /// Move the events in time, all by the same, so that the newest happens now.
    #[arg(long)]
    now: bool,
    /// How many requests are under way at once.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Print a JSON line for each request and one for the summary.
    #[arg(long)]
    json: bool,
}

/// One request and what came of it.
#[derive(Serialize)]
pub struct Posted {
    file: PathBuf,
    events: usize,
    status: Option<u16>,
    accepted: usize,
    skipped: usize,
    rejected: usize,
    /// The reasons of what was rejected, or why there is no answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// All requests together.
#[derive(Serialize, Default)]
pub struct Summary {
    events: usize,
    requests: usize,
    /// Events that a mapping took.
    pub accepted: usize,
    /// Events that none took, or that are kept out.
    pub skipped: usize,
    /// Events that can never be delivered.
    pub rejected: usize,
    /// Events in requests that were refused whole or not answered.
    refused: usize,
    seconds: f64,
}

/// The answer of intake.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    accepted: usize,
    skipped: usize,
    rejected: Vec<Rejected>,
    error: Option<AnswerError>,
}

#[derive(Deserialize)]
struct Rejected {
    index: usize,
    message_id: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
struct AnswerError {
    message: String,
}

/// Sends what the options name.
///
/// # Errors
/// When the files or the secret cannot be read.
pub async fn run(options: Options) -> Result<ExitCode> {
    let mut fixtures = fixtures::read(&options.files)?;
    if options.now {
        fixtures::move_to(now_milliseconds(), &mut fixtures)?;
    }
    let secret = secret(options.secret.as_ref(), &options.parameters)?;
    let bodies = bodies(&fixtures, options.batch);
    let sender = Sender::new(&options.url, secret)?;
    let bar =
        (!options.json && bodies.len() >= MANY && std::io::stderr().is_terminal()).then(|| progress(bodies.len()));
    let print = |posted: &Posted| match &bar {
        Some(bar) => bar.inc(1),
        None if options.json => outln!("{}", serde_json::to_string(posted).unwrap_or_default()),
        None => posted.print(),
    };
    let summary = sender.send_all(bodies, usize::from(options.concurrency), print).await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    if options.json {
        outln!("{}", serde_json::to_string(&summary)?);
    } else {
        summary.print();
    }
    Ok(if summary.refused == summary.events {
        ExitCode::from(2)
    } else {
        ExitCode::from(u8::from(summary.rejected + summary.refused > 0))
    })
}

/// The secret that signs: given, or the first line of the parameter.
///
/// # Errors
/// When there is none.
pub fn secret(given: Option<&SecretString>, parameters: &Path) -> Result<SharedSecret> {
    if let Some(given) = given {
        return Ok(SharedSecret::parse(given.expose_secret())?);
    }
    let file = parameters.join("webhook-secret");
    let text: SecretString = std::fs::read_to_string(&file)
        .with_context(|| format!("no --secret is given, and {} cannot be read", file.display()))?
        .into();
    let Some(first) = text.expose_secret().lines().map(str::trim).find(|line| !line.is_empty()) else {
        bail!("{} is empty", file.display());
    };
    Ok(SharedSecret::parse(first)?)
}

/// One request's body: an event, or an array of up to `batch` events of one file, with the bytes that Segment signs.
pub struct Body {
    file: PathBuf,
    events: usize,
    text: String,
    signed: String,
}

/// The bodies that carry `fixtures`.
pub fn bodies(fixtures: &[Fixture], batch: Option<u16>) -> Vec<Body> {
    let most = batch.map_or(1, usize::from);
    let same_file = fixtures.chunk_by(|one, next| batch.is_some() && one.file == next.file);
    let chunks = same_file.flat_map(|of_a_file| of_a_file.chunks(most));
    chunks
        .map(|events| {
            let texts: Vec<&str> = events.iter().map(|fixture| fixture.event.get()).collect();
            Body {
                file: events[0].file.clone(),
                events: events.len(),
                text: if batch.is_some() { format!("[{}]", texts.join(",")) } else { texts[0].to_owned() },
                signed: texts[0].to_owned(),
            }
        })
        .collect()
}

/// What posts bodies to a set.
pub struct Sender {
    http: reqwest::Client,
    url: String,
    secret: SharedSecret,
}

impl Sender {
    /// A sender to the webhook route at `url`.
    ///
    /// # Errors
    /// When there is no HTTP client.
    pub fn new(url: &str, secret: SharedSecret) -> Result<Self> {
        let http = http_client::builder()?.timeout(ANSWER_TIMEOUT).user_agent("Segment.io/1.0 (koala send)").build()?;
        Ok(Self { http, url: url.to_owned(), secret })
    }

    /// Sends all bodies, `concurrency` at once, and tells each as it is answered.
    pub async fn send_all(&self, bodies: Vec<Body>, concurrency: usize, mut each: impl FnMut(&Posted)) -> Summary {
        let begun = Instant::now();
        let mut summary = Summary::default();
        // Not `buffer_unordered`: the lines come in the order of the files.
        let mut posts = stream::iter(bodies).map(|body| self.send(body)).buffered(concurrency);
        while let Some(posted) = posts.next().await {
            each(&posted);
            summary.add(&posted);
        }
        summary.seconds = begun.elapsed().as_secs_f64();
        summary
    }

    async fn send(&self, body: Body) -> Posted {
        let Body { file, events, text, signed } = body;
        let request = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("x-signature", self.secret.sign(signed.as_bytes()).to_string())
            .body(text);
        let (status, answer) = match request.send().await {
            Ok(response) => (Some(response.status().as_u16()), response.text().await.unwrap_or_default()),
            Err(error) => {
                let error = anyhow::Error::from(error.without_url());
                let problems = vec![format!("{}: {error:#}", self.url)];
                return Posted { file, events, status: None, accepted: 0, skipped: 0, rejected: 0, problems };
            }
        };
        let answer: Answer = serde_json::from_str(&answer).unwrap_or_default();
        let mut problems: Vec<String> = answer.error.into_iter().map(|error| error.message).collect();
        problems.extend(answer.rejected.iter().map(|Rejected { index, message_id, reason }| match message_id {
            Some(id) => format!("event {index} ({id}): {reason}"),
            None => format!("event {index}: {reason}"),
        }));
        let Answer { accepted, skipped, rejected, .. } = answer;
        Posted { file, events, status, accepted, skipped, rejected: rejected.len(), problems }
    }
}

impl Posted {
    /// A line for people, and one more for each problem.
    pub fn print(&self) {
        let status = self.status.map_or_else(|| "---".to_owned(), |status| status.to_string());
        let Self { accepted, skipped, rejected, .. } = self;
        outln!("{status}  accepted {accepted}  skipped {skipped}  rejected {rejected}  {}", self.file.display());
        for problem in &self.problems {
            outln!("     {problem}");
        }
    }
}

impl Summary {
    fn add(&mut self, posted: &Posted) {
        self.events += posted.events;
        self.requests += 1;
        self.accepted += posted.accepted;
        self.skipped += posted.skipped;
        self.rejected += posted.rejected;
        self.refused += posted.events.saturating_sub(posted.accepted + posted.skipped + posted.rejected);
    }

    /// A line for people.
    pub fn print(&self) {
        let Self { events, requests, accepted, skipped, rejected, refused, seconds } = self;
        outln!(
            "{} in {}, {seconds:.1} s: {accepted} accepted, {skipped} skipped, {rejected} rejected, {refused} refused",
            counted(*events, "event"),
            counted(*requests, "request")
        );
    }
}

fn progress(requests: usize) -> ProgressBar {
    let bar = ProgressBar::new(requests as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} requests  {per_sec}  {eta} left") {
        bar.set_style(style);
    }
    bar
}
