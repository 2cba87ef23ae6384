//! One identity of a company, as it is compared and kept.

use koala_destination::ids::{Id, IdKind};

use super::domain;

/// What kind of identity it is, the strongest first: a weaker one may belong to a stronger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CompanyKind {
    /// A registrable domain that is no free mail's. Two domains never become one company.
    Domain,
    /// A `groupId` of Segment's group calls.
    Group,
    /// A name.
    Name,
}

impl CompanyKind {
    /// All of them, the strongest first.
    pub const ALL: [Self; 3] = [Self::Domain, Self::Group, Self::Name];

    /// The name in a store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Group => "group",
            Self::Name => "name",
        }
    }

    /// The kind that has a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One identity of a company.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CompanyKey {
    /// Its kind.
    pub kind: CompanyKind,
    /// Its text: a domain and a name in lower case, a group's id as it is.
    pub value: String,
}

impl CompanyKey {
    /// A domain, of a text that is one or of a URL; none where it cannot be a company's.
    #[must_use]
    pub fn domain(text: &str) -> Option<Self> {
        domain::of_company(text).map(|value| Self { kind: CompanyKind::Domain, value })
    }

    /// A group's id; none where it is nobody's (`null`, `undefined` …) or longer than an id.
    #[must_use]
    pub fn group(text: &str) -> Option<Self> {
        plain(text).map(|value| Self { kind: CompanyKind::Group, value })
    }

    /// A name, whatever its case and its spaces; none where it is nobody's (`n/a`, `none`, `test` …) or longer than an id.
    #[must_use]
    pub fn of_name(text: &str) -> Option<Self> {
        let folded = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        plain(&folded).map(|value| Self { kind: CompanyKind::Name, value })
    }

    /// The domain that a group's id or a name is written as: `acme.com`, and not a host below it or a number with a point.
    #[must_use]
    pub fn as_domain(&self) -> Option<Self> {
        let is_weaker = self.kind != CompanyKind::Domain;
        is_weaker.then(|| domain::exactly(&self.value)).flatten().map(|value| Self { kind: CompanyKind::Domain, value })
    }

    /// A key that was made before, as a store gives it back.
    #[must_use]
    pub fn stored(kind: CompanyKind, value: impl Into<String>) -> Self {
        Self { kind, value: value.into() }
    }
}

/// What is not an id of a person is none of a company.
fn plain(text: &str) -> Option<String> {
    Id::parse(IdKind::User, text).map(|id| id.value().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_whatever_its_case_and_its_spaces_and_a_group_s_id_is_as_it_is() {
        let name = |text: &str| CompanyKey::of_name(text).map(|key| key.value);
        assert_eq!(name(" Acme  &\u{a0}Söhne "), Some("acme & söhne".into()));
        assert_eq!(CompanyKey::group(" G-1 ").map(|key| key.value), Some("G-1".into()));
        for nothing in ["", " ", "N/A", "none", "undefined", "null", "{{company}}", "[object Object]", &"x".repeat(300)]
        {
            assert_eq!((name(nothing), CompanyKey::group(nothing)), (None, None), "{nothing}");
        }
    }

    #[test]
    fn a_kind_has_its_name_back() {
        for kind in CompanyKind::ALL {
            assert_eq!(CompanyKind::of(kind.name()), Some(kind));
        }
    }
}
