//! `koala alerts`: what is configured, and a test of an alert.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use koala_collector::settings::CollectorSettings;
use koala_collector::signals::deliver;
use koala_collector::signals::desk::{ShownAlerts, Tested};
use koala_collector::signals::outbound::Client;
use koala_destination::clock::now_milliseconds;
use koala_destination::settings::ParameterSource;
use serde_json::json;

use crate::environment::Environment;
use crate::output::outln;
use crate::parameter_directory::{COLLECTOR_FOLDER, ParameterDirectory};

#[derive(Args)]
#[command(after_help = "Examples:
  koala alerts                  what is configured in local/parameters/collector
  koala alerts --test pricing   a test message to each target of the alert

Exit status: 0 all is well, 1 a target did not take the test or something cannot be used, 2 it could not be tried.")]
pub struct Options {
    /// The parameter tree: a file each.
    #[arg(long, default_value = "local/parameters", value_name = "DIR")]
    parameters: PathBuf,
    /// Send a test of this alert to each of its targets.
    #[arg(long, value_name = "NAME")]
    test: Option<String>,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(options: Options) -> Result<ExitCode> {
    let settings = CollectorSettings::read(&ParameterDirectory::of_collector(&options.parameters).read().await?);
    match &options.test {
        Some(alert) => test(&options, &settings, alert).await,
        None => Ok(list(&options, &settings)),
    }
}

async fn test(options: &Options, settings: &CollectorSettings, alert: &str) -> Result<ExitCode> {
    let client = Client::new(Environment::of_process()?.signals.reach)?;
    let Some(outcomes) = deliver::test(settings.signals(), &client, alert, now_milliseconds()).await else {
        let problem = settings.problems().iter().find(|it| it.parameter == format!("alerts/{alert}"));
        match problem {
            Some(problem) => bail!("{COLLECTOR_FOLDER}/{problem}"),
            None => bail!("no alert in force has the name {alert}"),
        }
    };
    let tested: Vec<Tested> = outcomes.into_iter().map(Tested::of).collect();
    if options.json {
        outln!("{}", json!({"tested": tested}));
    } else {
        for Tested { target, reason, .. } in &tested {
            outln!("{target}: {}", reason.as_deref().unwrap_or("delivered"));
        }
    }
    Ok(ExitCode::from(u8::from(!tested.iter().all(|it| it.delivered))))
}

fn list(options: &Options, settings: &CollectorSettings) -> ExitCode {
    let shown = ShownAlerts::of(settings.signals());
    if options.json {
        outln!("{}", json!(shown));
    } else {
        for problem in &shown.problems {
            outln!("{COLLECTOR_FOLDER}/{}: {}", problem.parameter, problem.message);
        }
        for alert in &shown.alerts {
            let to: Vec<_> = alert.to.iter().map(|to| format!("{} ({})", to.target, to.kind)).collect();
            outln!("{:<18}{} → {}", alert.alert, alert.on, to.join(", "));
        }
        if shown.alerts.is_empty() && shown.problems.is_empty() {
            outln!("No alert is configured: docs/alerts.md says how.");
        }
    }
    ExitCode::from(u8::from(!shown.problems.is_empty()))
}
