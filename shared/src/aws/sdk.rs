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
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::environment::ROOTS_FILE;
use crate::environment::Variables;

/// What signs the certificates of AWS's endpoints.
const AMAZON_ROOTS: &[u8] = include_bytes!("roots/amazon.pem");

/// What the first pause between two tries is drawn from.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
/// The first try and one more: both have to fit into the time that whoever asks has.
const TRIES: u32 = 2;
/// What one reading of Parameter Store may take. What is not read within init is left to the first event.
const TIME_FOR_PARAMETERS: Duration = Duration::from_secs(3);

/// Where AWS is and who we are there.
///
/// Clients are made when they are first used.
#[derive(Debug, Clone)]
pub struct AwsEnvironment {
    region: String,
    credentials: Credentials,
    endpoint: Option<String>,
    ssm_endpoint: Option<String>,
    sqs_endpoint: Option<String>,
    tls: tls::TlsContext,
    /// One connection pool for all clients.
    http: Arc<OnceLock<SharedHttpClient>>,
}

/// A client of one of AWS's services, made when it is first used.
pub struct Lazy<C> {
    environment: AwsEnvironment,
    client: OnceLock<C>,
    make: Box<dyn Fn(&AwsEnvironment) -> C + Send + Sync>,
}

impl<C> std::fmt::Debug for Lazy<C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lazy").field("environment", &self.environment).finish_non_exhaustive()
    }
}

impl<C> Lazy<C> {
    /// The client.
    pub fn get(&self) -> &C {
        self.client.get_or_init(|| (self.make)(&self.environment))
    }
}

impl AwsEnvironment {
    /// Reads `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, which Lambda sets, and
    /// `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_SSM`, `AWS_ENDPOINT_URL_SQS`, which lead to another server than AWS, and
    /// `AWS_CA_BUNDLE` or `SSL_CERT_FILE`, which name a PEM file with other roots than Amazon's.
    #[must_use]
    pub fn read(variables: &mut Variables<'_>) -> Self {
        let region = variables.optional("AWS_REGION").or_else(|| variables.optional("AWS_DEFAULT_REGION"));
        Self {
            region: region.unwrap_or_else(|| variables.required("AWS_REGION")),
            credentials: Credentials::from_keys(
                variables.required("AWS_ACCESS_KEY_ID"),
                variables.required("AWS_SECRET_ACCESS_KEY"),
                variables.optional("AWS_SESSION_TOKEN"),
            ),
            endpoint: variables.optional("AWS_ENDPOINT_URL"),
            ssm_endpoint: variables.optional("AWS_ENDPOINT_URL_SSM"),
            sqs_endpoint: variables.optional("AWS_ENDPOINT_URL_SQS"),
            tls: tls_context(variables),
            http: Arc::default(),
        }
    }

    /// Who the function is.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.credentials.clone()
    }

    /// A client of Parameter Store.
    #[must_use]
    pub fn ssm(&self) -> Lazy<aws_sdk_ssm::Client> {
        self.lazy(|aws| {
            let mut config = aws_sdk_ssm::Config::builder()
                .region(Region::new(aws.region.clone()))
                .credentials_provider(aws.credentials.clone())
                .http_client(aws.http())
                .timeout_config(timeouts(TIME_FOR_PARAMETERS))
                .retry_config(retries());
            config.set_endpoint_url(aws.ssm_endpoint.clone().or_else(|| aws.endpoint.clone()));
            aws_sdk_ssm::Client::from_conf(config.build())
        })
    }

    /// A client of SQS whose every call ends within `time`, its second try included.
    #[must_use]
    pub fn sqs_within(&self, time: Duration) -> Lazy<aws_sdk_sqs::Client> {
        self.lazy(move |aws| {
            let mut config = aws_sdk_sqs::Config::builder()
                .region(Region::new(aws.region.clone()))
                .credentials_provider(aws.credentials.clone())
                .http_client(aws.http())
                .timeout_config(timeouts(time))
                .retry_config(retries());
            config.set_endpoint_url(aws.sqs_endpoint.clone().or_else(|| aws.endpoint.clone()));
            aws_sdk_sqs::Client::from_conf(config.build())
        })
    }

    fn lazy<C>(&self, make: impl Fn(&Self) -> C + Send + Sync + 'static) -> Lazy<C> {
        Lazy { environment: self.clone(), client: OnceLock::new(), make: Box::new(make) }
    }

    /// The same rustls and ring as Koala's client: one TLS stack in the binary.
    fn http(&self) -> SharedHttpClient {
        let make = || {
            let provider = tls::Provider::Rustls(CryptoMode::Ring);
            Builder::new().tls_provider(provider).tls_context(self.tls.clone()).build_https()
        };
        self.http.get_or_init(make).clone()
    }
}

/// The roots are Amazon's own, linked in: reading those of the platform from about 150 files takes 2 ms of a cold start.
fn tls_context(variables: &mut Variables<'_>) -> tls::TlsContext {
    for name in ["AWS_CA_BUNDLE", ROOTS_FILE] {
        let Some(file) = variables.optional(name) else { continue };
        let trusting = std::fs::read(&file).map_err(|error| format!("names {file}, which cannot be read: {error}"));
        match trusting.and_then(|roots| trusting_only(roots).map_err(|error| format!("names {file}: {error}"))) {
            Ok(tls) => return tls,
            Err(problem) => variables.refuse(name, problem),
        }
        break;
    }
    trusting_only(AMAZON_ROOTS.to_vec()).unwrap_or_default()
}

fn trusting_only(roots: Vec<u8>) -> Result<tls::TlsContext, String> {
    let trust = tls::TrustStore::empty().with_pem_certificate(roots);
    tls::TlsContext::builder().with_trust_store(trust).build().map_err(|error| format!("no roots in it: {error}"))
}

/// One budget: a call ends within `time`, and its first try leaves room for another. What is left over is for the caller's
/// own work around the call.
fn timeouts(time: Duration) -> TimeoutConfig {
    let try_for = time.mul_f64(0.4);
    let call = try_for * TRIES + FIRST_BACKOFF;
    TimeoutConfig::builder()
        .connect_timeout(try_for)
        .operation_attempt_timeout(try_for)
        .operation_timeout(call.min(time.mul_f64(0.9)))
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(FIRST_BACKOFF)
}
