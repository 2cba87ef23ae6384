//! `koala redrive`: dead letters back to their queues, to be mapped and sent again.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use koala_collector::store::sqlite::MIGRATIONS;
use koala_collector::store::sqlite::file::{FileError, SqliteFile};
use koala_destination::http_client;
use koala_destination::plural::counted;
use koala_destination::segment::Function;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::output::outln;
use crate::queue::Queues;

/// What a running set may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Args)]
#[command(after_help = "Examples:
  koala redrive                          all dead letters, of a set that runs or of its file
  koala redrive --queue track-event      those of one queue

Run it after what made them dead is fixed: they are mapped again, with the mappings as they are then.")]
pub struct Options {
    /// Only the dead letters of this queue.
    #[arg(long, value_name = "identify-visitor|track-event")]
    queue: Option<Function>,
    /// The file of the set, for when no set runs on it; its queues are in `koala.queue.db` beside it.
    #[arg(long, default_value = ".koala/koala.db", value_name = "FILE")]
    data: PathBuf,
    /// The set that runs on the file.
    #[arg(long, default_value = "http://127.0.0.1:8787")]
    url: String,
    /// Its token, where it has one.
    #[arg(long, env = "KOALA_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<SecretString>,
}

/// Runs the command.
pub async fn run(options: Options) -> Result<ExitCode> {
    if !options.data.exists() {
        bail!("{} not found: name the file of the set with --data", options.data.display());
    }
    let queue = options.queue;
    let redriven = match SqliteFile::open(&options.data, &MIGRATIONS) {
        Ok(file) => Queues::open(&file).await?.redrive(queue).await?,
        Err(FileError::InUse(_)) => ask(&options, queue).await?,
        Err(error) => return Err(error.into()),
    };
    outln!("{} requeued.", counted(redriven, "dead letter"));
    Ok(ExitCode::SUCCESS)
}

/// Has the running set do it.
async fn ask(options: &Options, queue: Option<Function>) -> Result<u64> {
    let url = format!("{}/api/redrive", options.url.trim_end_matches('/'));
    let mut request = http_client::builder()?.timeout(ANSWER_TIMEOUT).build()?.post(&url);
    // Of several tokens any serves.
    let token = options.token.as_ref().map(ExposeSecret::expose_secret);
    if let Some(token) = token.and_then(|token| token.lines().map(str::trim).find(|it| !it.is_empty())) {
        request = request.bearer_auth(token);
    }
    let body = json!({"queue": queue.map(Function::name)}).to_string();
    let answer = request.header("content-type", "application/json").body(body).send().await;
    let answer = answer.with_context(|| format!("a set runs on the file, and is not at {url}: name it with --url"))?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        bail!("{url} requires a token; pass --token or set KOALA_TOKEN");
    }
    let answer: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
    answer["redriven"].as_u64().with_context(|| format!("{url} answers {answer}"))
}
