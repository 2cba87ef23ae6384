//! The token that opens Aurora DSQL, beside the one that AWS's own SDK signs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dsql::auth_token::{AuthTokenGenerator, Config};
use aws_smithy_async::test_util::ManualTimeSource;
use aws_types::SdkConfig;
use aws_types::region::Region;
use koala_collector::store::postgres::DatabaseUrl;
use koala_collector::store::postgres::Passwords;
use koala_collector::store::postgres::token::{DsqlTokens, TokenAction, TokenError, TokenRequest};

/// What the SDK signs.
async fn of_the_sdk(request: &TokenRequest, credentials: &Credentials, now: SystemTime) -> String {
    let config = SdkConfig::builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
        .time_source(ManualTimeSource::new(now))
        .build();
    let generator = AuthTokenGenerator::new(
        Config::builder()
            .hostname(&request.host)
            .region(Region::new(request.region.clone()))
            .expires_in(request.expires_in.as_secs())
            .build()
            .unwrap(),
    );
    let token = match request.action {
        TokenAction::DbConnect => generator.db_connect_auth_token(&config).await,
        TokenAction::DbConnectAdmin => generator.db_connect_admin_auth_token(&config).await,
    };
    token.unwrap().to_string()
}

#[tokio::test]
async fn a_token_is_byte_for_byte_what_the_sdk_of_aws_signs() {
    let credentials = [
        Credentials::new("akid", "secret", None, None, "test"),
        Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, None, "test"),
        Credentials::new("ASIAEXAMPLE", "s+/=", Some("IQoJb3JpZ2luX2Vj//+== ~*&=%\u{e9}".to_owned()), None, "test"),
    ];
    let clusters = [
        ("peccy.dsql.us-east-1.on.aws", "us-east-1"),
        ("foo0bar1baz2quux3quuux4.dsql.eu-west-1.on.aws", "eu-west-1"),
        ("foo.dsql.ap-northeast-1.on.aws", "ap-northeast-1"),
    ];
    for credentials in &credentials {
        for (host, region) in clusters {
            for action in [TokenAction::DbConnect, TokenAction::DbConnectAdmin] {
                for (at, seconds) in [(1_724_716_800, 900), (1_794_006_000, 60), (1_767_225_599, 1)] {
                    let expires_in = Duration::from_secs(seconds);
                    let request = TokenRequest { host: host.to_owned(), region: region.to_owned(), action, expires_in };
                    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
                    let token = request.sign(credentials, now).unwrap();
                    assert_eq!(token, of_the_sdk(&request, credentials, now).await);
                }
            }
        }
    }
}

#[tokio::test]
async fn the_url_of_a_cluster_says_what_its_token_is_for() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(498_335);
    let credentials = Credentials::new("akid", "secret", None, None, "test");
    for (url, action) in [
        ("postgres://admin@foo.dsql.eu-west-1.on.aws/postgres", TokenAction::DbConnectAdmin),
        ("postgres://foo.dsql.eu-west-1.on.aws/postgres", TokenAction::DbConnectAdmin),
        ("postgres://koala@foo.dsql.eu-west-1.on.aws/postgres", TokenAction::DbConnect),
    ] {
        let url = DatabaseUrl::parse(url).unwrap();
        let asked = TokenRequest {
            host: "foo.dsql.eu-west-1.on.aws".to_owned(),
            region: "eu-west-1".to_owned(),
            action,
            expires_in: Duration::from_mins(15),
        };
        assert_eq!(TokenRequest::of(&url).unwrap(), asked);
        let token = DsqlTokens::new(&url, credentials.clone()).unwrap().next(now).await.unwrap();
        assert_eq!(token, of_the_sdk(&asked, &credentials, now).await);
    }
    let other = DatabaseUrl::parse("postgres://koala@db.example.com/koala").unwrap();
    assert!(matches!(TokenRequest::of(&other), Err(TokenError::NoCluster)));
}
