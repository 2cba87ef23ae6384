//! `koala-bench`: the figures of docs/speed.md and docs/cost.md.
//!
//! | module | what it does |
//! |---|---|
//! | [`pipeline`] | many events through a whole set to a slow collector that fails now and then |
//! | [`collector`] | many events into the collector of a set, and its pages beside them |
//! | [`pgbench`] | what PostgreSQL's own benchmark writes beside it |
//! | [`cost`] | what a month costs on AWS, by arithmetic, beside a run of the pipeline that counts |

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod collector;
mod cost;
mod pgbench;
mod pipeline;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use koala_destination::telemetry;
use koala_local::output::notice;

/// The figures of the Koala destination for Segment.
#[derive(Parser)]
#[command(name = "koala-bench", version, arg_required_else_help = true)]
struct Command {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Send many events through a set of its own to a slow collector that fails now and then, and print the figures.
    Pipeline(pipeline::Options),
    /// Send many events into the collector of a set, and time its pages beside them.
    Collector(collector::Options),
    /// Show what a month costs on AWS, by arithmetic and by a run of the pipeline that counts.
    Cost(cost::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Command::parse();
    telemetry::init_plain(std::io::stderr().is_terminal(), true);
    let ended = match command.command {
        Subcommands::Pipeline(options) => pipeline::run(options).await,
        Subcommands::Collector(options) => collector::run(options).await,
        Subcommands::Cost(options) => cost::run(options).await,
    };
    ended.unwrap_or_else(|error| {
        notice!("koala-bench: {error:#}");
        ExitCode::from(2)
    })
}
