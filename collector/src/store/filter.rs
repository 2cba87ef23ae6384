//! Which visitors are looked for.

/// Which visitors are looked for; what is not set is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A part of an id or a trait, or an event's name.
    pub text: Option<String>,
    /// Only those with a user id or an address, or only those without.
    pub known: Option<bool>,
    /// Only those with an event of this name, whatever its case; with a time, one of that time.
    pub event: Option<String>,
    /// Only those with this trait.
    pub of_trait: Option<TraitFilter>,
    /// Only those who did something at this time or later, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Only those who did something before this time, in milliseconds since 1970.
    pub before: Option<i64>,
}

/// A trait that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraitFilter {
    /// Its name.
    pub name: String,
    /// Its value as people write it, whatever its case; any, where it is not said.
    pub value: Option<String>,
}

impl TraitFilter {
    /// Reads `name=value`, or `name` alone.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.trim())));
        let (name, value) = (name.trim().to_owned(), value.map(str::to_owned));
        (!name.is_empty()).then_some(Self { name, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trait_is_looked_for_by_name_or_by_name_and_value() {
        let of = |text| TraitFilter::parse(text).map(|it| (it.name, it.value));
        assert_eq!(of(" plan "), Some(("plan".to_owned(), None)));
        assert_eq!(of("plan = team=a"), Some(("plan".to_owned(), Some("team=a".to_owned()))));
        assert_eq!(of("=team"), None);
    }
}
