//! TLS to a server that has to prove who it is.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::PostgresError;

/// What signs the certificates of servers of RDS and Aurora, which are in nobody's store.
const RDS_ROOTS: &[u8] = include_bytes!("roots/rds.pem");

/// Who may say that a server is who it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// Mozilla's.
    Public,
    /// Mozilla's, and those of RDS: for its hosts alone.
    Rds,
    /// Those in a PEM file, and no others.
    File(String),
}

impl Roots {
    fn read(&self) -> Result<RootCertStore, PostgresError> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::Public => roots.roots = webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            Self::Rds => {
                roots.roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
                for root in CertificateDer::pem_slice_iter(RDS_ROOTS).flatten() {
                    roots.add(root).map_err(|error| PostgresError::Tls(error.to_string()))?;
                }
            }
            Self::File(file) => {
                let unusable = |why: &dyn std::fmt::Display| PostgresError::Tls(format!("sslrootcert={file}: {why}"));
                for root in CertificateDer::pem_file_iter(Path::new(file)).map_err(|error| unusable(&error))? {
                    roots.add(root.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
                }
                if roots.is_empty() {
                    return Err(unusable(&"there is no certificate in it"));
                }
            }
        }
        Ok(roots)
    }
}

/// How a server is spoken to whose certificate is one of these roots' and says its name.
pub(super) fn connector(roots: &Roots) -> Result<MakeRustlsConnect, PostgresError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| PostgresError::Tls(error.to_string()))?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots.read()?).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_of_rds_are_read_whole_beside_those_of_mozilla() {
        let (public, rds) = (Roots::Public.read().expect("roots"), Roots::Rds.read().expect("roots"));
        let begun = String::from_utf8_lossy(RDS_ROOTS).matches("-----BEGIN CERTIFICATE-----").count();
        assert!(begun > 80);
        assert_eq!(rds.len() - public.len(), begun);
    }

    #[test]
    fn a_file_without_roots_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let empty = folder.path().join("empty.pem").to_string_lossy().into_owned();
        std::fs::write(&empty, "").expect("a file");
        for file in [empty, folder.path().join("missing.pem").to_string_lossy().into_owned()] {
            let why = Roots::File(file.clone()).read().expect_err("no roots").to_string();
            assert!(why.contains(&format!("sslrootcert={file}")), "{why}");
        }
    }
}
