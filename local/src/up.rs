//! `koala up`: the whole set until Ctrl-C.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use koala_collector::credentials::PageTokens;
use koala_collector::store::postgres::DatabaseUrl;
use koala_destination::settings::Settings;
use secrecy::{ExposeSecret, SecretString};
use tokio::signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::output::{notice, say};
use crate::queue;
use crate::set::{LocalSet, Options as SetOptions, PageState};

/// Sent to a process that writes beyond its limit of a file's size (`ulimit -f`); the number on Linux and on a Mac.
const SIGXFSZ: i32 = 25;

#[derive(Args)]
#[command(after_help = "Examples:
  koala up                                       everything here, events at http://127.0.0.1:8787/v1/segment
  koala up --listen 127.0.0.1:0 --data other.db  a free port, and a file of its own
  koala up --database postgres://koala@db/koala  visitors in PostgreSQL, queues in the file
  KOALA_URL=https://collector.example koala up   deliver to another collector

Other settings are environment variables; docs/settings.md lists them.")]
pub struct Options {
    /// Where to listen.
    #[arg(long, env = "KOALA_LISTEN", default_value = "127.0.0.1:8787", value_name = "ADDRESS:PORT")]
    listen: String,
    /// The parameter tree: a file each.
    #[arg(long, default_value = "local/parameters", value_name = "DIR")]
    parameters: PathBuf,
    /// The file that keeps visitors where there is no database; the queues are in `koala.queue.db` beside it.
    #[arg(long, default_value = ".koala/koala.db", value_name = "FILE")]
    data: PathBuf,
    /// A PostgreSQL database that keeps visitors in place of the file; several sets may share it.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "postgres://…")]
    database: Option<SecretString>,
    /// What opens the page and the API to others, at least 32 random bytes: needed on any address but this machine's own.
    #[arg(long, env = "KOALA_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<SecretString>,
    /// Take a visitor's address from the X-Forwarded-For or Forwarded header of the proxy before the set.
    #[arg(long, env = "KOALA_TRUST_FORWARDED_FOR")]
    trust_forwarded_for: bool,
}

impl Options {
    /// The database, unless the variable is set to nothing.
    fn database(&self) -> Result<Option<DatabaseUrl>> {
        let url = set_to_something(self.database.as_ref());
        url.map(DatabaseUrl::parse).transpose().context("--database or DATABASE_URL")
    }
}

/// Runs until Ctrl-C, a SIGTERM or a SIGHUP.
pub async fn run(options: Options) -> Result<ExitCode> {
    // A file that may grow no further fails to be written, and ends nothing: by default this signal ends the process.
    let _file_too_large = signal(SignalKind::from_raw(SIGXFSZ))?;
    let token = set_to_something(options.token.as_ref())
        .map(PageTokens::parse)
        .transpose()
        .context("--token or KOALA_TOKEN")?;
    let set = LocalSet::start(SetOptions {
        listen: &options.listen,
        parameters: &options.parameters,
        data: &options.data,
        database: options.database()?,
        token,
        trust_forwarded_for: options.trust_forwarded_for,
        deliver_to: None,
    })
    .await?;
    introduce(&set, &options).await?;
    until_told_to_stop().await?;
    notice!("shutting down; undelivered events are kept in {}", queue::beside(&options.data).display());
    set.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Waits for Ctrl-C, a SIGTERM or a SIGHUP.
pub async fn until_told_to_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = (!ignores_hangup()).then(|| signal(SignalKind::hangup())).transpose()?;
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = signal::ctrl_c() => ended?,
        _ = terminate.recv() => {}
        _ = hung_up => {}
    }
    Ok(())
}

async fn introduce(set: &LocalSet, options: &Options) -> Result<()> {
    let url = set.url();
    let settings = set.settings.current().await?;
    say!("The Koala destination for Segment is running.");
    say!("  events to     {url}/v1/segment");
    match set.page {
        PageState::Closed => {
            say!("  page, API     closed: others can reach this address; set --token or KOALA_TOKEN to allow access");
        }
        PageState::AsksForToken => {
            say!("  page          {url}/ (asks for the token once)");
            say!("  API           {url}/api/visitors (Authorization: Bearer)");
        }
        PageState::Open => {
            say!("  page          {url}/");
            say!("  API           {url}/api/visitors");
        }
    }
    if set.page == PageState::AsksForToken && !set.address.ip().is_loopback() {
        notice!(
            "the page is served over plain HTTP: its token can be read on the network; put a proxy with HTTPS in front of it"
        );
    }
    if set.delivers_to_itself() {
        say!("  delivers to   the collector in here (KOALA_URL sends elsewhere)");
    } else {
        say!("  delivers to   {}", set.koala_url);
    }
    say!("  parameters    {}", options.parameters.display());
    say!("  data          {}", options.data.display());
    if let Some(database) = options.database()? {
        say!("  visitors in   {database}");
    }
    say!("Send one:");
    say!("  {}", curl(&url, &settings, &options.parameters));
    Ok(())
}

/// A variable that is set to nothing counts as not set.
fn set_to_something(secret: Option<&SecretString>) -> Option<&str> {
    secret.map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty())
}

/// Whether the process was started so that it outlives its terminal, as `nohup` does.
fn ignores_hangup() -> bool {
    // A bit for each signal that is ignored, in hexadecimal; that of SIGHUP, which is 1, is the lowest.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// A line that signs and sends one event. Secrets are read when it is run: what is printed is no right to send.
fn curl(url: &str, settings: &Settings, parameters: &Path) -> String {
    let event = r#"{"type":"track","messageId":"from-curl-1","userId":"u-1","event":"Signed Up","properties":{"plan":"Team","email":"ada@example.com"}}"#;
    let secret = |name: &str| {
        // As the directory is read: with `.txt` or without.
        let file =
            [name, &format!("{name}.txt")].map(|name| parameters.join(name)).into_iter().find(|file| file.exists());
        let file = quoted(&file.unwrap_or_else(|| parameters.join(name)).to_string_lossy());
        format!("$(grep -m 1 -o '[^[:space:]].*[^[:space:]]' {file})")
    };
    let credentials = if settings.credentials().webhook_secrets.is_empty() {
        format!("authorization: Bearer {}", secret("bearer-token"))
    } else {
        let hmac = format!("openssl dgst -sha1 -hmac \"{}\" -r", secret("webhook-secret"));
        format!("x-signature: $(printf %s '{event}' | {hmac} | cut -d ' ' -f 1)")
    };
    format!("curl -X POST {url}/v1/segment -H 'content-type: application/json' -H \"{credentials}\" -d '{event}'")
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
