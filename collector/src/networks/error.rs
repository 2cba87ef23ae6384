//! Why nothing can be asked.

use std::path::PathBuf;

use koala_destination::http_client::BuildClientError;
use thiserror::Error;

/// What is to be asked cannot be.
#[derive(Debug, Error)]
pub enum NetworksError {
    /// The file is not there, or none.
    #[error("the address file {} (IP_DATABASE) cannot be read: {reason}", file.display())]
    File {
        /// Where it should be.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no HTTP client.
    #[error(transparent)]
    Client(#[from] BuildClientError),
}
