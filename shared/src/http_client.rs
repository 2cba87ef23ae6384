//! What every HTTP client of ours has in common: TLS on ring, and a resolver whose failure can be told from a host's.

use std::sync::Arc;

use reqwest::ClientBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

/// The client cannot be built: a fault of the build, not of the settings.
#[derive(Debug, Error)]
#[error("the HTTP client cannot be built: {0}")]
pub struct BuildClientError(String);

impl From<reqwest::Error> for BuildClientError {
    fn from(error: reqwest::Error) -> Self {
        Self(error.to_string())
    }
}

/// A host name that no resolver knows; found among the causes of a request's error.
#[derive(Debug, Error)]
#[error("the host name {0} cannot be resolved")]
pub struct HostNotFound(String);

/// The environment variable that names a PEM file with other roots than those linked in, as OpenSSL knows it.
pub const ROOTS_FILE: &str = "SSL_CERT_FILE";

/// A client builder with TLS on ring, the provider of the AWS SDK's client too, and the roots of Mozilla's store linked in:
/// reading the platform's from about 150 files would cost a cold start 2 ms. `SSL_CERT_FILE` puts others in their place.
///
/// # Errors
/// When TLS cannot be set up, or the file that `SSL_CERT_FILE` names has no certificate that can be used.
pub fn builder() -> Result<ClientBuilder, BuildClientError> {
    let roots = match crate::environment::process(ROOTS_FILE) {
        Some(file) => roots_of(&file)?,
        None => rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildClientError(error.to_string()))?;
    let tls = config.with_root_certificates(roots).with_no_client_auth();
    Ok(ClientBuilder::new().tls_backend_preconfigured(tls).dns_resolver(SystemResolver))
}

fn roots_of(file: &str) -> Result<rustls::RootCertStore, BuildClientError> {
    let unusable = |why: &dyn std::fmt::Display| BuildClientError(format!("{ROOTS_FILE} names {file}: {why}"));
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
        roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() { Err(unusable(&"there is no certificate in it")) } else { Ok(roots) }
}

/// The system's resolver, with an error of its own.
struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            // The port is put in by the caller.
            let found = tokio::net::lookup_host((host.as_str(), 0)).await.map(Iterator::collect::<Vec<_>>);
            match found {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(_) => Err(HostNotFound(host).into()),
            }
        })
    }
}
