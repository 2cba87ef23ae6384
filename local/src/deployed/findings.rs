//! What follows from what AWS says of a stack: each finding with the command that fixes it.

use koala_destination::plural::counted;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;

use super::cli::SqsCounts;
use crate::environment::AwsShell;

/// AWS refuses a signature that is older or newer than this
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html>).
const LARGEST_SKEW: Duration = Duration::from_mins(5);

/// What deliveries should leave to intake and its bursts.
const LEFT_TO_INTAKE: u64 = 5;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub about: String,
    /// What is wrong.
    pub message: String,
    /// The command that fixes it, or shows more.
    pub command: String,
}

fn finding(about: &str, message: impl Into<String>, command: impl Into<String>) -> Finding {
    Finding { about: about.to_owned(), message: message.into(), command: command.into() }
}

/// Two names of one thing: SAM goes by one, version 2 of the CLI by the other.
pub fn region(shell: &AwsShell) -> Option<Finding> {
    let (region, default) = (shell.region.as_deref()?, shell.default_region.as_deref()?);
    let message =
        format!("AWS_REGION is {region} and AWS_DEFAULT_REGION is {default}: aws and sam look at two regions");
    (region != default).then(|| finding("region", message, format!("export AWS_REGION={default}")))
}

/// This machine's clock beside AWS's.
pub fn clock(here: SystemTime, there: SystemTime) -> Option<Finding> {
    let skew = here.duration_since(there).unwrap_or_else(|before| before.duration());
    let message =
        format!("this machine's clock is {} s away from that of AWS, which refuses its signatures", skew.as_secs());
    (skew > LARGEST_SKEW).then(|| finding("clock", message, "sudo timedatectl set-ntp true"))
}

/// Which part of samconfig.toml a stack is of, as an option of SAM's: that of prod has a name, the other is the default.
fn environment(stack: &str) -> &'static str {
    if stack.ends_with("-prod") { " --config-env prod" } else { "" }
}

/// No stack could be looked at.
pub fn no_stack(stack: &str, said: &str) -> Finding {
    if said.contains("does not exist") {
        let message = "does not exist in this region: it is in another one (AWS_DEFAULT_REGION), or not deployed yet";
        let environment = environment(stack);
        finding(stack, message, format!("sam build{environment} && sam deploy{environment}"))
    } else {
        finding(stack, format!("cannot be read: {said}"), "aws sts get-caller-identity")
    }
}

/// The stack's last change.
pub fn stack(name: &str, described: &Value) -> Option<Finding> {
    let status = described["StackStatus"].as_str().unwrap_or_default();
    let events = format!(
        "aws cloudformation describe-stack-events --stack-name {name} --query \"StackEvents[?contains(ResourceStatus,'FAILED')].[LogicalResourceId,ResourceStatusReason]\""
    );
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => None,
        "UPDATE_ROLLBACK_COMPLETE" => Some(finding(name, "the last deploy failed and was rolled back", events)),
        "DELETE_FAILED" => {
            let command = format!("{events}; sam delete --stack-name {name}");
            Some(finding(name, "could not be removed: the events say what is in the way", command))
        }
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" => {
            let message = format!("its first deploy failed ({status}): delete the stack and deploy it again");
            Some(finding(name, message, format!("{events}; sam delete --stack-name {name}")))
        }
        _ if status.ends_with("_IN_PROGRESS") => {
            Some(finding(name, format!("is being changed ({status}): look again when it is done"), events))
        }
        _ => Some(finding(name, format!("is not as it was deployed ({status})"), events)),
    }
}

/// The parameters cannot be read.
pub fn no_parameters(prefix: &str, said: &str) -> Finding {
    finding(
        prefix,
        format!("cannot be read: {said}"),
        format!("aws ssm get-parameters-by-path --recursive --path {prefix}"),
    )
}

