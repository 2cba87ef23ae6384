//! `koala check --online --stack`: a deployed stack, looked at with the credentials of whoever asks.
//!
//! It asks by way of the AWS CLI, which the deploy needs as well: whatever profile, single sign-on or role a person's shell has, the
//! CLI knows how to use it. [`look`] asks, `findings` says what follows; [`database`] is where visitors are kept.

mod cli;
mod database;
mod findings;

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use koala_destination::http_client;
use koala_destination::settings::Parameter;
use serde_json::Value;

use crate::environment::AwsShell;

use self::cli::SqsCounts;
pub use self::cli::{Aws, AwsCli};
pub use self::database::database;
pub use self::findings::Finding;

/// How long a queue has to show that it drains.
const BETWEEN_LOOKS: Duration = Duration::from_secs(3);

/// What was found of a stack.
#[derive(Default)]
pub struct Deployed {
    /// What is wrong, each with the command that fixes it.
    pub findings: Vec<Finding>,
    /// The parameters of its stage, where they could be read.
    pub parameters: Option<Vec<Parameter>>,
    /// Where they stand.
    pub prefix: String,
}

/// Looks at a stack.
///
/// # Errors
/// When the AWS CLI cannot be run or does not return JSON.
pub async fn look(aws: &impl Aws, shell: &AwsShell, stack: &str) -> Result<Deployed> {
    let mut found = Deployed::default();
    found.findings.extend(findings::region(shell));
    if let Some(server) = server_time(shell.endpoint_url.as_deref(), aws.region().as_deref()).await {
        found.findings.extend(findings::clock(SystemTime::now(), server));
    }
    let described = match aws.call(&["cloudformation", "describe-stacks", "--stack-name", stack])? {
        Ok(described) => described,
        Err(said) => {
            found.findings.push(findings::no_stack(stack, &said));
            return Ok(found);
        }
    };
    let described = &described["Stacks"][0];
    found.findings.extend(findings::stack(stack, described));
    found.prefix = output_of(described, "ParameterPrefix");
    match aws.call(&["ssm", "get-parameters-by-path", "--recursive", "--with-decryption", "--path", &found.prefix])? {
        Ok(parameters) => found.parameters = Some(parameters_of(&parameters, &found.prefix)),
        Err(said) => found.findings.push(findings::no_parameters(&found.prefix, &said)),
    }
    if let Ok(account) = aws.call(&["lambda", "get-account-settings"])? {
        found.findings.extend(findings::executions(stack, described, &account));
    }
    look_at_queues(aws, stack, &|name: &str| output_of(described, name), &mut found.findings).await?;
    look_at_alarms(aws, stack, &found.prefix, &mut found.findings)?;
    Ok(found)
}

/// An output of a stack; nothing where it has none of that name.
fn output_of(stack: &Value, name: &str) -> String {
    let outputs = stack["Outputs"].as_array().into_iter().flatten();
    let output = outputs.filter(|it| it["OutputKey"] == name).find_map(|it| it["OutputValue"].as_str());
    output.unwrap_or_default().to_owned()
}

async fn look_at_queues(
    aws: &impl Aws,
    stack: &str,
    output: &impl Fn(&str) -> String,
    found: &mut Vec<Finding>,
) -> Result<()> {
    for (function, queue) in [("IdentifyVisitorFunction", "IdentifyQueue"), ("TrackEventFunction", "TrackQueue")] {
        let (url, arn) = (output(&format!("{queue}Url")), output(&format!("{queue}Arn")));
        let mappings = aws.call(&["lambda", "list-event-source-mappings", "--function-name", &output(function)])?;
        found.extend(findings::polling(stack, queue, mappings.as_ref().map_err(String::as_str)));
        let before = counts(aws, &url)?;
        if let Ok(before) = &before
            && before.waiting > 0
        {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        found.extend(findings::draining(queue, &before, &counts(aws, &url)?));
        let dead = queue.replace("Queue", "DeadLetters");
        let letters = counts(aws, &output(&format!("{dead}Url")))?;
        found.extend(findings::dead_letters(&dead, &letters, &output(&format!("{dead}Arn")), &arn));
    }
    let rejected = output("RejectedUrl");
    found.extend(findings::rejected(&counts(aws, &rejected)?, &rejected));
    Ok(())
}

fn look_at_alarms(aws: &impl Aws, stack: &str, prefix: &str, found: &mut Vec<Finding>) -> Result<()> {
    let stage = prefix.rsplit('/').next().unwrap_or_default();
    let named = format!("koala-destination-{stage}-");
    let alarms = match aws.call(&["cloudwatch", "describe-alarms", "--alarm-name-prefix", &named])? {
        Ok(alarms) => alarms["MetricAlarms"].as_array().cloned().unwrap_or_default(),
        Err(said) => {
            found.push(findings::no_alarms(&said));
            return Ok(());
        }
    };
    found.extend(findings::alarms(stack, &alarms));
    for topic in findings::topics(&alarms) {
        let subscribed = aws.call(&["sns", "list-subscriptions-by-topic", "--topic-arn", &topic])?;
        found.extend(findings::subscribers(&topic, subscribed.as_ref().map_err(String::as_str)));
    }
    Ok(())
}

fn counts(aws: &impl Aws, url: &str) -> Result<Result<SqsCounts, String>> {
    let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
    let asked = [&["sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names"][..], &names].concat();
    Ok(aws.call(&asked)?.map(|answer| {
        let [waiting, in_flight] =
            names.map(|name| answer["Attributes"][name].as_str().and_then(|n| n.parse().ok()).unwrap_or(0));
        SqsCounts { waiting, in_flight }
    }))
}

fn parameters_of(answer: &Value, prefix: &str) -> Vec<Parameter> {
    let parameters = answer["Parameters"].as_array().into_iter().flatten();
    let parameter = |it: &Value| {
        let name = it["Name"].as_str()?.strip_prefix(prefix)?.trim_start_matches('/').to_owned();
        Some(Parameter::new(name, it["Value"].as_str()?))
    };
    parameters.filter_map(parameter).collect()
}

/// The time at AWS, as any answer of it says; none where nobody answers.
async fn server_time(endpoint: Option<&str>, region: Option<&str>) -> Option<SystemTime> {
    let url =
        endpoint.map(str::to_owned).or_else(|| region.map(|region| format!("https://sqs.{region}.amazonaws.com/")))?;
    let client = http_client::builder().context("a client").ok()?.timeout(Duration::from_secs(5)).build().ok()?;
    let answer = client.get(url).send().await.ok()?;
    httpdate::parse_http_date(answer.headers().get("date")?.to_str().ok()?).ok()
}
