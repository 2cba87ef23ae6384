//! The company whose network an address is of: a guess about visitors of whom nothing else is known.
//!
//! It comes from an address file in the format of `MaxMind` (<https://maxmind.github.io/MaxMind-DB/>), as several vendors make them. Such a file
//! finds organisations with networks of their own. Who works from home comes by an access provider, and is nobody's guess.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use koala_destination::environment::Variables;
use koala_destination::json::Object;
use maxminddb::{PathElement, Reader};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::of_company;

/// The deepest field, and the most fields, that a setting can name.
const MOST_PARTS: usize = 8;
/// The longest name of a company that is kept, in bytes.
const LONGEST_NAME: usize = 200;

/// Types and categories of networks that are an organisation's own, in the words of the vendors: `IPinfo` (`business`, `education`),
/// `MaxMind` (`user_type`), `IP2Location` (`usage_type`). All others are of access providers, hosting, VPNs and the like.
const OWN: [&str; 17] = [
    "business",
    "college",
    "com",
    "commercial",
    "corporate",
    "edu",
    "education",
    "enterprise",
    "gov",
    "government",
    "library",
    "mil",
    "military",
    "org",
    "organization",
    "school",
    "university",
];

/// Whose networks say nothing, where the file tells no type.
static LIST: LazyLock<List> = LazyLock::new(|| List::read(include_str!("access_providers.txt")));

struct List {
    domains: HashSet<&'static str>,
    words: HashSet<&'static str>,
}

impl List {
    fn read(text: &'static str) -> Self {
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self {
            domains: lines().filter(|line| !line.starts_with('~')).collect(),
            words: lines().filter_map(|line| line.strip_prefix('~')).collect(),
        }
    }

    fn has(&self, domain: &str, name: Option<&str>) -> bool {
        let mut words = name.unwrap_or_default().split(|character: char| !character.is_alphanumeric());
        self.domains.contains(domain) || words.any(|word| self.words.contains(word.to_lowercase().as_str()))
    }
}

/// A company that is guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guess {
    /// Its registrable domain.
    pub domain: String,
    /// The name that the file gives the network's owner. It never becomes the name of a company that is known otherwise.
    pub name: Option<String>,
}

/// Which file is asked, and what its fields are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkOptions {
    /// `IP_DATABASE`: the file.
    pub file: PathBuf,
    /// `IP_DATABASE_DOMAIN`: where a record says the domain, the first first.
    pub domain: Vec<String>,
    /// `IP_DATABASE_NAME`: where it says the name.
    pub name: Vec<String>,
    /// `IP_DATABASE_TYPE`: where it says the type of the network.
    pub kind: Vec<String>,
}

impl NetworkOptions {
    /// The options for a file, with the fields of `IPinfo` Lite and of range-level files.
    #[must_use]
    pub fn of(file: impl Into<PathBuf>) -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            file: file.into(),
            domain: texts(&["company.domain", "as_domain", "domain"]),
            name: texts(&["company.name", "as_name", "name"]),
            kind: texts(&["company.type", "type", "category"]),
        }
    }

    /// Reads them from the environment; nothing where `IP_DATABASE` is not set.
    pub fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let file = variables.optional("IP_DATABASE");
        let defaults = Self::of(file.as_deref().unwrap_or_default());
        let mut fields = |name: &'static str, default: Vec<String>| {
            let written = variables.list(name);
            if written.iter().any(|field| field.split('.').count() > MOST_PARTS || field.split('.').any(str::is_empty))
            {
                let problem = "must name fields of the file's records, as in company.domain,as_domain";
                variables.refuse(name, problem);
            }
            if written.is_empty() { default } else { written }
        };
        let options = Self {
            domain: fields("IP_DATABASE_DOMAIN", defaults.domain),
            name: fields("IP_DATABASE_NAME", defaults.name),
            kind: fields("IP_DATABASE_TYPE", defaults.kind),
            file: defaults.file,
        };
        file.is_some().then_some(options)
    }
}

/// The file cannot be used.
#[derive(Debug, Error)]
#[error("the address file {} (IP_DATABASE) cannot be read: {reason}", file.display())]
pub struct NetworksError {
    file: PathBuf,
    reason: String,
}

/// An address file that is open. It is in memory: a file of `IPinfo` Lite takes some 50 MB.
pub struct Networks {
    reader: Reader<Vec<u8>>,
    options: NetworkOptions,
}

