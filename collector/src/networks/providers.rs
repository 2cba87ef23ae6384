//! Whose networks are an organisation's own: by the type that a source gives them, else by a list of access providers and hosters.

use std::collections::HashSet;
use std::sync::LazyLock;

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

/// Whose networks say nothing, where no type is told.
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

/// Whether a network is its owner's own, and not one that an access provider or a hoster lends to others.
pub fn is_own(kind: Option<&str>, domain: &str, name: Option<&str>) -> bool {
    match kind {
        Some(kind) => OWN.contains(&kind.to_lowercase().as_str()),
        None => !LIST.has(domain, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
