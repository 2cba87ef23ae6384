//! Starts each function again and again against a Runtime API on loopback: how long from exec to the first `/next` and to the first
//! answer, the memory then and after a thousand, the size of the zip. Parameter Store, SQS and the collector answer at once from
//! the same process, over TLS. From its first `/next` on a function has the processor time of 256 MB, as in Lambda, whose init has
//! more. `benches/start/run` builds what is measured and runs this; `KOALA_START_BEFORE` names a folder with the functions of another
//! release, to be measured beside these. With `DATABASE_URL`, an empty database on this machine, the collector's functions `collect` and
//! `page` are measured as well.

mod aws;
mod measure;
mod of_collector;
mod share;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use koala_collector::store::postgres::{DatabaseUrl, PostgresStore};
use serde_json::{Value, json};

use crate::measure::{Measured, Subject, measure};
use crate::share::Share;

const DISPATCH: &str = include_str!("../../../tests/events/lambda/dispatch-track.json");
const TRACK: &str = include_str!("../../../tests/events/lambda/track-event-batch.json");
const IDENTIFY: &str = include_str!("../../../tests/events/lambda/identify-visitor-batch.json");

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let starts: usize = arguments.next().map_or(Ok(100), |starts| starts.parse())?;
    let node = arguments.next().map(PathBuf::from);
    let release = std::env::current_exe()?.parent().map(Path::to_owned).context("where the functions are")?;

    let rust = |name: &'static str, event: &str| -> Result<Subject> {
        let (program, event) = (release.join(name), serde_json::from_str(event)?);
        Ok(Subject { name, arguments: Vec::new(), program, event, starts, invocations: 1000 })
    };
    let bare = |name, arguments: &[&str]| -> Result<Subject> {
        let arguments = arguments.iter().map(PathBuf::from).collect();
        Ok(Subject { name, arguments, event: json!({}), ..rust("bare-function", "{}")? })
    };
    let mut subjects = vec![
        bare(BARE, &[])?,
        bare(BARE_CONSUMER, &["--collector"])?,
        rust("dispatch", DISPATCH)?,
        rust("identify-visitor", IDENTIFY)?,
        rust("track-event", TRACK)?,
    ];
    if let Some(before) = std::env::var_os("KOALA_START_BEFORE").map(PathBuf::from) {
        for (label, name, event) in
            [("dispatch before", "dispatch", DISPATCH), ("track-event before", "track-event", TRACK)]
        {
            subjects.push(Subject { name: label, program: before.join(name), ..rust(name, event)? });
        }
    }
    if let Ok(database) = std::env::var("DATABASE_URL") {
        PostgresStore::open(&DatabaseUrl::parse(&database)?).await.context("DATABASE_URL")?;
        subjects.push(bare(BARE_OF_COLLECTOR, &["--database"])?);
        subjects.push(rust("collect", &of_collector::to_collect().to_string())?);
        subjects.push(rust("page", &of_collector::to_page().to_string())?);
    }
    if let Some(script) = node {
        let event: Value = serde_json::from_str(TRACK)?;
        // A start of Node takes so long that fewer say as much.
        let starts = (starts / 5).max(1);
        let program = "node".into();
        subjects.push(Subject {
            name: "track-event in Node",
            arguments: vec![script],
            program,
            event,
            starts,
            invocations: 1000,
        });
    }
    let share = Share::make().map(Arc::new);
    if share.is_none() {
        println!("No control group can be made here (root on Linux can): functions have a whole processor.");
    }
    println!(
        "median of {starts} starts          exec to /next    exec to answer   memory at start   after 1,000       zip"
    );
    let mut measured = Vec::new();
    for subject in &subjects {
        let result = measure(subject, share.as_ref()).await.with_context(|| subject.name.to_owned())?;
        println!("{}", row(subject.name, &result));
        measured.push((subject.name, result));
    }
    let of = |name: &str| measured.iter().find(|(it, _)| *it == name).map(|(_, result)| result);
    if let (Some(ours), Some(node)) = (of("track-event"), of("track-event in Node")) {
        println!(
            "Node beside ours: {:.0} times the time to the first answer, {:.1} times the memory",
            node.answer_ms / ours.answer_ms,
            node.start_mb / ours.start_mb
        );
    }
    for (ours, bare) in [
        ("dispatch", BARE),
        ("track-event", BARE_CONSUMER),
        ("collect", BARE_OF_COLLECTOR),
        ("page", BARE_OF_COLLECTOR),
    ] {
        if let (Some(measured), Some(bare)) = (of(ours), of(bare)) {
            let ratio = measured.answer_ms / bare.answer_ms;
            println!("{ours} beside a bare function: {ratio:.2} times the time to the first answer");
        }
    }
    Ok(())
}

const BARE: &str = "bare function";
const BARE_CONSUMER: &str = "bare, asks the collector";
const BARE_OF_COLLECTOR: &str = "bare, asks the database";

fn row(name: &str, measured: &Measured) -> String {
    let Measured { start_ms, answer_ms, start_mb, end_mb, zip_mb } = measured;
    let zip = zip_mb.map_or_else(|| "        ".to_owned(), |mb| format!("{mb:5.2} MB"));
    format!("{name:<26} {start_ms:12.2} ms {answer_ms:15.2} ms {start_mb:14.1} MB {end_mb:10.1} MB   {zip}")
}
