//! AWS credentials as the shell has them: in its environment, else from the AWS CLI, which knows every profile, single sign-on and role.

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, future};
use koala_destination::clock;
use serde::Deserialize;
use tokio::process::Command;
use tokio::sync::Mutex;

/// Credentials that end sooner are asked for anew.
const LEFT_AT_LEAST: Duration = Duration::from_mins(1);
/// The CLI may ask a server for them.
const ASK_FOR: Duration = Duration::from_secs(8);

/// The credentials of the shell that started the process.
#[derive(Debug, Default)]
pub struct OfShell {
    last: Mutex<Option<Credentials>>,
}

impl OfShell {
    async fn current(&self) -> Result {
        if let Some(credentials) = of_environment(|name| std::env::var(name).ok()) {
            return Ok(credentials);
        }
        let mut last = self.last.lock().await;
        let until = SystemTime::now() + LEFT_AT_LEAST;
        if let Some(credentials) = last.as_ref().filter(|it| it.expiry().is_none_or(|expiry| expiry > until)) {
            return Ok(credentials.clone());
        }
        let credentials = of_cli().await.map_err(CredentialsError::provider_error)?;
        *last = Some(credentials.clone());
        Ok(credentials)
    }
}

impl ProvideCredentials for OfShell {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Option<Credentials> {
    let said = |name| variable(name).filter(|value| !value.is_empty());
    let (id, secret) = (said("AWS_ACCESS_KEY_ID")?, said("AWS_SECRET_ACCESS_KEY")?);
    Some(Credentials::from_keys(id, secret, said("AWS_SESSION_TOKEN")))
}

async fn of_cli() -> std::result::Result<Credentials, String> {
    let mut command = Command::new("aws");
    let asked = command
        .args(["configure", "export-credentials", "--format", "process"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let answered =
        tokio::time::timeout(ASK_FOR, asked.output()).await.map_err(|_| "the AWS CLI does not answer".to_owned())?;
    let output = answered.map_err(|error| {
        format!("neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor the AWS CLI (aws) has them: {error}")
    })?;
    if !output.status.success() {
        return Err(format!("aws: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    read(&output.stdout)
}

/// What a source of credentials says
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

fn read(said: &[u8]) -> std::result::Result<Credentials, String> {
    let Said { access_key_id, secret_access_key, session_token, expiration } =
        serde_json::from_slice(said).map_err(|_| "the AWS CLI did not print credentials".to_owned())?;
    let expiry = expiration.as_deref().and_then(clock::milliseconds).and_then(|at| u64::try_from(at).ok());
    let expiry = expiry.map(|at| SystemTime::UNIX_EPOCH + Duration::from_millis(at));
    Ok(Credentials::new(access_key_id, secret_access_key, session_token, expiry, "aws"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_has_both_keys_or_none() {
        let of = |variables: &[(&str, &str)]| {
            of_environment(|name| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned()))
        };
        let all = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t")];
        let credentials = of(&all).expect("credentials");
        assert_eq!((credentials.access_key_id(), credentials.session_token()), ("a", Some("t")));
        assert!(of(&[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "")]).is_none());
    }

    /// The example of the SDKs' guide.
    #[test]
    fn credentials_are_read_as_a_process_says_them() {
        let said = br#"{"Version": 1, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                        "SessionToken": "the session token", "Expiration": "2026-11-30T08:00:00+00:00"}"#;
        let credentials = read(said).expect("credentials");
        assert_eq!(credentials.access_key_id(), "AKIAIOSFODNN7EXAMPLE");
        assert_eq!(credentials.expiry(), Some(SystemTime::UNIX_EPOCH + Duration::from_hours(498_896)));
        assert!(read(b"{}").is_err() && read(b"no").is_err());
    }
}
