//! Aurora DSQL's password: a token that is signed here with credentials of AWS, without a request to anybody
//! (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/SECTION_authentication-token.html>).

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use form_urlencoded::Serializer;

use super::address::DatabaseUrl;
use super::error::PostgresError;
pub use super::error::TokenError;
use super::options::Passwords;

/// How long a token opens connections; those that it opened stay. AWS's own tools have the same default.
pub const TOKEN_LIFE: Duration = Duration::from_mins(15);
/// The name under which AWS knows the service.
const SERVICE: &str = "dsql";
/// The role that a cluster is born with, which makes the others.
const ADMIN: &str = "admin";

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAction {
    /// Connecting as a role of the database that was granted to a role of IAM.
    DbConnect,
    /// Connecting as `admin`.
    DbConnectAdmin,
}

impl TokenAction {
    /// What a role of the database connects by.
    #[must_use]
    pub fn of_role(role: &str) -> Self {
        if role == ADMIN { Self::DbConnectAdmin } else { Self::DbConnect }
    }

    fn name(self) -> &'static str {
        match self {
            Self::DbConnect => "DbConnect",
            Self::DbConnectAdmin => "DbConnectAdmin",
        }
    }
}

/// Whom a token opens what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The host of the cluster.
    pub host: String,
    /// The region that it is in.
    pub region: String,
    /// What it is for.
    pub action: TokenAction,
    /// How long it opens connections.
    pub expires_in: Duration,
}

impl TokenRequest {
    /// What the URL of a cluster asks for: the region stands in the host, and the role `admin` has an action of its own.
    ///
    /// # Errors
    /// When it is not the URL of a cluster.
    pub fn of(url: &DatabaseUrl) -> Result<Self, TokenError> {
        let (host, region) = url.dsql_cluster().ok_or(TokenError::NoCluster)?;
        let action = TokenAction::of_role(url.user().unwrap_or(ADMIN));
        Ok(Self { host: host.to_owned(), region: region.to_owned(), action, expires_in: TOKEN_LIFE })
    }

    /// Signs a token.
    ///
    /// # Errors
    /// When the host or the credentials cannot be signed.
    pub fn sign(&self, credentials: &Credentials, now: SystemTime) -> Result<String, TokenError> {
        let mut settings = SigningSettings::default();
        settings.expires_in = Some(self.expires_in);
        settings.signature_location = SignatureLocation::QueryParams;
        let identity = credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(now)
            .settings(settings)
            .build()
            .map_err(TokenError::signing)?;
        let path = format!("{}/?Action={}", self.host, self.action.name());
        let url = format!("https://{path}");
        let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]));
        let signed = sign(request.map_err(TokenError::signing)?, &params.into()).map_err(TokenError::signing)?;
        let start = path.len();
        let mut token = Serializer::for_suffix(path + "&", start + 1);
        token.extend_pairs(signed.output().params());
        Ok(token.finish())
    }
}

/// A token for each new connection, with the credentials of that time.
#[derive(Debug)]
pub struct DsqlTokens {
    request: TokenRequest,
    credentials: SharedCredentialsProvider,
}

impl DsqlTokens {
    /// Tokens for a cluster.
    ///
    /// # Errors
    /// When it is not the URL of a cluster.
    pub fn new(url: &DatabaseUrl, credentials: impl ProvideCredentials + 'static) -> Result<Self, TokenError> {
        let credentials = SharedCredentialsProvider::new(credentials);
        Ok(Self { request: TokenRequest::of(url)?, credentials })
    }
}

#[async_trait]
impl Passwords for DsqlTokens {
    async fn next(&self, now: SystemTime) -> Result<String, PostgresError> {
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| {
            // The source says what was tried, and names no secret.
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            TokenError::Credentials(why)
        });
        Ok(self.request.sign(&credentials?, now)?)
    }
}
