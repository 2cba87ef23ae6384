//! The command line.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use koala_destination::telemetry;

use crate::output::notice;
use crate::{alerts, archive, check, demo, invoke, preview, redrive, send, up};

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
    /// Run a function's own handler on a Lambda event, and show what it answers, queues and sends.
    Invoke(invoke::Options),
    /// Validate a whole parameter tree and print every problem.
    Check(check::Options),
    /// List the alerts, or send a test of one.
    Alerts(alerts::Options),
    /// Write out all that the collector keeps, as JSON lines.
    Export(archive::ExportOptions),
    /// Read what was exported into an empty store, of whichever engine.
    Import(archive::ImportOptions),
    /// Put dead letters back into their queues.
    Redrive(redrive::Options),
    /// Start a set, send the fixtures, show the visitors that arrive; runs until Ctrl-C.
    Demo(demo::Options),
}

/// Runs what the process's arguments name. A command that cannot be run says why and has the status 2.
pub async fn run() -> ExitCode {
    let command = Command::parse();
    let quiet = !matches!(command.command, Subcommands::Up(_));
    telemetry::init_plain(std::io::stderr().is_terminal(), quiet);
    let ended = match command.command {
        Subcommands::Up(options) => up::run(options).await,
        Subcommands::Send(options) => send::run(options).await,
        Subcommands::Preview(options) => preview::run(options).await,
        Subcommands::Invoke(options) => invoke::run(options).await,
        Subcommands::Check(options) => check::run(options).await,
        Subcommands::Alerts(options) => alerts::run(options).await,
        Subcommands::Export(options) => archive::export(options).await,
        Subcommands::Import(options) => archive::import(options).await,
        Subcommands::Redrive(options) => redrive::run(options).await,
        Subcommands::Demo(options) => demo::run(options).await,
    };
    ended.unwrap_or_else(|error| {
        notice!("koala: {error:#}");
        ExitCode::from(2)
    })
}
