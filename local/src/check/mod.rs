//! `koala check`: a whole parameter tree, every problem in it; a deployed stack; a database.

mod database;
mod found;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use koala_collector::settings::CollectorSettings;
use koala_destination::koala::{CollectorAddress, CollectorKind, KoalaClient};
use koala_destination::plural::counted;
use koala_destination::settings::{Parameter, ParameterSource, Problem, Settings};
use secrecy::SecretString;
use serde_json::json;

use self::database::{Beside, Looked};
use self::found::Found;
use crate::deployed::{self, AwsCli};
use crate::environment::{AwsShell, Environment};
use crate::output::outln;
use crate::parameter_directory::{COLLECTOR_FOLDER, ParameterDirectory};
use crate::unknown_parameters;

#[derive(Args)]
#[command(after_help = "Examples:
  koala check                                         local/parameters
  koala check --parameters my-parameters --online     and ask the collector whether the key is good
  koala check --prefix /koala-destination/prod        in Parameter Store (built with --features aws)
  koala check --online --stack koala-destination-prod a deployed stack: its parameters, queues and alarms (needs the AWS CLI)
  koala check --online --stack koala-destination-prod --database
                                                      and its database, as a deploy tries it
  koala check --online --database postgres://koala@db/koala
                                                      a database alone (or DATABASE_URL, or the endpoint of a cluster of
                                                      Aurora DSQL); `--parameters` or `--prefix` looks at these as well

A database is tried in a schema of its own, which is dropped again: the role needs the right to make one.

