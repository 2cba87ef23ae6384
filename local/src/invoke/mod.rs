//! `koala invoke`: a function's own handler on a Lambda event, without AWS around it.

mod recorder;
mod report;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use koala_destination::delivery::Delivery;
use koala_destination::koala::{CollectorKind, KoalaClient, KoalaUrl};
use koala_destination::lambda::consumer::{Consumer, deadline};
use koala_destination::lambda::dispatch;
use koala_destination::metrics::Metrics;
use koala_destination::segment::Function as Consuming;
use koala_destination::settings::SettingsCache;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use self::recorder::Recorder;
use self::report::{Report, as_json};
use crate::environment::Environment;
use crate::output::outln;
use crate::parameter_directory::ParameterDirectory;

/// An event has at most as many bytes (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const LARGEST_EVENT: u64 = 6 * 1024 * 1024;
/// The settings are read once.
const SETTINGS_TTL: Duration = Duration::from_hours(1);
/// What the logs call the invocation.
const REQUEST_ID: &str = "koala-invoke";

#[derive(Args)]
#[command(after_help = "Examples:
  koala invoke dispatch tests/events/lambda/dispatch-track.json
  koala invoke track-event tests/events/lambda/track-event-batch.json
  koala invoke track-event --koala-url http://127.0.0.1:8787 tests/events/lambda/track-event-batch.json
  koala invoke --json dispatch event.json | jq -c '.queued[].message'

The function's own code runs; queues and collector keep in memory what they are told. The environment variables of the
functions hold here too.

Exit status: 0 the event was taken, 1 some of it was refused, rejected, retried or is a dead letter, 2 it could not be run.")]
pub struct Options {
    /// Which function.
    #[arg(value_name = "FUNCTION")]
    function: Function,
    /// A file with the event that Lambda would hand over: a request of API Gateway or a batch of SQS; - for stdin.
    #[arg(value_name = "FIXTURE")]
    fixture: PathBuf,
    /// The parameter tree: a file each.
    #[arg(long, default_value = "local/parameters", value_name = "DIR")]
    parameters: PathBuf,
    /// Really send deliveries, to the collector at this URL.
    #[arg(long, value_name = "URL")]
    koala_url: Option<String>,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// The functions of the stack.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Function {
    /// A request of API Gateway in, messages out.
    Dispatch,
    /// A batch of SQS in, requests to the collector out.
    IdentifyVisitor,
    /// A batch of SQS in, requests to the collector out.
    TrackEvent,
}

/// The answer of dispatch, with the body as the JSON that it is.
#[derive(Serialize)]
struct HttpAnswer<'a> {
    status: i64,
    body: &'a RawValue,
}

/// Runs the command.
pub async fn run(options: Options) -> Result<ExitCode> {
    let event = read(&options.fixture)?;
    let report = match options.function {
        Function::Dispatch => dispatch(&event, &options).await,
        Function::IdentifyVisitor => consume(Consuming::IdentifyVisitor, &event, &options).await,
        Function::TrackEvent => consume(Consuming::TrackEvent, &event, &options).await,
    }?;
    if options.json {
        outln!("{}", serde_json::to_string(&report)?);
    } else {
        report.print();
    }
    Ok(ExitCode::from(u8::from(!report.is_well())))
}

async fn dispatch(event: &str, options: &Options) -> Result<Report> {
    let request = parse(event, "requestContext", "a request of API Gateway (payload format 2.0)", &options.fixture)?;
    let recorder = Recorder::new(None);
    let environment = environment(options)?;
    let settings = settings(options, &environment).await?;
    let metrics = metrics("dispatch");
    let response = dispatch::answer(&request, REQUEST_ID, &settings, &recorder, environment.intake, &metrics).await;
    let status = response.status_code;
    let body = response.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let answer = to_raw_value(&HttpAnswer { status, body: &as_json(&body) })?;
    Ok(Report::new("dispatch", answer, status < 400, recorder.take()))
}

async fn consume(function: Consuming, event: &str, options: &Options) -> Result<Report> {
    let batch = parse(event, "Records", "a batch of SQS", &options.fixture)?;
    let url = options.koala_url.as_deref().map(KoalaUrl::parse).transpose().context("--koala-url")?;
    let recorder = Recorder::new(url.map(KoalaClient::new).transpose()?);
    let environment = environment(options)?;
    let settings = Arc::new(settings(options, &environment).await?);
    let consumer = Consumer {
        delivery: Delivery::new(function, Arc::clone(&settings), &recorder, environment.delivery),
        queue: &recorder,
        settings,
        metrics: metrics(function.name()),
    };
    // It has no deadline, so that the functions' timeout holds.
    let response = consumer.handle(&batch, REQUEST_ID, deadline(0)).await;
    let answer = to_raw_value(&response)?;
    Ok(Report::new(function.name(), answer, true, recorder.take()))
}

/// As in `koala up`: our own collector, unless another one is named.
fn environment(options: &Options) -> Result<Environment> {
    let without_url = if options.koala_url.is_none() { CollectorKind::Own } else { CollectorKind::Koala };
    Ok(Environment::of_function(without_url)?)
}

/// The settings, read: what is wrong with them is said here, where a function would answer 503.
async fn settings(options: &Options, environment: &Environment) -> Result<SettingsCache<ParameterDirectory>> {
    let settings = SettingsCache::new(ParameterDirectory::new(&options.parameters), SETTINGS_TTL);
    let settings = settings.with_collector(environment.collector.kind);
    settings.current().await?;
    Ok(settings)
}

/// Figures of one event are of no use to anybody.
fn metrics(function: &'static str) -> Metrics {
    Metrics::new(function, "KoalaDestination").to(|_| {})
}

fn read(fixture: &Path) -> Result<String> {
    let input: &mut dyn Read = if fixture == Path::new("-") {
        &mut io::stdin()
    } else {
        &mut File::open(fixture).with_context(|| named(fixture))?
    };
    let mut event = String::new();
    input.take(LARGEST_EVENT + 1).read_to_string(&mut event).with_context(|| named(fixture))?;
    ensure!(event.len() as u64 <= LARGEST_EVENT, "{}: Lambda takes events of at most 6 MiB", named(fixture));
    Ok(event)
}

/// The event as the function gets it. Lambda's shapes are lenient; `field` is what one of them has and no other.
fn parse<T: DeserializeOwned>(event: &str, field: &str, what: &str, fixture: &Path) -> Result<T> {
    let value: serde_json::Value =
        serde_json::from_str(event).with_context(|| format!("{} is not JSON", named(fixture)))?;
    ensure!(value.get(field).is_some(), "{} is not {what}: it has no {field}", named(fixture));
    serde_json::from_str(event).with_context(|| format!("{} is not {what}", named(fixture)))
}

fn named(fixture: &Path) -> String {
    if fixture == Path::new("-") { "standard input".to_owned() } else { fixture.display().to_string() }
}
