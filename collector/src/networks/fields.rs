//! Where a source says the domain, the name and the type of a network, and what is made of it.

use koala_destination::environment::Variables;

use super::providers::is_own;
use crate::company::Guess;
use crate::company::of_company;

/// The deepest field that a setting can name.
const MOST_PARTS: usize = 8;
/// The longest name of a company that is kept, in bytes.
const LONGEST_NAME: usize = 200;

/// The names of fields, each with dots between its parts; the first one that says something counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFields {
    /// Where the domain stands.
    pub domain: Vec<String>,
    /// Where the name stands.
    pub name: Vec<String>,
    /// Where the type of the network stands.
    pub kind: Vec<String>,
}

/// The variables that name the fields of a source.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// That of the domain.
    pub domain: &'static str,
    /// That of the name.
    pub name: &'static str,
    /// That of the type.
    pub kind: &'static str,
}

impl Default for RecordFields {
    /// The fields of `IPinfo` Lite and of range-level sources.
    fn default() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            domain: texts(&["company.domain", "as_domain", "domain"]),
            name: texts(&["company.name", "as_name", "name"]),
            kind: texts(&["company.type", "type", "category"]),
        }
    }
}

impl RecordFields {
    /// Reads them from the environment.
    pub fn read(variables: &mut Variables<'_>, names: Names) -> Self {
        let defaults = Self::default();
        let mut fields = |name: &'static str, default: Vec<String>| {
            let written = variables.list(name);
            let is_none = |field: &String| field.split('.').count() > MOST_PARTS || field.split('.').any(str::is_empty);
            if written.iter().any(is_none) {
                variables.refuse(name, "must name fields of its records, as in company.domain,as_domain");
            }
            if written.is_empty() { default } else { written }
        };
        Self {
            domain: fields(names.domain, defaults.domain),
            name: fields(names.name, defaults.name),
            kind: fields(names.kind, defaults.kind),
        }
    }

    /// The company that a record names, read by `field`; nothing where the network is an access provider's or a hoster's.
    pub fn guess<'r>(&self, field: impl Fn(&str) -> Option<&'r str>) -> Option<Guess> {
        let said = |fields: &[String]| {
            fields.iter().find_map(|name| field(name).map(str::trim).filter(|text| !text.is_empty()))
        };
        let domain = of_company(said(&self.domain)?)?;
        let name = said(&self.name);
        let is_own = is_own(said(&self.kind), &domain, name);
        let name = name.map(|name| name.get(..name.floor_char_boundary(LONGEST_NAME)).unwrap_or_default().to_owned());
        is_own.then_some(Guess { domain, name })
    }
}
