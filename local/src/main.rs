//! `koala`: the Koala destination for Segment, the whole set on one machine.
//!
//! | module | what it does |
//! |---|---|
//! | [`up`], [`demo`], [`send`], [`preview`], [`check`], [`redrive`], [`bench`], [`bench_collector`], [`cost`] | the commands |
//! | [`set`] | the parts of `koala up`, started and ended together |
//! | [`gateway`], [`api`], [`export`] | HTTP: the intake routes, the collector's, the API |
//! | [`visitor_query`] | which visitors an address asks for |
//! | [`page`] | the page for people |
//! | [`consumer`] | takes batches from the queues and delivers them, as Lambda's event source mapping would |
//! | [`collector`] | Koala's collection API, its rules held strictly |
//! | [`server`] | the HTTP server under the gateway |
//! | [`access`] | who may see what was collected |
//! | [`accounts`] | which company a visitor is of |
//! | [`store`] | the queues and what the collector has, in one SQLite file |
//! | [`fixtures`] | events from files |

mod access;
mod accounts;
mod api;
mod bench;
mod bench_collector;
mod check;
mod collector;
mod consumer;
mod cost;
mod demo;
mod export;
mod fixtures;
mod gateway;
mod page;
mod preview;
mod redrive;
mod send;
mod server;
mod set;
mod store;
mod up;
mod visitor_query;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use koala_destination::telemetry;

/// The Koala destination for Segment, on this machine.
#[derive(Parser)]
#[command(name = "koala", version, arg_required_else_help = true)]
struct Command {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Run the whole set: gateway, queues, functions, collector, in one process.
    Up(up::Options),
    /// Send events from files, signed as Segment signs them.
    Send(send::Options),
    /// Show what would happen to an event, without sending it.
    Preview(preview::Options),
    /// Validate a whole parameter tree and print every problem.
    Check(check::Options),
    /// Put dead letters back into their queues.
    Redrive(redrive::Options),
    /// Send many events through a set of its own to a slow collector that fails now and then, and print the figures.
    Bench(bench::Options),
    /// Send many events into the collector of a set, and time its pages beside them.
    BenchCollector(bench_collector::Options),
    /// Show what a month costs on AWS, by arithmetic and by a run of the pipeline that counts.
    Cost(cost::Options),
    /// Start a set, send the fixtures, show the visitors that arrive, and end.
    Demo(demo::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Command::parse();
    let quiet = !matches!(command.command, Subcommands::Up(_));
    telemetry::init_plain(std::io::stderr().is_terminal(), quiet);
    let ended = match command.command {
        Subcommands::Up(options) => up::run(options).await,
        Subcommands::Send(options) => send::run(options).await,
        Subcommands::Preview(options) => preview::run(options).await,
        Subcommands::Check(options) => check::run(options).await,
        Subcommands::Redrive(options) => redrive::run(options).await,
        Subcommands::Bench(options) => bench::run(options).await,
        Subcommands::BenchCollector(options) => bench_collector::run(options).await,
        Subcommands::Cost(options) => cost::run(options).await,
        Subcommands::Demo(options) => demo::run(options).await,
    };
    ended.unwrap_or_else(|error| {
        eprintln!("koala: {error:#}");
        ExitCode::from(2)
    })
}

/// A day in UTC.
const MILLISECONDS_OF_A_DAY: i64 = 24 * 60 * 60 * 1000;

/// Milliseconds since 1970.
fn now_milliseconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