Exit status: 0 no problem, 1 problems, 2 the tree could not be read, or no database is named.")]
pub struct Options {
    /// The parameter tree: a file each [default: local/parameters].
    #[arg(long, value_name = "DIR")]
    parameters: Option<PathBuf>,
    /// The parameter tree in Parameter Store instead.
    #[arg(long, conflicts_with = "parameters", value_name = "PATH")]
    prefix: Option<String>,
    /// A deployed stack: its parameters, whether its queues drain, whether its alarms notify anyone.
    #[arg(long, conflicts_with_all = ["parameters", "prefix"], requires = "online", value_name = "NAME")]
    stack: Option<String>,
    /// Ask the collector at `KOALA_URL` whether the key is good; with `--stack` look at what is deployed.
    #[arg(long)]
    online: bool,
    /// Try a database as a deploy does; without a URL that of the stack or the tree, else that of `DATABASE_URL`.
    #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "postgres://…")]
    database: Option<SecretString>,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// Where the tree is that nobody has named.
const PARAMETERS: &str = "local/parameters";

/// Runs the command.
pub async fn run(options: Options) -> Result<ExitCode> {
    let aws = AwsCli { shell: AwsShell::of_process() };
    if let Some(named) = options.database.as_ref().filter(|_| !options.names_a_tree()) {
        let looked = database::look(named, Beside::Nothing, &aws).await?;
        return Ok(print_database_alone(&options, &looked));
    }
    let (mut findings, mut kind) = (Vec::new(), None);
    let Trees { destination, collector, of_collector } = match (&options.prefix, &options.stack) {
        (_, Some(stack)) => {
            let deployed = deployed::look(&aws, &aws.shell, stack).await?;
            findings = deployed.findings;
            let Some(destination) = deployed.parameters else {
                // What else can be looked at is, all the more where something is wrong.
                let database = match &options.database {
                    Some(named) => Some(database::look(named, Beside::Stack(stack), &aws).await?),
                    None => None,
                };
                Found { settings: None, problems: &[], warnings: &[], findings: &findings, database }
                    .print(options.json, options.stack.as_deref());
                return Ok(ExitCode::FAILURE);
            };
            kind = deployed.kind;
            let (of_collector, collector) =
                deployed.of_collector.unwrap_or_else(|| ("/koala-collector/<stage>/".to_owned(), Vec::new()));
            Trees { destination, collector, of_collector }
        }
        (Some(prefix), None) => in_parameter_store(prefix).await?,
        (None, None) => in_directory(options.parameters.as_deref().unwrap_or(Path::new(PARAMETERS))).await?,
    };
    let environment = if options.prefix.is_some() || options.stack.is_some() {
        Environment::of_function(kind.unwrap_or(CollectorKind::Koala))?
    } else {
        Environment::of_process()?
    };
    let settings = Settings::from_parameters(&destination, environment.collector.kind);
    let mut problems = match &settings {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.problems.clone(),
    };
    let problem =
        |parameter: &str, message: &str| Problem { parameter: parameter.to_owned(), message: message.to_owned() };
    let collector_settings = CollectorSettings::read(&collector);
    for Problem { parameter, message } in collector_settings.problems() {
        problems.push(problem(&format!("{of_collector}{parameter}"), message));
    }
    if let Ok(settings) = &settings {
        if settings.credentials().is_empty() {
            let message = "is missing, and so are bearer-token and write-keys: every request is refused";
            problems.push(problem("webhook-secret", message));
        }
        if options.online
            && options.stack.is_none()
            && let Err(error) = ask_collector(settings, &environment.collector).await?
        {
            problems.push(problem("public-api-key", &error));
        }
    }
    let mut warnings = settings.as_ref().map(Settings::warnings).unwrap_or_default();
    warnings.extend(unknown_parameters::of_destination(&destination, &of_collector));
    warnings.extend(unknown_parameters::of_collector(&collector, &of_collector));
    warnings.extend(intent_warnings(&collector_settings, &of_collector));
    warnings.extend(alert_warnings(&collector_settings, &of_collector));
    let database = match &options.database {
        Some(named) => {
            let beside = options.stack.as_deref().map_or(Beside::Parameters(&collector), Beside::Stack);
            Some(database::look(named, beside, &aws).await?)
        }
        None => None,
    };
    let problems = problems.as_slice();
    let found =
        Found { settings: settings.as_ref().ok(), problems, warnings: &warnings, findings: &findings, database };
    found.print(options.json, options.stack.as_deref());
    Ok(status(found.count()))
}

impl Options {
    /// Whether a tree is looked at beside a database.
    fn names_a_tree(&self) -> bool {
        self.parameters.is_some() || self.prefix.is_some() || self.stack.is_some()
    }
}

fn status(problems: usize) -> ExitCode {
    ExitCode::from(u8::from(problems > 0))
}

fn print_database_alone(options: &Options, looked: &Looked) -> ExitCode {
    if options.json {
        outln!("{}", json!({"database": looked.json()}));
    } else {
        looked.print();
        match looked.problems() {
            0 => outln!("No problem: the database does what the collector counts on."),
            many => outln!("{}.", counted(many, "problem")),
        }
    }
    status(looked.problems())
}

/// What is valid in intent rules and cannot work.
fn intent_warnings<'s>(settings: &'s CollectorSettings, tree: &'s str) -> impl Iterator<Item = Problem> + 's {
    settings.intent_rules().iter().flat_map(move |rule| {
        let parameter = format!("{tree}intent/{}", rule.name);
        let advice = rule.trigger.advice().into_iter();
        advice.map(move |it| Problem { parameter: parameter.clone(), message: format!("trigger: {it}") })
    })
}

/// What is valid in alerts and their targets and cannot work without more.
fn alert_warnings(settings: &CollectorSettings, tree: &str) -> Vec<Problem> {
    let warning = |parameter: String, message: &str| Problem { parameter, message: message.to_owned() };
    let signals = settings.signals();
    let plain = signals.targets().iter().filter(|(_, target)| target.is_plain_http());
    let plain = plain.map(|(name, _)| {
        warning(
            format!("{tree}alert-targets/{name}"),
            "is sent to without TLS, which ALERTS_ALLOW_PRIVATE=true has to allow",
        )
    });
    let is_told = |name: &str| signals.alerts().iter().any(|alert| alert.to.iter().any(|to| to == name));
    let unused = signals.targets().keys().filter(|name| !is_told(name));
    let unused = unused.map(|name| warning(format!("{tree}alert-targets/{name}"), "not used by any enabled alert"));
    plain.chain(unused).collect()
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

/// What the collector says of the key: the reason when it is not good.
async fn ask_collector(settings: &Settings, collector: &CollectorAddress) -> Result<Result<(), String>> {
    let url = collector.url_or_hosted()?;
    let checked = KoalaClient::new(url.clone())?.check_key(settings.public_api_key()).await;
    Ok(checked.map_err(|error| format!("{url} did not accept the key: {error}")))
}

/// The collector's tree stands beside the destination's: `/koala-collector/<stage>` beside `/koala-destination/<stage>`.
#[cfg(feature = "aws")]
async fn in_parameter_store(prefix: &str) -> Result<Trees> {
    use koala_destination::aws::{parameter_store::ParameterStore, sdk::AwsEnvironment};
    use koala_destination::environment;
    let aws = environment::read(environment::process, AwsEnvironment::read)?;
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