/// Whether the account has executions left for intake while both queues are delivered.
pub fn executions(stack: &str, described: &Value, account: &Value) -> Option<Finding> {
    let parameters = described["Parameters"].as_array().into_iter().flatten();
    let mut of_a_queue = parameters.filter(|it| it["ParameterKey"] == "MaximumConcurrency");
    let of_a_queue: u64 = of_a_queue.find_map(|it| it["ParameterValue"].as_str()?.parse().ok())?;
    let of_account = account["AccountLimit"]["ConcurrentExecutions"].as_u64()?;
    let message = format!(
        "the account has {of_account} executions at once, and deliveries may take {} of them (MaximumConcurrency={of_a_queue} for each \
         queue): intake is throttled then. Lower it in samconfig.toml and deploy{}, or ask for more",
        2 * of_a_queue,
        environment(stack)
    );
    let command = "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000";
    (2 * of_a_queue + LEFT_TO_INTAKE > of_account).then(|| finding("executions", message, command))
}

/// Whether Lambda asks a queue for messages.
pub fn polling(stack: &str, queue: &str, mappings: Result<&Value, &str>) -> Option<Finding> {
    let deploy = format!("sam deploy{}", environment(stack));
    match mappings {
        Err(said) => Some(finding(
            queue,
            format!("its event source mappings cannot be read: {said}"),
            "aws lambda list-functions",
        )),
        Ok(mappings) => {
            let states = mappings["EventSourceMappings"].as_array().into_iter().flatten();
            let states: Vec<&str> = states.filter_map(|it| it["State"].as_str()).collect();
            match states.as_slice() {
                [] => Some(finding(queue, "no function takes what is in it", deploy)),
                states
                    if states.iter().any(|state| ["Enabled", "Enabling", "Creating", "Updating"].contains(state)) =>
                {
                    None
                }
                _ => Some(finding(
                    queue,
                    "its delivery is stopped: events wait for four days and are lost after that. Write Deliver=true into samconfig.toml",
                    deploy,
                )),
            }
        }
    }
}

/// Whether a queue drains, by two looks.
pub fn draining(queue: &str, before: &Result<SqsCounts, String>, after: &Result<SqsCounts, String>) -> Option<Finding> {
    match (before, after) {
        (Ok(before), Ok(after)) => {
            let stands = before.waiting > 0 && after.waiting >= before.waiting && after.in_flight == 0;
            let message = format!("{} in the queue, none in flight", counted(after.waiting, "message"));
            let alarms = "aws cloudwatch describe-alarms --state-value ALARM --query 'MetricAlarms[].AlarmDescription'";
            stands.then(|| finding(queue, message, alarms))
        }
        (Err(said), _) | (_, Err(said)) => {
            Some(finding(queue, format!("cannot be read: {said}"), "aws sqs list-queues"))
        }
    }
}

/// What can never be delivered as it is.
pub fn dead_letters(queue: &str, letters: &Result<SqsCounts, String>, arn: &str, to: &str) -> Option<Finding> {
    match letters {
        Ok(letters) if letters.waiting == 0 => None,
        Ok(letters) => {
            let message = format!("{}: look at the reasons, then retry", counted(letters.waiting, "dead letter"));
            let command = format!("aws sqs start-message-move-task --source-arn {arn} --destination-arn {to}");
            Some(finding(queue, message, command))
        }
        Err(said) => Some(finding(queue, format!("cannot be read: {said}"), "aws sqs list-queues")),
    }
}

/// What intake could not take.
pub fn rejected(events: &Result<SqsCounts, String>, url: &str) -> Option<Finding> {
    let look = format!("aws sqs receive-message --queue-url {url} --max-number-of-messages 10 --visibility-timeout 0");
    match events {
        Ok(events) if events.waiting == 0 => None,
        Ok(events) => Some(finding("RejectedQueue", format!("events were rejected: {}", events.waiting), look)),
        Err(said) => Some(finding("RejectedQueue", format!("cannot be read: {said}"), "aws sqs list-queues")),
    }
}

/// The alarms cannot be read.
pub fn no_alarms(said: &str) -> Finding {
    finding("alarms", format!("cannot be read: {said}"), "aws cloudwatch describe-alarms")
}

/// The alarms that ring, and those that cannot.
pub fn alarms(stack: &str, alarms: &[Value]) -> Vec<Finding> {
    if alarms.is_empty() {
        let deploy = format!("sam deploy{}", environment(stack));
        return vec![finding("alarms", "there are none of this stage", deploy)];
    }
    let mut found = Vec::new();
    for alarm in alarms {
        let name = alarm["AlarmName"].as_str().unwrap_or_default();
        if alarm["ActionsEnabled"] == false {
            let command = format!("aws cloudwatch enable-alarm-actions --alarm-names {name}");
            found.push(finding(name, "actions are disabled; no one is notified", command));
        }
        if alarm["StateValue"] == "ALARM" {
            let description = alarm["AlarmDescription"].as_str().unwrap_or_default();
            let (means, first) = description.split_once(" First: ").unwrap_or((description, ""));
            found.push(finding(name, means, first));
        }
    }
    found
}

