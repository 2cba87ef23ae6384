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
use koala_destination::koala::CollectorKind;
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
    /// The parameters of its collector, where it has one of its own, and where they stand.
    pub of_collector: Option<(String, Vec<Parameter>)>,
    /// What its deliveries are written for.
    pub kind: Option<CollectorKind>,
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
    match parameters_below(aws, &found.prefix)? {
        Ok(parameters) => found.parameters = Some(parameters),
        Err(said) => found.findings.push(findings::no_parameters(&found.prefix, &said)),
    }
    let has_own = parameter_of(described, "Collector") == Some("own");
    found.kind = if has_own {
        let beside = found.prefix.replacen("/koala-destination/", "/koala-collector/", 1);
        match parameters_below(aws, &beside)? {
            Ok(parameters) => found.of_collector = Some((format!("{beside}/"), parameters)),
            Err(said) => found.findings.push(findings::no_parameters(&beside, &said)),
        }
        Some(CollectorKind::Own)
    } else {
        parameter_of(described, "CollectorKind").and_then(|kind| kind.parse().ok())
    };
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

/// A parameter that a stack was deployed with.
fn parameter_of<'d>(stack: &'d Value, name: &str) -> Option<&'d str> {
    let mut parameters = stack["Parameters"].as_array().into_iter().flatten();
    parameters.find(|it| it["ParameterKey"] == name)?["ParameterValue"].as_str()
}

fn parameters_below(aws: &impl Aws, prefix: &str) -> Result<Result<Vec<Parameter>, String>> {
    let said = aws.call(&["ssm", "get-parameters-by-path", "--recursive", "--with-decryption", "--path", prefix])?;
    Ok(said.map(|parameters| parameters_of(&parameters, prefix)))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An account with one stack, and a tree of parameters for each part of it.
    struct Account {
        collector: &'static str,
    }

    impl Aws for Account {
        fn call(&self, arguments: &[&str]) -> Result<Result<Value, String>> {
            let tree = |name: &str| json!({"Parameters": [{"Name": name, "Value": "{"}]});
            Ok(match arguments {
                ["cloudformation", ..] => Ok(json!({"Stacks": [{
                    "StackStatus": "CREATE_COMPLETE",
                    "Parameters": [{"ParameterKey": "Collector", "ParameterValue": self.collector},
                                   {"ParameterKey": "CollectorKind", "ParameterValue": "own"}],
                    "Outputs": [{"OutputKey": "ParameterPrefix", "OutputValue": "/koala-destination/dev"}],
                }]})),
                ["ssm", .., "/koala-destination/dev"] => Ok(tree("/koala-destination/dev/mappings/a")),
                ["ssm", .., "/koala-collector/dev"] => Ok(tree("/koala-collector/dev/intent/a")),
                other => Err(format!("AccessDenied: {}", other[0])),
            })
        }

        fn region(&self) -> Option<String> {
            None
        }
    }

    #[tokio::test]
    async fn a_stack_with_its_own_collector_has_two_trees_of_parameters() {
        let looked = async |collector| {
            let shell = AwsShell::default();
            let found = look(&Account { collector }, &shell, "koala-destination-dev").await.expect("AWS answers");
            let names = |of: &[Parameter]| of.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
            let of_collector = found.of_collector.map(|(folder, parameters)| (folder, names(&parameters)));
            (names(&found.parameters.expect("a tree")), of_collector, found.kind)
        };
        let own = Some(("/koala-collector/dev/".to_owned(), vec!["intent/a".to_owned()]));
        assert_eq!(looked("own").await, (vec!["mappings/a".to_owned()], own, Some(CollectorKind::Own)));
        assert_eq!(looked("url").await, (vec!["mappings/a".to_owned()], None, Some(CollectorKind::Own)));
    }
}
