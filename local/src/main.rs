//! `koala`: the Koala destination for Segment, the whole set on one machine.
//!
//! | module | what it does |
//! |---|---|
//! | [`up`], [`demo`], [`send`], [`preview`], [`check`], [`redrive`], [`bench`], [`bench_collector`], [`cost`] | the commands |
//! | [`set`] | the parts of `koala up`, started and ended together |
//! | [`gateway`] | HTTP: intake, and the routes of the collector beside it |
//! | [`forwarded`] | whom a proxy says that a request comes from |
//! | [`queue`] | the queues, as SQS would keep them |
//! | [`pipeline`] | what the collector's page sees of mappings and queues |
//! | [`consumer`] | takes batches from the queues and delivers them, as Lambda's event source mapping would |
//! | [`server`] | the HTTP server under the gateway |
//! | [`unknown_parameters`] | parameters that nobody reads |
//! | [`fixtures`] | events from files |
//! | [`output`] | what the commands print |

// Printing with the macros of `output` alone: those of the standard library panic when nobody reads any more.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod bench_collector;
mod bodies;
mod check;
mod consumer;
mod cost;
mod demo;
mod fixtures;
mod forwarded;
mod gateway;
mod output;
mod own_handlers;
mod pipeline;
mod preview;
mod queue;
mod redrive;
mod send;
mod server;
mod set;
mod unknown_parameters;
mod up;

use std::io::IsTerminal;
use std::process::ExitCode;

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
        output::notice!("koala: {error:#}");
        ExitCode::from(2)
    })
}
