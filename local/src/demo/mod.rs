//! `koala demo`: two weeks of visits through a set of its own, the story of one person in them, and a collector that is away.
//!
//! While the story is told the collector and the intake are two sets, each with a file of its own, so that one can be stopped while
//! the other takes events in. Then they are one, whose page has both.

mod story;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use koala_collector::store::filter::Filter;
use koala_destination::clock::now_milliseconds;
use koala_destination::koala::{CollectorAddress, CollectorKind, KoalaUrl};
use koala_destination::plural::counted;
use tokio::time::sleep;

use crate::fixtures::{self, Fixture};
use crate::output::{notice, outln};
use crate::queue;
use crate::send::{Sender, Summary, bodies, secret};
use crate::set::{LocalSet, Options as SetOptions};
use crate::up;

/// The longest that deliveries may take on one machine.
const LONGEST_DELIVERY: Duration = Duration::from_secs(30);
/// How many of the events are kept for the second act, in which the collector is away.
const EVENTS_OF_THE_SECOND_ACT: usize = 10;
/// How many events a request brings, as with batching in Segment.
const BATCH: u16 = 20;

#[derive(Args)]
#[command(after_help = "Examples:
  koala demo                     runs until Ctrl-C, so that the page can be looked at
  koala demo --once              ends when the story is told
  koala demo my-events.jsonl     with events of your own")]
pub struct Options {
    /// What to send: files or folders with events. They are moved in time, so that the newest happens now.
    #[arg(default_value = "tests/events/two-weeks", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// End when the story is told, for scripts.
    #[arg(long)]
    once: bool,
    /// The parameter tree: a file each.
    #[arg(long, default_value = "local/parameters", value_name = "DIR")]
    parameters: PathBuf,
    /// The file that keeps visitors, with that of the queues beside it; what is in them is removed first.
    #[arg(long, default_value = ".koala/demo.db", value_name = "FILE")]
    data: PathBuf,
}

/// Runs the demonstration.
pub async fn run(options: Options) -> Result<ExitCode> {
    let mut events = fixtures::read(&options.files)?;
    fixtures::move_to(now_milliseconds(), &mut events)?;
    let kept_back = events.split_off(events.len().saturating_sub(EVENTS_OF_THE_SECOND_ACT.min(events.len() / 2)));
    let intake_data = options.data.with_extension("intake.db");
    remove(&options.data)?;
    remove(&intake_data)?;

    let collector = start(&options, "127.0.0.1:0", &options.data, None).await?;
    let address = collector.address;
    let deliver_to = CollectorAddress { url: Some(KoalaUrl::parse(&collector.url())?), kind: CollectorKind::Own };
    let intake = start(&options, "127.0.0.1:0", &intake_data, Some(deliver_to)).await?;
    let sender = Sender::new(&format!("{}/v1/segment", intake.url()), secret(None, &options.parameters)?)?;
    outln!(
        "A set and a collector are running. {} events go in as Segment's webhook sends them.",
        events.len() + kept_back.len()
    );
    let taken = send(&sender, &events).await;
    wait_until_delivered(&intake).await?;

    outln!("\nThe collector is stopped, and {} more events come in:", kept_back.len());
    collector.stop().await;
    let also_taken = send(&sender, &kept_back).await;
    let counts = intake.queues.counts().await?;
    outln!("  {} wait in their queues.", counted(counts.waiting + counts.in_flight, "message"));
    let collector = start(&options, &address.to_string(), &options.data, None).await?;
    wait_until_delivered(&intake).await?;
    let counts = intake.queues.counts().await?;
    outln!("  It is started again, and has them all: 0 wait, {}.", counted(counts.dead, "dead letter"));

    let (visitors, total) = collector.store.list_visitors(Filter::default(), 0, u32::MAX).await?;
    if let Some(person) = story::most_telling(&visitors) {
        story::tell(&*collector.store, person).await?;
    }
    story::companies(&*collector.store).await?;
    intake.stop().await;
    collector.stop().await;
    outln!("\n{} in all. The page: http://{address}/", counted(total, "visitor"));
    if !options.once {
        bring_queues(&intake_data, &options.data)?;
        let set = start(&options, &address.to_string(), &options.data, None).await?;
        outln!("It runs until Ctrl-C. `cargo koala up` runs a set for your own events.");
        up::until_told_to_stop().await?;
        notice!("shutting down");
        set.stop().await;
    }
    Ok(if taken + also_taken == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn start(options: &Options, listen: &str, data: &Path, deliver_to: Option<CollectorAddress>) -> Result<LocalSet> {
    LocalSet::start(SetOptions {
        listen,
        parameters: &options.parameters,
        data,
        database: None,
        token: None,
        trust_forwarded_for: false,
        deliver_to,
    })
    .await
    .with_context(|| format!("the set with the file {}", data.display()))
}

/// Sends events, says what became of them, and gives how many were accepted.
async fn send(sender: &Sender, events: &[Fixture]) -> usize {
    let Summary { accepted, skipped, rejected, .. } = sender.send_all(bodies(events, Some(BATCH)), 4, |_| ()).await;
    outln!("  {accepted} accepted, {skipped} skipped (crawlers), {rejected} rejected.");
    accepted
}

/// A file of SQLite's, with those that may stand beside it.
fn with_its_log(file: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut file = file.as_os_str().to_owned();
        file.push(suffix);
        file.into()
    })
}

/// The demonstration begins with nothing each time.
fn remove(data: &Path) -> Result<()> {
    for file in [data.to_owned(), queue::beside(data)].iter().flat_map(|file| with_its_log(file)) {
        unless_absent(std::fs::remove_file(&file)).with_context(|| format!("{} cannot be removed", file.display()))?;
    }
    Ok(())
}

/// What a stopped set counted of what it took in goes to another one, in place of what that one has.
fn bring_queues(from: &Path, to: &Path) -> Result<()> {
    for (from, to) in with_its_log(&queue::beside(from)).iter().zip(with_its_log(&queue::beside(to))) {
        unless_absent(std::fs::remove_file(&to)).with_context(|| format!("{} cannot be removed", to.display()))?;
        unless_absent(std::fs::rename(from, &to)).with_context(|| format!("{} cannot be moved", from.display()))?;
    }
    Ok(())
}

fn unless_absent(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

async fn wait_until_delivered(set: &LocalSet) -> Result<()> {
    let begun = Instant::now();
    loop {
        let counts = set.queues.counts().await?;
        if counts.waiting + counts.in_flight == 0 {
            return Ok(());
        }
        if begun.elapsed() > LONGEST_DELIVERY {
            let longest = LONGEST_DELIVERY.as_secs();
            bail!("{} not delivered after {longest} s; RUST_LOG=info shows why", counted(counts.waiting, "message"));
        }
        sleep(Duration::from_millis(50)).await;
    }
}