/// The topics that alarms go to.
pub fn topics(alarms: &[Value]) -> BTreeSet<String> {
    let actions = alarms.iter().flat_map(|alarm| alarm["AlarmActions"].as_array().into_iter().flatten());
    actions.filter_map(|action| action.as_str()).filter(|arn| arn.contains(":sns:")).map(str::to_owned).collect()
}

/// Whether somebody hears of alarms.
pub fn subscribers(topic: &str, subscribed: Result<&Value, &str>) -> Option<Finding> {
    let subscribe =
        format!("aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint YOUR_ADDRESS");
    let subscriptions = match subscribed {
        Ok(subscribed) => subscribed["Subscriptions"].as_array().cloned().unwrap_or_default(),
        Err(said) => return Some(finding("alarms", format!("their subscriptions cannot be read: {said}"), subscribe)),
    };
    // One that is not confirmed has no ARN yet.
    let confirmed = |it: &Value| it["SubscriptionArn"].as_str().is_some_and(|arn| arn.starts_with("arn:"));
    if subscriptions.iter().any(confirmed) {
        return None;
    }
    let message = if subscriptions.is_empty() {
        "no subscribers".to_owned()
    } else {
        "no subscription is confirmed: open the link in the mail of AWS Notifications, or have it sent again".to_owned()
    };
    Some(finding("alarms", message, subscribe))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HERE: Duration = Duration::from_hours(500_000);

    #[allow(clippy::unnecessary_wraps)] // as it comes from the queue
    fn waiting(waiting: u64, in_flight: u64) -> Result<SqsCounts, String> {
        Ok(SqsCounts { waiting, in_flight })
    }

    #[test]
    fn a_clock_is_wrong_from_five_minutes_on_in_both_directions() {
        let here = SystemTime::UNIX_EPOCH + HERE;
        assert_eq!(clock(here, here + Duration::from_secs(299)), None);
        for there in [here + Duration::from_secs(301), here - Duration::from_secs(301)] {
            assert!(clock(here, there).is_some_and(|found| found.message.contains("301 s")));
        }
    }

    #[test]
    fn two_regions_in_one_shell_are_a_finding() {
        let shell = |region: Option<&str>| AwsShell {
            region: region.map(str::to_owned),
            default_region: Some("eu-west-1".to_owned()),
            endpoint_url: None,
        };
        assert_eq!(region(&shell(None)), None);
        assert_eq!(region(&shell(Some("eu-west-1"))), None);
        assert_eq!(
            region(&shell(Some("us-east-1"))).map(|it| it.command),
            Some("export AWS_REGION=eu-west-1".to_owned())
        );
    }

    #[test]
    fn a_queue_that_is_not_polled_or_does_not_drain_is_a_finding() {
        let state = |state: &str| json!({"EventSourceMappings": [{"State": state}]});
        assert_eq!(polling("koala-destination-dev", "q", Ok(&state("Enabled"))), None);
        let stopped = polling("koala-destination-dev", "q", Ok(&state("Disabled"))).expect("a finding");
        assert!(stopped.message.contains("Deliver=true"), "{stopped:?}");
        assert!(polling("koala-destination-dev", "q", Ok(&json!({"EventSourceMappings": []}))).is_some());
        assert_eq!(draining("q", &waiting(0, 0), &waiting(0, 0)), None);
        assert_eq!(draining("q", &waiting(9, 0), &waiting(4, 0)), None);
        assert_eq!(draining("q", &waiting(9, 0), &waiting(9, 5)), None);
        assert!(draining("q", &waiting(9, 0), &waiting(9, 0)).is_some());
        assert!(draining("q", &Err("NonExistentQueue".to_owned()), &waiting(0, 0)).is_some());
    }

    #[test]
    fn dead_letters_and_rejected_events_come_with_what_to_do() {
        assert_eq!(dead_letters("d", &waiting(0, 3), "arn:dead", "arn:queue"), None);
        let letters = dead_letters("d", &waiting(1, 0), "arn:dead", "arn:queue").expect("a finding");
        assert!(letters.message.starts_with("1 dead letter:"), "{letters:?}");
        assert!(letters.command.ends_with("--source-arn arn:dead --destination-arn arn:queue"), "{letters:?}");
        assert!(rejected(&waiting(2, 0), "https://q").is_some_and(|it| it.command.contains("https://q")));
    }

    #[test]
    fn an_alarm_that_rings_says_its_own_first_command() {
        let ringing = json!({"AlarmName": "a", "StateValue": "ALARM", "AlarmDescription": "It is so. Lost meanwhile: nothing. First: aws logs"});
        let silent = json!({"AlarmName": "b", "StateValue": "OK", "ActionsEnabled": false});
        let found = alarms("koala-destination-dev", &[ringing, silent]);
        assert_eq!(
            (found[0].message.as_str(), found[0].command.as_str()),
            ("It is so. Lost meanwhile: nothing.", "aws logs")
        );
        assert_eq!(found[1].command, "aws cloudwatch enable-alarm-actions --alarm-names b");
        assert_eq!(alarms("koala-destination-dev", &[]).len(), 1);
    }

    #[test]
    fn alarms_reach_somebody_only_once_it_is_confirmed() {
        let alarms = [
            json!({"AlarmActions": ["arn:aws:sns:eu-west-1:1:t"]}),
            json!({"AlarmActions": ["arn:aws:sns:eu-west-1:1:t"]}),
        ];
        assert_eq!(topics(&alarms).len(), 1);
        let to = |arn: &str| json!({"Subscriptions": [{"SubscriptionArn": arn}]});
        assert_eq!(subscribers("t", Ok(&to("arn:aws:sns:eu-west-1:1:t:s"))), None);
        assert!(subscribers("t", Ok(&to("PendingConfirmation"))).is_some_and(|it| it.message.contains("confirmed")));
        assert!(subscribers("t", Ok(&json!({"Subscriptions": []}))).is_some_and(|it| it.message == "no subscribers"));
    }

    #[test]
    fn a_stack_that_is_not_there_or_was_rolled_back_is_a_finding() {
        assert!(no_stack("s", "Stack with id s does not exist").command.contains("sam deploy"));
        assert!(no_stack("s", "AccessDenied").message.contains("AccessDenied"));
        assert_eq!(stack("s", &json!({"StackStatus": "UPDATE_COMPLETE"})), None);
        assert!(stack("s", &json!({"StackStatus": "UPDATE_ROLLBACK_COMPLETE"})).is_some());
        let failed = stack("s", &json!({"StackStatus": "ROLLBACK_COMPLETE"})).expect("a finding");
        assert!(failed.command.ends_with("sam delete --stack-name s"), "{failed:?}");
    }

    #[test]
    fn what_fixes_prod_is_run_with_its_part_of_samconfig() {
        let said = "Stack with id x does not exist";
        let command = "sam build --config-env prod && sam deploy --config-env prod";
        assert_eq!(no_stack("koala-destination-prod", said).command, command);
        assert_eq!(no_stack("koala-destination-dev", said).command, "sam build && sam deploy");
        let stopped =
            polling("koala-destination-prod", "q", Ok(&json!({"EventSourceMappings": [{"State": "Disabled"}]})));
        assert_eq!(stopped.expect("a finding").command, "sam deploy --config-env prod");
    }

    #[test]
    fn deliveries_that_may_take_all_executions_of_a_new_account_are_a_finding() {
        let described =
            |most: &str| json!({"Parameters": [{"ParameterKey": "MaximumConcurrency", "ParameterValue": most}]});
        let account = |limit: u64| json!({"AccountLimit": {"ConcurrentExecutions": limit}});
        assert_eq!(executions("s", &described("2"), &account(10)), None);
        assert_eq!(executions("s", &described("10"), &account(1000)), None);
        let found = executions("s", &described("10"), &account(10)).expect("a finding");
        assert!(found.message.contains("10 executions") && found.message.contains("may take 20"), "{found:?}");
        assert!(found.command.contains("L-B99A9384"), "{found:?}");
    }
}
