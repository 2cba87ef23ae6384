//! What the SDK's clients need, from the environment that Lambda sets: region, credentials, endpoint.
//!
//! `aws-config` would look into profiles, SSO, web identities and instance metadata as well; a function has its
//! credentials in three variables, and the code for the rest would double its size and start-up.

use aws_credential_types::Credentials;
use aws_sdk_ssm::config::{Region, SharedHttpClient};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use std::time::Duration;

use crate::environment::{EnvironmentError, Variables, required};

/// A connection within a region takes milliseconds; a longer wait is a fault that a retry may avoid.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// `dispatch` answers within a second, so one attempt must leave room for another.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// The first attempt and two more.
const ATTEMPTS: u32 = 3;

/// Where AWS is and who we are there.
#[derive(Debug, Clone)]
pub struct AwsEnvironment {
    region: String,
    credentials: Credentials,
    endpoint: Option<String>,
    ssm_endpoint: Option<String>,
    sqs_endpoint: Option<String>,
    http: SharedHttpClient,
}

impl AwsEnvironment {
    /// Reads `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, which Lambda sets, and
    /// `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_SSM`, `AWS_ENDPOINT_URL_SQS`, which lead to another server than AWS.
    ///
    /// # Errors
    /// When one that Lambda sets is missing.
    pub fn read(variables: &impl Variables) -> Result<Self, EnvironmentError> {
        let region = variables("AWS_REGION").or_else(|| variables("AWS_DEFAULT_REGION"));
        let region = region.map_or_else(|| required(variables, "AWS_REGION"), Ok)?;
        let credentials = Credentials::from_keys(
            required(variables, "AWS_ACCESS_KEY_ID")?,
            required(variables, "AWS_SECRET_ACCESS_KEY")?,
            variables("AWS_SESSION_TOKEN"),
        );
        Ok(Self {
            region,
            credentials,
            endpoint: variables("AWS_ENDPOINT_URL"),
            ssm_endpoint: variables("AWS_ENDPOINT_URL_SSM"),
            sqs_endpoint: variables("AWS_ENDPOINT_URL_SQS"),
            // The same rustls and ring as Koala's client: one TLS stack in the binary.
            http: Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https(),
        })
    }

    /// A client of Parameter Store.
    #[must_use]
    pub fn ssm(&self) -> aws_sdk_ssm::Client {
        let mut config = aws_sdk_ssm::Config::builder()
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .http_client(self.http.clone())
            .timeout_config(timeouts())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        config.set_endpoint_url(self.ssm_endpoint.clone().or_else(|| self.endpoint.clone()));
        aws_sdk_ssm::Client::from_conf(config.build())
    }

    /// A client of SQS.
    #[must_use]
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        let mut config = aws_sdk_sqs::Config::builder()
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .http_client(self.http.clone())
            .timeout_config(timeouts())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        config.set_endpoint_url(self.sqs_endpoint.clone().or_else(|| self.endpoint.clone()));
        aws_sdk_sqs::Client::from_conf(config.build())
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build()
}
