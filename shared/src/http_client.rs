//! What every HTTP client of ours has in common: TLS on ring, and a resolver that tells why it has no address.

use std::error::Error as StdError;
use std::sync::Arc;

use reqwest::ClientBuilder;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

use crate::environment::{self, ROOTS_FILE};
use crate::resolver::{Lookup, Resolver, SystemLookup};

/// The client cannot be built: the roots of `SSL_CERT_FILE` cannot be read, or it is a fault of the build.
#[derive(Debug, Error)]
#[error("the HTTP client cannot be built: {0}")]
pub struct BuildClientError(String);

impl From<reqwest::Error> for BuildClientError {
    fn from(error: reqwest::Error) -> Self {
        Self(error.to_string())
    }
}

/// A client builder with TLS on ring, the provider of the AWS SDK's client too, and the roots of Mozilla's store linked in:
/// reading the platform's from about 150 files would cost a cold start 2 ms. `SSL_CERT_FILE` puts others in their place.
///
/// # Errors
/// When TLS cannot be set up, or the file that `SSL_CERT_FILE` names has no certificate that can be used.
pub fn builder() -> Result<ClientBuilder, BuildClientError> {
    builder_with(SystemLookup)
}

/// The same with another resolver.
///
/// # Errors
/// As [`builder`].
pub fn builder_with(lookup: impl Lookup) -> Result<ClientBuilder, BuildClientError> {
    let roots = match environment::roots_file() {
        Some(file) => roots_of(&file)?,
        None => rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildClientError(error.to_string()))?;
    let tls = config.with_root_certificates(roots).with_no_client_auth();
    Ok(ClientBuilder::new().tls_backend_preconfigured(tls).dns_resolver(Resolver(Arc::new(lookup))))
}

/// An error and what caused it, the outermost first: reqwest's own words are the outer ones.
pub fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

fn roots_of(file: &str) -> Result<rustls::RootCertStore, BuildClientError> {
    let unusable = |why: &dyn std::fmt::Display| BuildClientError(format!("{ROOTS_FILE} names {file}: {why}"));
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
        roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() { Err(unusable(&"there is no certificate in it")) } else { Ok(roots) }
}
