//! Where the collector is.

use std::fmt;

use reqwest::Url;
use thiserror::Error;

use super::{CollectorKind, Route};
use crate::environment::Variables;
use crate::settings::PublicApiKey;

/// Koala's own collection host. It answers `ingest suspended` since the service was shut down.
const HOSTED: &str = "https://api2.getkoala.com";

/// Where Koala's collection API is: `https://api2.getkoala.com`, or a collector that speaks the same protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KoalaUrl(Url);

/// Why a text is not the URL of a collector.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ParseKoalaUrlError {
    /// Not a URL at all.
    #[error("is not a URL: {0}")]
    NotAUrl(String),
    /// Another scheme.
    #[error("must begin with https:// or http://")]
    Scheme,
}

impl KoalaUrl {
    /// Takes the URL without `/web/projects/…`, which the client adds.
    ///
    /// # Errors
    /// When it is not an http or https URL.
    pub fn parse(text: &str) -> Result<Self, ParseKoalaUrlError> {
        let mut url = Url::parse(text.trim()).map_err(|error| ParseKoalaUrlError::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ParseKoalaUrlError::Scheme);
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// That of a route of the collection API.
    pub(super) fn of(&self, route: Route, key: &PublicApiKey) -> String {
        format!("{self}/web/projects/{}/{}", key.as_str(), route.path())
    }
}

impl fmt::Display for KoalaUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Where the collector is, and which of the two kinds it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorAddress {
    /// Its URL, where it is said.
    pub url: Option<KoalaUrl>,
    /// Its kind.
    pub kind: CollectorKind,
}

impl CollectorAddress {
    /// Reads `KOALA_URL` and `COLLECTOR_KIND`, which is `own` or `koala`. Where the kind is not set it is `koala`, and
    /// `without_url` where `KOALA_URL` is not set either: a set that brings its own collector delivers to that one.
    pub fn read(variables: &mut Variables<'_>, without_url: CollectorKind) -> Self {
        let without_kind = if variables.optional("KOALA_URL").is_some() { CollectorKind::Koala } else { without_url };
        Self {
            url: variables.parsed("KOALA_URL", KoalaUrl::parse),
            kind: variables.parsed("COLLECTOR_KIND", str::parse).unwrap_or(without_kind),
        }
    }

    /// Its URL, or that of Koala's own host.
    ///
    /// # Errors
    /// None: the host's URL is one.
    pub fn url_or_hosted(&self) -> Result<KoalaUrl, ParseKoalaUrlError> {
        self.url.clone().map_or_else(|| KoalaUrl::parse(HOSTED), Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{self, EnvironmentError};

    fn read(kind: Option<&'static str>, url: Option<&'static str>) -> Result<CollectorAddress, EnvironmentError> {
        let variables = move |name: &str| match name {
            "COLLECTOR_KIND" => kind.map(str::to_owned),
            "KOALA_URL" => url.map(str::to_owned),
            _ => None,
        };
        environment::read(variables, |variables| CollectorAddress::read(variables, CollectorKind::Own))
    }

    #[test]
    fn which_collector_it_is_is_said_or_follows_from_its_url() {
        let kind = |kind, url| read(kind, url).map(|address| address.kind);
        let url = Some("https://collector.example");
        assert_eq!(kind(None, None), Ok(CollectorKind::Own));
        assert_eq!(kind(None, url), Ok(CollectorKind::Koala));
        assert_eq!(kind(Some("own"), url), Ok(CollectorKind::Own));
        assert_eq!(kind(Some("koala"), None), Ok(CollectorKind::Koala));
        let error = kind(Some("mine"), url).expect_err("a bad value");
        assert!(error.to_string().starts_with("the environment variable COLLECTOR_KIND is \"mine\"; own"), "{error}");
    }

    #[test]
    fn without_a_url_it_is_the_hosted_service_s() {
        let address = read(None, None).expect("an address");
        assert_eq!(address.url_or_hosted().expect("a URL").to_string(), "https://api2.getkoala.com");
        let address = read(None, Some("https://collector.example/")).expect("an address");
        assert_eq!(address.url_or_hosted().expect("a URL").to_string(), "https://collector.example");
        assert!(read(None, Some("ftp://collector.example")).is_err());
    }
}
