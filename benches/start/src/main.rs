//! Starts each function again and again against a Runtime API on loopback: how long from exec to the first `/next`, how long the
//! first invocation takes, the memory then and after a thousand, the size of the zip. Parameter Store, SQS and Koala answer at
//! once from the same process. `benches/start/run` builds what is measured and runs this.

mod aws;
mod measure;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::measure::{Measured, Subject, measure};

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
    let mut subjects = vec![
        Subject { event: json!({}), ..rust("bare-function", "{}")? },
        rust("dispatch", DISPATCH)?,
        rust("identify-visitor", IDENTIFY)?,
        rust("track-event", TRACK)?,
    ];
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
    println!(
        "median of {starts} starts          exec to /next   first invocation   memory at start   after 1,000       zip"
    );
    let mut measured = Vec::new();
    for subject in &subjects {
        let result = measure(subject).await.with_context(|| subject.name.to_owned())?;
        println!("{}", row(subject.name, &result));
        measured.push((subject.name, result));
    }
    let of = |name: &str| measured.iter().find(|(it, _)| *it == name).map(|(_, result)| result);
    if let (Some(ours), Some(node)) = (of("track-event"), of("track-event in Node")) {
        println!(
            "Node beside ours: {:.0} times the time to /next, {:.1} times the memory",
            node.start_ms / ours.start_ms,
            node.start_mb / ours.start_mb
        );
    }
    if let (Some(ours), Some(bare)) = (of("track-event"), of("bare-function")) {
        println!("ours beside a bare function: {:.1} times the time to /next", ours.start_ms / bare.start_ms);
    }
    Ok(())
}

fn row(name: &str, measured: &Measured) -> String {
    let Measured { start_ms, first_ms, start_mb, end_mb, zip_mb } = measured;
    let zip = zip_mb.map_or_else(|| "        ".to_owned(), |mb| format!("{mb:5.2} MB"));
    format!("{name:<26} {start_ms:12.2} ms {first_ms:15.2} ms {start_mb:14.1} MB {end_mb:10.1} MB   {zip}")
}
