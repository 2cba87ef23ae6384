//! `koala demo`: a set of its own, the fixtures sent to it, and the visitors that arrive.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use koala_collector::store::filter::Filter;
use koala_collector::store::visitor::Visitor;
use tokio::time::sleep;

use crate::fixtures;
use crate::output::outln;
use crate::queue;
use crate::send::{Posted, Sender, bodies, secret};
use crate::set::{LocalSet, Options as SetOptions};

/// The longest that deliveries may take on one machine.
const LONGEST_DELIVERY: Duration = Duration::from_secs(30);

#[derive(Args)]
#[command(after_help = "Example:
  koala demo
  koala demo my-events.jsonl")]
pub struct Options {
    /// What to send: files or folders with events.
    #[arg(default_values = ["tests/events", "tests/events/bad"], value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The parameter tree: a file each.
    #[arg(long, default_value = "local/parameters", value_name = "DIR")]
    parameters: PathBuf,
    /// The file that keeps queues and visitors; what is in it is removed first.
    #[arg(long, default_value = ".koala/demo.db", value_name = "FILE")]
    data: PathBuf,
}

/// Runs the demonstration.
pub async fn run(options: Options) -> Result<ExitCode> {
    let fixtures = fixtures::read(&options.files)?;
    remove(&options.data)?;
    let set = LocalSet::start(SetOptions {
        listen: "127.0.0.1:0",
        parameters: &options.parameters,
        data: &options.data,
        token: None,
        trust_forwarded_for: false,
        koala_url: None,
    })
    .await?;
    outln!("A set is up at {}. Sending {} events as Segment's webhook does:\n", set.url(), fixtures.len());

    let sender = Sender::new(&format!("{}/v1/segment", set.url()), secret(None, &options.parameters)?)?;
    let summary = sender.send_all(bodies(&fixtures, None), 4, Posted::print).await;
    summary.print();

    wait_until_delivered(&set).await?;
    let (visitors, total) = set.store.list_visitors(Filter::default(), 0, 50).await?;
    outln!("\n{total} visitors arrived at the collector:\n");
    print_visitors(&visitors);
    let counts = set.queues.counts().await?;
    outln!("\nKept aside: {} rejected at intake, and {} dead letters:", counts.rejected, counts.dead);
    for letter in set.queues.dead_letters(50).await? {
        outln!("  {:<18}{}", letter.queue, letter.reason);
    }
    outln!("\nRun it for yourself with `cargo koala up`.");
    set.stop().await;
    Ok(if total == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The demonstration begins with nothing each time.
fn remove(data: &Path) -> Result<()> {
    let files = [data.to_owned(), queue::beside(data)];
    for (file, suffix) in files.iter().flat_map(|file| ["", "-wal", "-shm"].map(|suffix| (file, suffix))) {
        let mut file = file.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                bail!("{} cannot be removed: {error}", Path::new(&file).display())
            }
            _ => {}
        }
    }
    Ok(())
}

async fn wait_until_delivered(set: &LocalSet) -> Result<()> {
    let begun = Instant::now();
    loop {
        let counts = set.queues.counts().await?;
        if counts.waiting + counts.in_flight == 0 {
            return Ok(());
        }
        if begun.elapsed() > LONGEST_DELIVERY {
            bail!(
                "{} messages are not delivered after {} s; RUST_LOG=info shows why",
                counts.waiting,
                LONGEST_DELIVERY.as_secs()
            );
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn print_visitors(visitors: &[Visitor]) {
    outln!("{:<40}{:>7}{:>11}  {:<26}traits", "visitor", "events", "identifies", "last seen");
    for visitor in visitors {
        let name = visitor.emails.first().or(visitor.anonymous_ids.first()).map_or("", String::as_str);
        let traits: Vec<&str> = visitor.traits.keys().map(String::as_str).collect();
        outln!(
            "{name:<40}{:>7}{:>11}  {:<26}{}",
            visitor.events,
            visitor.identifies,
            visitor.last_seen,
            traits.join(", ")
        );
    }
}
