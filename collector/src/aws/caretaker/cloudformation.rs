//! `CloudFormation`'s custom resource: what is asked, and the answer
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref.html>).

use std::time::Duration;

use koala_destination::http_client;
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Names the resource for ever: another name would have `CloudFormation` delete the one before.
const PHYSICAL_ID: &str = "koala-collector-schema";
/// An answer has at most 4,096 bytes; the rest is room for its other words.
const LONGEST_REASON: usize = 1500;
/// How often the answer is sent at most.
const TRIES: u32 = 4;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// What one try may take: all of them and the pauses fit into the 15 s that are left for the answer.
const TIME_OF_A_TRY: Duration = Duration::from_secs(3);

/// Who calls.
pub enum Invocation {
    /// `CloudFormation`, which waits for an answer.
    ByCloudFormation(Box<ResourceRequest>),
    /// The schedule.
    BySchedule,
}

impl Invocation {
    /// Reads an event.
    #[must_use]
    pub fn of(event: Value) -> Self {
        match serde_json::from_value(event) {
            Ok(request) => Self::ByCloudFormation(Box::new(request)),
            Err(_) => Self::BySchedule,
        }
    }
}

/// What `CloudFormation` asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(clippy::struct_field_names)] // the names of CloudFormation
pub struct ResourceRequest {
    request_type: RequestType,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    #[serde(default)]
    physical_resource_id: Option<String>,
    #[serde(default)]
    resource_properties: Properties,
    #[serde(default)]
    old_resource_properties: Properties,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum RequestType {
    Create,
    Update,
    Delete,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Properties {
    /// The number of the newest migration, as text: `CloudFormation` makes text of all.
    schema: String,
    /// The roles of the functions that are the application's user of the database.
    application_roles: Vec<String>,
}

impl Properties {
    fn version(&self) -> u32 {
        self.schema.parse().unwrap_or_default()
    }
}

impl ResourceRequest {
    /// Whether tables are made: not when the resource goes, which leaves the data, nor when a deploy is rolled back, which leaves
    /// the tables.
    #[must_use]
    pub fn is_to_make(&self) -> bool {
        match self.request_type {
            RequestType::Create => true,
            RequestType::Update => self.resource_properties.version() >= self.old_resource_properties.version(),
            RequestType::Delete => false,
        }
    }

    /// The roles that may use the database.
    #[must_use]
    pub fn application_roles(&self) -> Vec<String> {
        self.resource_properties.application_roles.clone()
    }
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum ResourceStatus {
    /// All is there.
    Done,
    /// The deploy fails, for this reason.
    Failed(String),
}

impl ResourceStatus {
    /// A failure, with the error's words.
    #[must_use]
    pub fn failed(error: &(dyn std::error::Error + Send + Sync)) -> Self {
        let reason = error.to_string();
        Self::Failed(reason[..reason.floor_char_boundary(LONGEST_REASON)].to_owned())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceResponse<'a> {
    status: &'static str,
    reason: &'a str,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
}

/// Sends the answer to `CloudFormation`, which waits for an hour without one.
///
/// # Errors
/// When it cannot be sent.
pub async fn answer(request: &ResourceRequest, status: &ResourceStatus) -> Result<(), Error> {
    let (status, reason) = match status {
        ResourceStatus::Done => ("SUCCESS", "done"),
        ResourceStatus::Failed(reason) => ("FAILED", reason.as_str()),
    };
    if status == "FAILED" {
        tracing::error!(reason, "the database is not ready; the deploy fails");
    }
    let body = serde_json::to_string(&ResourceResponse {
        status,
        reason,
        physical_resource_id: request.physical_resource_id.as_deref().unwrap_or(PHYSICAL_ID),
        stack_id: &request.stack_id,
        request_id: &request.request_id,
        logical_resource_id: &request.logical_resource_id,
    })?;
    let client = http_client::builder()?.timeout(TIME_OF_A_TRY).build()?;
    let mut tries = 0;
    loop {
        tries += 1;
        // The URL is signed for a body without a type.
        let sent = client.put(&request.response_url).header("content-type", "").body(body.clone()).send().await;
        match sent.and_then(reqwest::Response::error_for_status) {
            Ok(_) => return Ok(()),
            Err(error) if tries >= TRIES => return Err(error.without_url().into()),
            Err(error) => tracing::warn!(error = %error.without_url(), "CloudFormation has no answer yet; retrying"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(kind: &str, new: &Value, old: &Value) -> ResourceRequest {
        let event = json!({
            "RequestType": kind, "ResponseURL": "http://localhost", "StackId": "s", "RequestId": "r", "LogicalResourceId": "l",
            "ResourceProperties": new, "OldResourceProperties": old,
        });
        match Invocation::of(event) {
            Invocation::ByCloudFormation(request) => *request,
            Invocation::BySchedule => panic!("it is CloudFormation's"),
        }
    }

    #[test]
    fn tables_are_made_at_a_deploy_and_never_when_it_is_rolled_back_or_the_stack_goes() {
        let (one, two) =
            (json!({"Schema": "1"}), json!({"Schema": "2", "ApplicationRoles": ["arn:aws:iam::1:role/x"]}));
        assert!(request("Create", &one, &json!({})).is_to_make());
        assert!(request("Update", &two, &one).is_to_make());
        assert!(request("Update", &one, &one).is_to_make());
        assert!(!request("Update", &one, &two).is_to_make());
        assert!(!request("Delete", &two, &json!({})).is_to_make());
        assert_eq!(request("Update", &two, &one).application_roles(), ["arn:aws:iam::1:role/x"]);
    }

    #[test]
    fn a_schedule_is_no_request_of_cloudformation() {
        for event in [json!({}), json!({"source": "aws.events", "detail-type": "Scheduled Event"}), json!(null)] {
            assert!(matches!(Invocation::of(event), Invocation::BySchedule));
        }
    }
}
