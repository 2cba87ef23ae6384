//! `koala check`: a whole parameter tree, every problem in it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use koala_collector::settings::CollectorSettings;
use koala_destination::environment::{self, DEFAULT_KOALA_URL};
use koala_destination::koala::{KoalaClient, KoalaUrl};
use koala_destination::settings::{
    COLLECTOR_FOLDER, Parameter, ParameterDirectory, ParameterSource, Problem, Settings,
};
use serde_json::json;

use crate::output::outln;
use crate::unknown_parameters;

#[derive(Args)]
#[command(after_help = "Examples:
  koala check                                         local/parameters
  koala check --parameters my-parameters --online     and ask Koala whether the key is good
  koala check --prefix /koala-destination/prod        in Parameter Store (built with --features aws)

Exit status: 0 no problem, 1 problems, 2 the tree could not be read.")]
pub struct Options {
    /// The parameter tree: a file each.
    #[arg(long, default_value = "local/parameters", value_name = "DIR")]
    parameters: PathBuf,
    /// The parameter tree in Parameter Store instead.
    #[arg(long, conflicts_with = "parameters", value_name = "PATH")]
    prefix: Option<String>,
    /// Ask the collector at `KOALA_URL` whether the key is good.
    #[arg(long)]
    online: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(options: Options) -> Result<ExitCode> {
    let Trees { destination, collector, of_collector } = match &options.prefix {
        Some(prefix) => in_parameter_store(prefix).await?,
        None => in_directory(&options.parameters).await?,
    };
    let settings = Settings::from_parameters(&destination);
    let mut problems = match &settings {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.problems.clone(),
    };
    let problem =
        |parameter: &str, message: &str| Problem { parameter: parameter.to_owned(), message: message.to_owned() };
    problems.extend(unknown_parameters::of_destination(&destination, &of_collector));
    for Problem { parameter, message } in CollectorSettings::read(&collector).problems() {
        problems.push(problem(&format!("{of_collector}{parameter}"), message));
    }
    problems.extend(unknown_parameters::of_collector(&collector, &of_collector));
    if let Ok(settings) = &settings {
        if settings.proofs().is_empty() {
            let message = "is missing, and so are bearer-token and write-keys: every request is refused";
            problems.push(problem("webhook-secret", message));
        }
        if options.online
            && let Err(error) = ask_koala(settings).await?
        {
            problems.push(problem("public-api-key", &error));
        }
    }
    print(&options, settings.as_ref().ok(), &problems);
    Ok(ExitCode::from(u8::from(!problems.is_empty())))
}

/// The destination's parameters and the collector's.
struct Trees {
    destination: Vec<Parameter>,
    collector: Vec<Parameter>,
    /// What stands before the name of a parameter of the collector's.
    of_collector: String,
}

async fn in_directory(root: &Path) -> Result<Trees> {
    Ok(Trees {
        destination: ParameterDirectory::new(root).read().await?,
        collector: ParameterDirectory::of_collector(root).read().await?,
        of_collector: format!("{COLLECTOR_FOLDER}/"),
    })
}

fn print(options: &Options, settings: Option<&Settings>, problems: &[Problem]) {
    if options.json {
        let problems: Vec<_> =
            problems.iter().map(|p| json!({"parameter": p.parameter, "message": p.message})).collect();
        outln!("{}", json!({"problems": problems}));
        return;
    }
    for problem in problems {
        outln!("{problem}");
    }
    match (problems.len(), settings) {
        (0, Some(settings)) => {
            let mappings = settings.mappings();
            let enabled = mappings.iter().filter(|mapping| mapping.is_enabled()).count();
            outln!("No problem: {} mappings, {enabled} of them enabled.", mappings.len());
        }
        (1, _) => outln!("1 problem."),
        (many, _) => outln!("{many} problems."),
    }
}

/// What Koala says of the key: the reason when it is not good.
async fn ask_koala(settings: &Settings) -> Result<Result<(), String>> {
    let url = environment::koala_url(&environment::process)?.map_or_else(|| KoalaUrl::parse(DEFAULT_KOALA_URL), Ok)?;
    let checked = KoalaClient::new(url.clone())?.check_key(settings.public_api_key()).await;
    Ok(checked.map_err(|error| format!("{url} does not say that the key is good: {error}")))
}

/// The collector's tree stands beside the destination's: `/koala-collector/<stage>` beside `/koala-destination/<stage>`.
#[cfg(feature = "aws")]
async fn in_parameter_store(prefix: &str) -> Result<Trees> {
    use koala_destination::aws::{parameter_store::ParameterStore, sdk::AwsEnvironment};
    let aws = AwsEnvironment::read(&environment::process)?;
    let destination = ParameterStore::new(aws.ssm(), prefix).read().await?;
    let beside = prefix.strip_prefix("/koala-destination/").map(|stage| format!("/koala-collector/{stage}"));
    let collector = match &beside {
        Some(beside) => ParameterStore::new(aws.ssm(), beside).read().await?,
        None => Vec::new(),
    };
    let of_collector = format!("{}/", beside.as_deref().unwrap_or("/koala-collector/<stage>").trim_end_matches('/'));
    Ok(Trees { destination, collector, of_collector })
}

#[cfg(not(feature = "aws"))]
#[allow(clippy::unused_async)] // as with the feature
async fn in_parameter_store(_: &str) -> Result<Trees> {
    anyhow::bail!("this koala is built without AWS; cargo run -p koala-local --features aws -- check --prefix … has it")
}
