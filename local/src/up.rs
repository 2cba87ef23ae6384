//! `koala up`: the whole set until Ctrl-C.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use koala_destination::settings::{Settings, Token};
use tokio::signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::output::{notice, say};
use crate::set::{LocalSet, Options as SetOptions};

#[derive(Args)]
#[command(after_help = "Examples:
  koala up                                       everything here, events at http://127.0.0.1:8787/v1/segment
  koala up --listen 127.0.0.1:0 --data other.db  a free port, and a file of its own
  KOALA_URL=https://collector.example koala up   deliver to another collector

Other settings are environment variables; the README lists them.")]
pub struct Options {
    /// Where to listen.
    #[arg(long, env = "KOALA_LISTEN", default_value = "127.0.0.1:8787", value_name = "ADDRESS:PORT")]
    listen: String,
    /// The parameter tree: a file each.
    #[arg(long, default_value = "local/parameters", value_name = "DIR")]
    parameters: PathBuf,
    /// The file that keeps queues and visitors.
    #[arg(long, default_value = ".koala/koala.db", value_name = "FILE")]
    data: PathBuf,
    /// What opens the page and the API to others: needed on any address but this machine's own.
    #[arg(long, env = "KOALA_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

/// Runs until Ctrl-C or a SIGTERM.
pub async fn run(options: Options) -> Result<ExitCode> {
    let set = LocalSet::start(SetOptions {
        listen: &options.listen,
        parameters: &options.parameters,
        data: &options.data,
        token: options.token.as_deref().and_then(Token::parse),
        koala_url: None,
    })
    .await?;
    introduce(&set, &options).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = signal::ctrl_c() => ended?,
        _ = terminate.recv() => {}
    }
    notice!("ending; what was accepted and is not delivered waits in {}", options.data.display());
    set.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn introduce(set: &LocalSet, options: &Options) -> Result<()> {
    let url = set.url();
    let settings = set.settings.current().await?;
    say!("The Koala destination for Segment is up.");
    say!("  events to     {url}/v1/segment");
    say!("  page          {url}/");
    say!("  API           {url}/api/visitors");
    if set.delivers_to_itself() {
        say!("  delivers to   the collector in here (KOALA_URL sends elsewhere)");
    } else {
        say!("  delivers to   {}", set.koala_url);
    }
    say!("  parameters    {}", options.parameters.display());
    say!("  data          {}", options.data.display());
    say!("Send one:");
    say!("  {}", curl(&url, &settings, &options.parameters));
    Ok(())
}

/// A line that sends one event with a proof that is right. Of the secrets themselves none is printed.
fn curl(url: &str, settings: &Settings, parameters: &Path) -> String {
    let event = r#"{"type":"track","messageId":"from-curl-1","userId":"u-1","event":"Signed Up","properties":{"plan":"Team","email":"ada@example.com"}}"#;
    let proof = match settings.proofs().webhook_secrets.first() {
        Some(secret) => format!("-H 'x-signature: {}'", secret.sign(event.as_bytes())),
        None => format!("-H \"authorization: Bearer $(head -n 1 {}/bearer-token)\"", parameters.display()),
    };
    format!("curl -X POST {url}/v1/segment -H 'content-type: application/json' {proof} -d '{event}'")
}
