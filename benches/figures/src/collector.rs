//! `koala-bench collector`: many events into the collector of a set, by Koala's protocol, then the pages beside a full store.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use koala_collector::store::postgres::DatabaseUrl;
use koala_destination::http_client;
use koala_local::output::{notice, outln};
use koala_local::set::{LocalSet, Options as SetOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::pgbench;

/// How many requests of a visitor follow each other.
const REQUESTS_IN_A_ROW: u32 = 2;
/// Requests at once.
const AT_ONCE: usize = 64;
/// An entry of these as PostgreSQL keeps it, compressed.
const BODY_BYTES: u32 = 270;
/// Different pages that events are on.
const PAGES: u32 = 2_000;
/// How often each page is asked for.
const TIMES: usize = 40;

#[derive(Args)]
#[command(after_help = "Example:
  cargo run --release --package koala-bench -- collector
  cargo run --release --package koala-bench -- collector --events 1000000 --entries 10")]
pub struct Options {
    /// How many events.
    #[arg(long, default_value_t = 1_500_000)]
    events: u32,
    /// How many in a request; 30 is the most that Koala's protocol has.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=30))]
    entries: u32,
    /// Of at most how many visitors, of a tenth as many companies; each request is one visitor's, first of a device that nobody
    /// is known by, then of who logs in on it.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    visitors: u32,
    /// A PostgreSQL database in place of the file.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "postgres://…")]
    database: Option<String>,
}

/// Runs the benchmark.
pub async fn run(options: Options) -> Result<ExitCode> {
    let folder = std::env::temp_dir().join(format!("koala-bench-collector-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("parameters"))?;
    std::fs::write(folder.join("parameters/public-api-key"), "pk_bench")?;
    let measured = measure(&options, &folder).await;
    // A folder of our own; what is left of it harms nobody.
    let _ = std::fs::remove_dir_all(&folder);
    measured.map(|()| ExitCode::SUCCESS)
}

async fn measure(options: &Options, folder: &std::path::Path) -> Result<()> {
    let data = folder.join("koala.db");
    let set = LocalSet::start(SetOptions {
        listen: "127.0.0.1:0",
        parameters: &folder.join("parameters"),
        data: &data,
        database: options.database.as_deref().map(DatabaseUrl::parse).transpose()?,
        token: None,
        trust_forwarded_for: false,
        deliver_to: None,
    })
    .await?;
    let beside = match &options.database {
        Some(database) => pgbench::entries_a_second(database, folder, BODY_BYTES).await?,
        None => None,
    };
    let client = http_client::builder()?.user_agent("bench").build()?;
    let batches = options.events.div_ceil(options.entries);
    let bar = ProgressBar::new(u64::from(options.events));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} events kept  {elapsed}") {
        bar.set_style(style);
    }
    let url = format!("{}/web/projects/pk_bench/batch", set.url());
    let begun = Instant::now();
    let posts = stream::iter(0..batches).map(|number| {
        let request = client.post(&url).body(batch(number, options));
        let bar = &bar;
        async move {
            let answer = request.send().await?;
            ensure!(answer.status().is_success(), "{}", answer.text().await?);
            bar.inc(u64::from(options.entries));
            Ok(())
        }
    });
    let answers: Vec<Result<()>> = posts.buffer_unordered(AT_ONCE).collect().await;
    answers.into_iter().collect::<Result<Vec<()>>>()?;
    let took = begun.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let events = f64::from(batches * options.entries);
    outln!("{events:>10} events of {} visitors", options.visitors.min(batches.div_ceil(REQUESTS_IN_A_ROW)));
    outln!("{:>10.0} events/s taken, {} in a request", events / took, options.entries);
    match beside {
        Some(beside) => {
            outln!("{:>10.2} of the {beside:.0} entries/s that pgbench writes to it", events / took / beside);
        }
        None if options.database.is_some() => notice!("pgbench is not installed: there is no figure beside it"),
        None => {}
    }
    let visitor = format!("/visitors/{}", newest_visitor(&client, &set.url()).await?);
    for place in [
        "/",
        "/visitors",
        &visitor,
        "/companies/company-3.example",
        "/deliveries",
        "/visitors?q=visitor-37%40",
        "/visitors?q=viewed+pricing",
        "/visitors?trait=plan%3Dteam&who=known",
        "/visitors?event=viewed+pricing&since=2026-11-12&until=2026-11-14",
        "/visitors?path=%2Fdocs",
        "/visitors?strength=medium",
        "/?path=%2Fdocs",
        "/mappings",
    ] {
        outln!("{:>10.1} ms p95 for {place}", p95(&client, &format!("{}{place}", set.url())).await?);
    }
    set.stop().await;
    if options.database.is_none() {
        #[allow(clippy::cast_precision_loss)]
        let bytes = std::fs::metadata(&data)?.len() as f64;
        outln!("{:>10.0} bytes of the file an event", bytes / events);
    }
    Ok(())
}

/// A request of one visitor's events: of the device alone, and the next of the user id and the address on it with an identify.
fn batch(number: u32, options: &Options) -> String {
    let visitor = number / REQUESTS_IN_A_ROW % options.visitors;
    let is_logged_in = !number.is_multiple_of(REQUESTS_IN_A_ROW);
    let entry = |at: u32| {
        // A visitor is there on three days of ten.
        let day = 11 + (number / 7 + at / 10) % 10;
        // All are on the same pages, of which there are many.
        let page = (number * 7 + at / 6) % PAGES;
        json!({
            "type": "track", "event": if at.is_multiple_of(5) { "Viewed Pricing" } else { "Page Viewed" },
            "message_id": format!("{number}-{at}"), "sent_at": format!("2026-11-{day}T10:{at:02}:00.000Z"),
            "properties": {"path": format!("/docs/page-{page}"), "title": "Getting started", "referrer": "https://search.example/"},
            "context": {"source": "segment-webhook", "locale": "en-US", "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/148"},
        })
    };
    let entries: Vec<_> = (0..options.entries).map(entry).collect();
    let identify = json!({
        "type": "identify", "message_id": format!("i-{visitor}"), "sent_at": "2026-11-11T09:00:00.000Z",
        "traits": {"name": format!("Visitor {visitor}"), "plan": if visitor.is_multiple_of(3) { "team" } else { "free" }, "title": "Engineer"},
    });
    let device = Uuid::from_u128((0x507f_191e_810c_4197_9de8 << 48) + u128::from(visitor)).to_string();
    if !is_logged_in {
        return json!({"profile_id": device, "events": entries}).to_string();
    }
    let email = format!("visitor-{visitor}@company-{}.example", visitor / 10);
    let ids = json!({"profile_id": device, "user_id": format!("user-{visitor}"), "email": email});
    let mut body = json!({"events": entries, "identifies": [identify]});
    if let (Some(body), Some(ids)) = (body.as_object_mut(), ids.as_object()) {
        body.extend(ids.clone());
    }
    body.to_string()
}

async fn newest_visitor(client: &reqwest::Client, url: &str) -> Result<String> {
    let answer = client.get(format!("{url}/api/visitors?limit=1")).send().await?.bytes().await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    // A number in one engine, a text in the other.
    let id = &answer["visitors"][0]["id"];
    ensure!(!id.is_null(), "there is no visitor");
    Ok(id.as_str().map_or_else(|| id.to_string(), str::to_owned))
}

async fn p95(client: &reqwest::Client, url: &str) -> Result<f64> {
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let begun = Instant::now();
        let answer = client.get(url).send().await?;
        ensure!(answer.status().is_success(), "{url}: {}", answer.status());
        answer.bytes().await?;
        times.push(begun.elapsed());
    }
    times.sort();
    let at = times.get(TIMES * 95 / 100).or(times.last()).copied().context("no times")?;
    Ok(at.max(Duration::ZERO).as_secs_f64() * 1000.0)
}