impl std::fmt::Debug for Networks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Networks").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Networks {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is not there or no address file.
    pub fn open(options: NetworkOptions) -> Result<Self, NetworksError> {
        let refuse = |file: &Path, reason: String| NetworksError { file: file.to_owned(), reason };
        match Reader::open_readfile(&options.file) {
            Ok(reader) => Ok(Self { reader, options }),
            Err(error) => Err(refuse(&options.file, error.to_string())),
        }
    }

    /// The company whose own network an address is of; nothing where it is of an access provider or a hosting network, or not in
    /// the file.
    #[must_use]
    pub fn guess(&self, address: IpAddr) -> Option<Guess> {
        let record = self.reader.lookup(address).ok()?;
        let said = |fields: &[String]| {
            fields.iter().find_map(|field| {
                let path: Vec<_> = field.split('.').map(PathElement::Key).collect();
                // A field of another form says nothing.
                let text = record.decode_path::<&str>(&path).ok().flatten()?.trim();
                (!text.is_empty()).then_some(text)
            })
        };
        let domain = of_company(said(&self.options.domain)?)?;
        let name = said(&self.options.name);
        let is_own = match said(&self.options.kind) {
            Some(kind) => OWN.contains(&kind.to_lowercase().as_str()),
            None => !LIST.has(&domain, name),
        };
        let name = name.map(|name| name.get(..name.floor_char_boundary(LONGEST_NAME)).unwrap_or_default().to_owned());
        is_own.then_some(Guess { domain, name })
    }
}

/// The address that an entry came from: its `context.ip`, as Segment's events have it.
#[must_use]
pub fn address_of(entry: &str) -> Option<IpAddr> {
    let entry = Object::from_json(entry)?;
    entry.get_object("context")?.get_str("ip")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that `tests/networks.py` made.
    fn networks(name: &str) -> Networks {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/networks").join(name);
        Networks::open(NetworkOptions::of(file)).expect("an address file")
    }

    fn guess(networks: &Networks, address: &str) -> Option<(String, String)> {
        let guess = networks.guess(address.parse().expect("an address"))?;
        Some((guess.domain, guess.name.unwrap_or_default()))
    }

    fn company(domain: &str, name: &str) -> (String, String) {
        (domain.to_owned(), name.to_owned())
    }

    #[test]
    fn two_companies_are_guessed_and_an_access_provider_and_a_hosting_network_are_not_by_the_file_s_type() {
        let networks = networks("ranges.mmdb");
        let northwind = || Some(company("northwind.example", "Northwind Traders"));
        assert_eq!(guess(&networks, "192.0.2.1"), northwind());
        assert_eq!(guess(&networks, "2001:db8:1::7"), northwind());
        assert_eq!(guess(&networks, "192.0.2.65"), Some(company("difference.example", "Institute of Difference")));
        // An access provider, a hosting network, a record without a domain, and an address that is not in the file.
        for address in ["198.51.100.7", "203.0.113.7", "192.0.2.129", "192.0.2.200", "127.0.0.1"] {
            assert_eq!(guess(&networks, address), None, "{address}");
        }
    }

    #[test]
    fn a_file_without_types_is_judged_by_a_list_of_providers_and_by_words_of_their_names() {
        let networks = networks("lite.mmdb");
        assert_eq!(guess(&networks, "192.0.2.1"), Some(company("northwind.example", "Northwind Traders")));
        assert_eq!(guess(&networks, "192.0.2.65"), Some(company("difference.example", "Institute of Difference")));
        for address in ["198.51.100.7", "198.51.100.200", "203.0.113.7"] {
            assert_eq!(guess(&networks, address), None, "{address}");
        }
    }

    #[test]
    fn the_names_of_the_fields_are_settings() {
        let set = |name: &str| match name {
            "IP_DATABASE" => Some("networks.mmdb".to_owned()),
            "IP_DATABASE_DOMAIN" => Some("owner.site, owner.domain".to_owned()),
            _ => None,
        };
        let read =
            |set: &dyn Fn(&str) -> Option<String>| koala_destination::environment::read(set, NetworkOptions::read);
        let options = read(&set).expect("options").expect("a file");
        assert_eq!(options.domain, ["owner.site", "owner.domain"]);
        assert_eq!(options.kind, ["company.type", "type", "category"]);
        assert_eq!(read(&|_| None), Ok(None));
        let bad = read(&|name| (name == "IP_DATABASE_NAME").then(|| "a..b".to_owned())).expect_err("no field");
        assert!(bad.to_string().contains("IP_DATABASE_NAME must name fields"), "{bad}");
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let error = Networks::open(NetworkOptions::of("nowhere.mmdb")).expect_err("no file").to_string();
        assert!(error.starts_with("the address file nowhere.mmdb (IP_DATABASE) cannot be read: "), "{error}");
    }

    #[test]
    fn an_entry_s_address_is_that_of_its_context() {
        let of = |json: &str| address_of(json).map(|address| address.to_string());
        assert_eq!(of(r#"{"context":{"ip":"192.0.2.1"}}"#).as_deref(), Some("192.0.2.1"));
        for json in [r#"{"context":{"ip":"unknown"}}"#, r#"{"context":{}}"#, "{}", "[]"] {
            assert_eq!(of(json), None, "{json}");
        }
    }

    #[test]
    fn the_list_of_providers_holds_registrable_domains_in_lower_case_once_each() {
        let lines: Vec<_> = include_str!("access_providers.txt")
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with(['#', '~']))
            .collect();
        assert_eq!(LIST.domains.len(), lines.len(), "a domain stands there twice");
        for line in lines {
            assert_eq!(crate::company::registrable(line).as_deref(), Some(line));
        }
    }
}
