//! The company whose network an address is of: a guess about visitors of whom nothing else is known.
//!
//! It finds organisations with networks of their own. Who works from home comes by an access provider, and is nobody's guess.
//!
//! | module | what it does |
//! |---|---|
//! | [`file`] | looks an address up in a file (`.mmdb`) |
//! | [`lookup`], `answers` | asks a vendor's API, and what it has answered |
//! | `of_batch` | the guesses of a request |
//! | [`fields`] | where either says domain, name and type, and what is made of them |
//! | `error` | why either cannot be asked |
//! | [`providers`] | whose networks are an organisation's own |

mod answers;
mod error;
pub mod fields;
pub mod file;
pub mod lookup;
mod of_batch;
mod providers;

use std::net::IpAddr;
use std::path::PathBuf;

use koala_destination::environment::Variables;

pub use self::error::NetworksError;
use self::fields::{Names, RecordFields};
use self::file::AddressFile;
use self::lookup::{AddressLookup, LookupOptions};
use crate::company::Guess;

/// What is asked whose network an address is of.
#[derive(Debug, Clone)]
pub enum NetworkOptions {
    /// `IP_DATABASE`: a file.
    File {
        /// Where it is.
        file: PathBuf,
        /// `IP_DATABASE_DOMAIN`, `IP_DATABASE_NAME`, `IP_DATABASE_TYPE`: where its records say them.
        fields: RecordFields,
    },
    /// `IP_LOOKUP_URL`: a vendor's API.
    Lookup(LookupOptions),
}

impl NetworkOptions {
    /// The options for a file, with the fields of `IPinfo` Lite and of range-level files.
    #[must_use]
    pub fn of(file: impl Into<PathBuf>) -> Self {
        Self::File { file: file.into(), fields: RecordFields::default() }
    }

    /// Reads them from the environment; nothing where neither `IP_DATABASE` nor `IP_LOOKUP_URL` is set.
    pub fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let file = variables.optional("IP_DATABASE");
        let names = Names { domain: "IP_DATABASE_DOMAIN", name: "IP_DATABASE_NAME", kind: "IP_DATABASE_TYPE" };
        let fields = RecordFields::read(variables, names);
        let lookup = LookupOptions::read(variables);
        match (file, lookup) {
            (Some(_), Some(_)) => {
                variables.refuse("IP_LOOKUP_URL", "is set beside IP_DATABASE; set one of them");
                None
            }
            (Some(file), None) => Some(Self::File { file: file.into(), fields }),
            (None, lookup) => lookup.map(Self::Lookup),
        }
    }
}

/// What is asked, ready.
#[derive(Debug)]
pub enum Networks {
    /// A file.
    File(AddressFile),
    /// A vendor's API.
    Lookup(AddressLookup),
}

impl Networks {
    /// Reads the file, or makes the client.
    ///
    /// # Errors
    /// When the file is not there or no address file, or TLS cannot be set up.
    pub fn open(options: NetworkOptions) -> Result<Self, NetworksError> {
        Ok(match options {
            NetworkOptions::File { file, fields } => Self::File(AddressFile::open(&file, fields)?),
            NetworkOptions::Lookup(options) => Self::Lookup(AddressLookup::new(options)?),
        })
    }

    /// The company whose own network an address is of; nothing where it is of an access provider or a hosting network, or unknown, or where
    /// it cannot be told now.
    pub async fn guess(&self, address: IpAddr) -> Option<Guess> {
        match self {
            Self::File(file) => file.guess(address),
            Self::Lookup(lookup) => lookup.guess(address).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Files that `tests/networks.py` made.
    fn networks(name: &str) -> Networks {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/networks").join(name);
        Networks::open(NetworkOptions::of(file)).expect("an address file")
    }

    async fn guess(networks: &Networks, address: &str) -> Option<(String, String)> {
        let guess = networks.guess(address.parse().expect("an address")).await?;
        Some((guess.domain, guess.name.unwrap_or_default()))
    }

    fn company(domain: &str, name: &str) -> (String, String) {
        (domain.to_owned(), name.to_owned())
    }

    #[tokio::test]
    async fn two_companies_are_guessed_and_an_access_provider_and_a_hosting_network_are_not_by_the_file_s_type() {
        let networks = networks("ranges.mmdb");
        let northwind = || Some(company("northwind.example", "Northwind Traders"));
        assert_eq!(guess(&networks, "192.0.2.1").await, northwind());
        assert_eq!(guess(&networks, "2001:db8:1::7").await, northwind());
        assert_eq!(
            guess(&networks, "192.0.2.65").await,
            Some(company("difference.example", "Institute of Difference"))
        );
        // An access provider, a hosting network, a record without a domain, and an address that is not in the file.
        for address in ["198.51.100.7", "203.0.113.7", "192.0.2.129", "192.0.2.200", "127.0.0.1"] {
            assert_eq!(guess(&networks, address).await, None, "{address}");
        }
    }

    #[tokio::test]
    async fn a_file_without_types_is_judged_by_a_list_of_providers_and_by_words_of_their_names() {
        let networks = networks("lite.mmdb");
        assert_eq!(guess(&networks, "192.0.2.1").await, Some(company("northwind.example", "Northwind Traders")));
        assert_eq!(
            guess(&networks, "192.0.2.65").await,
            Some(company("difference.example", "Institute of Difference"))
        );
        for address in ["198.51.100.7", "198.51.100.200", "203.0.113.7"] {
            assert_eq!(guess(&networks, address).await, None, "{address}");
        }
    }

    fn read(set: impl Fn(&str) -> Option<&'static str>) -> Result<Option<NetworkOptions>, String> {
        koala_destination::environment::read(|name: &str| set(name).map(str::to_owned), NetworkOptions::read)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_names_of_the_fields_are_settings() {
        let options = read(|name| match name {
            "IP_DATABASE" => Some("networks.mmdb"),
            "IP_DATABASE_DOMAIN" => Some("owner.site, owner.domain"),
            _ => None,
        });
        let Ok(Some(NetworkOptions::File { fields, .. })) = options else { panic!("{options:?}") };
        assert_eq!(fields.domain, ["owner.site", "owner.domain"]);
        assert_eq!(fields.kind, ["company.type", "type", "category"]);
        assert!(matches!(read(|_| None), Ok(None)));
        let bad = read(|name| (name == "IP_DATABASE_NAME").then_some("a..b")).expect_err("no field");
        assert!(bad.contains("IP_DATABASE_NAME must name fields"), "{bad}");
    }

    #[test]
    fn a_file_and_an_api_are_not_asked_both() {
        let error = read(|name| match name {
            "IP_DATABASE" => Some("networks.mmdb"),
            "IP_LOOKUP_URL" => Some("https://api.example/{ip}"),
            _ => None,
        });
        assert!(error.expect_err("two sources").contains("IP_LOOKUP_URL is set beside IP_DATABASE"));
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let error = Networks::open(NetworkOptions::of("nowhere.mmdb")).expect_err("no file").to_string();
        assert!(error.starts_with("the address file nowhere.mmdb (IP_DATABASE) cannot be read: "), "{error}");
    }
}
