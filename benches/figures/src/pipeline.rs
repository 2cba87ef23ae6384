//! `koala-bench pipeline`: many events through a whole set to a collector that is slow and fails now and then.
//!
//! What it shows is that nothing is lost and nothing doubled, how many requests Koala gets, and how fast it goes. Generator,
//! set and collector share the machine and the process, so that the speed is a lower bound.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use koala_destination::koala::{CollectorAddress, CollectorKind, KoalaUrl};
use koala_destination::segment::SharedSecret;
use koala_local::fixtures::Fixture;
use koala_local::output::outln;
use koala_local::send::{Sender, bodies};
use koala_local::set::{LocalSet, Options as SetOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

/// How long the deliveries may take after the last post.
const LONGEST_DELIVERY: Duration = Duration::from_mins(5);
/// Events of a visitor come in bursts of as many, as sessions are.
const BURST: u32 = 10;
const SECRET: &str = "a-secret-of-the-benchmark";

#[derive(Args)]
#[command(after_help = "Example:
  cargo run --release --package koala-bench -- pipeline

Exit status: 0 every event arrived once, 1 not.")]
pub struct Options {
    /// How many events.
    #[arg(long, default_value_t = 100_000)]
    events: u32,
    /// Of how many visitors; each sends bursts of ten.
    #[arg(long, default_value_t = 5_000)]
    visitors: u32,
    /// How long the collector takes for an answer, in milliseconds.
    #[arg(long, default_value_t = 20)]
    answer_milliseconds: u64,
    /// How many of a hundred requests it answers with 500.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=99))]
    failing_percent: u8,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the benchmark.
pub async fn run(options: Options) -> Result<ExitCode> {
    let folder = std::env::temp_dir().join(format!("koala-bench-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("parameters"))?;
    std::fs::write(folder.join("parameters/public-api-key"), "pk_bench")?;
    std::fs::write(folder.join("parameters/webhook-secret"), SECRET)?;
    let measured = measure(&options, &folder).await;
    // A folder of our own; what is left of it harms nobody.
    let _ = std::fs::remove_dir_all(&folder);
    let measured = measured?;
    if options.json {
        outln!("{}", measured.json());
    } else {
        measured.print();
    }
    Ok(ExitCode::from(u8::from(measured.lost + measured.doubled > 0)))
}

struct Measured {
    events: usize,
    posted_seconds: f64,
    delivered_seconds: f64,
    requests: usize,
    lost: usize,
    doubled: usize,
    memory_megabytes: Option<f64>,
}

async fn measure(options: &Options, folder: &std::path::Path) -> Result<Measured> {
    let collector = Arc::new(Collector::new(options));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let koala_url = KoalaUrl::parse(&format!("http://{}", listener.local_addr()?))?;
    let router = Router::new().fallback(take).with_state(Arc::clone(&collector));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let set = LocalSet::start(SetOptions {
        listen: "127.0.0.1:0",
        parameters: &folder.join("parameters"),
        data: &folder.join("koala.db"),
        database: None,
        token: None,
        trust_forwarded_for: false,
        deliver_to: Some(CollectorAddress { url: Some(koala_url), kind: CollectorKind::Koala }),
    })
    .await?;

    let sender = Sender::new(&format!("{}/v1/segment", set.url()), SharedSecret::parse(SECRET)?)?;
    let bodies = bodies(&events(options), Some(u16::try_from(BURST)?));
    let bar = ProgressBar::new(u64::from(options.events));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} events arrived  {elapsed}") {
        bar.set_style(style);
    }
    let begun = Instant::now();
    sender.send_all(bodies, 8, |_| {}).await;
    let posted = begun.elapsed();
    loop {
        bar.set_position(collector.arrived() as u64);
        let counts = set.queues.counts().await?;
        if counts.waiting + counts.in_flight == 0 || begun.elapsed() > posted + LONGEST_DELIVERY {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    let delivered = begun.elapsed();
    bar.finish_and_clear();
    set.stop().await;
    server.abort();

    let taken = collector.taken.lock().unwrap_or_else(PoisonError::into_inner);
    let events = options.events as usize;
    Ok(Measured {
        events,
        posted_seconds: posted.as_secs_f64(),
        delivered_seconds: delivered.as_secs_f64(),
        requests: taken.requests,
        lost: events - taken.message_ids.len(),
        doubled: taken.message_ids.values().filter(|times| **times > 1).count(),
        memory_megabytes: peak_memory(),
    })
}

/// Bursts of visitors in random order, the events of a burst one after the other.
fn events(options: &Options) -> Vec<Fixture> {
    let bursts = options.events.div_ceil(BURST);
    let mut visitors: Vec<u32> = (0..bursts).map(|burst| burst % options.visitors.max(1)).collect();
    fastrand::shuffle(&mut visitors);
    let events = visitors.iter().enumerate().flat_map(|(burst, visitor)| {
        (0..BURST).map(move |n| {
            json!({
                "type": "track", "messageId": format!("bench-{burst}-{n}"), "event": "Page Viewed",
                "timestamp": format!("2026-11-20T09:00:{n:02}.000Z"), "userId": format!("u-{visitor}"),
                "properties": {"email": format!("visitor-{visitor}@example.com"), "path": "/pricing", "step": n},
                "context": {"ip": "203.0.113.7", "library": {"name": "@segment/analytics-node", "version": "2.3.0"}},
            })
        })
    });
    let fixture = |event: Value| Fixture {
        file: "bench".into(),
        event: serde_json::value::to_raw_value(&event).unwrap_or_default(),
    };
    events.take(options.events as usize).map(fixture).collect()
}

/// The collector of the benchmark.
struct Collector {
    answer_after: Duration,
    failing: f64,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    requests: usize,
    message_ids: HashMap<String, usize>,
}

impl Collector {
    fn new(options: &Options) -> Self {
        Self {
            answer_after: Duration::from_millis(options.answer_milliseconds),
            failing: f64::from(options.failing_percent) / 100.0,
            taken: Mutex::default(),
        }
    }

    fn arrived(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).message_ids.len()
    }
}

async fn take(State(collector): State<Arc<Collector>>, body: Bytes) -> StatusCode {
    sleep(collector.answer_after).await;
    let fails = fastrand::f64() < collector.failing;
    let mut taken = collector.taken.lock().unwrap_or_else(PoisonError::into_inner);
    taken.requests += 1;
    if fails {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    for entry in body["events"].as_array().into_iter().flatten() {
        *taken.message_ids.entry(entry["message_id"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    StatusCode::NO_CONTENT
}

/// The most memory that this process had, where the system tells it.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

impl Measured {
    #[allow(clippy::cast_precision_loss)] // small counts
    fn requests_per_event(&self) -> f64 {
        self.requests as f64 / self.events.max(1) as f64
    }

    fn json(&self) -> Value {
        json!({
            "events": self.events, "posted_seconds": self.posted_seconds, "delivered_seconds": self.delivered_seconds,
            "requests": self.requests, "requests_per_event": self.requests_per_event(),
            "lost": self.lost, "doubled": self.doubled, "memory_megabytes": self.memory_megabytes,
        })
    }

    #[allow(clippy::cast_precision_loss)] // small counts
    fn print(&self) {
        let per_second = |seconds: f64| self.events as f64 / seconds.max(f64::EPSILON);
        outln!("{:>10} events, {} lost, {} doubled", self.events, self.lost, self.doubled);
        outln!(
            "{:>10.1} s until every post was answered, {:.0} events/s",
            self.posted_seconds,
            per_second(self.posted_seconds)
        );
        outln!(
            "{:>10.1} s until every event had arrived, {:.0} events/s",
            self.delivered_seconds,
            per_second(self.delivered_seconds)
        );
        outln!("{:>10.3} requests to the collector an event ({})", self.requests_per_event(), self.requests);
        if let Some(memory) = self.memory_megabytes {
            outln!("{memory:>10.0} MB of memory at most, events and collector included");
        }
    }
}
