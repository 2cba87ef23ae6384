//! An address file in the format of `MaxMind` (<https://maxmind.github.io/MaxMind-DB/>), as several vendors make them.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{PathElement, Reader};

use super::error::NetworksError;
use super::fields::RecordFields;
use crate::company::Guess;

/// An address file that is open. It is in memory: a file of `IPinfo` Lite takes some 50 MB.
pub struct AddressFile {
    reader: Reader<Vec<u8>>,
    fields: RecordFields,
}

impl fmt::Debug for AddressFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AddressFile").field("fields", &self.fields).finish_non_exhaustive()
    }
}

impl AddressFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is not there or no address file.
    pub fn open(file: &Path, fields: RecordFields) -> Result<Self, NetworksError> {
        match Reader::open_readfile(file) {
            Ok(reader) => Ok(Self { reader, fields }),
            Err(error) => Err(NetworksError::File { file: file.to_owned(), reason: error.to_string() }),
        }
    }

    /// The company whose own network an address is of.
    #[must_use]
    pub fn guess(&self, address: IpAddr) -> Option<Guess> {
        // An IPv4 address that is written as one of IPv6 stands in a file as itself.
        let record = self.reader.lookup(address.to_canonical()).ok()?;
        self.fields.guess(|field| {
            let path: Vec<_> = field.split('.').map(PathElement::Key).collect();
            // A field of another form says nothing.
            record.decode_path::<&str>(&path).ok().flatten()
        })
    }
}
