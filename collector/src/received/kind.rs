//! What kinds of entries there are.

/// What an entry is in the store, by the array of a request that it stood in. What stands in the fourth array, `groups`, is kept as an
/// identify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// `identifies`
    Identify,
    /// `events`
    Event,
    /// `page_views`
    PageView,
}

impl EntryKind {
    /// The name in the store and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Event => "event",
            Self::PageView => "page_view",
        }
    }

    /// The kind that has a name in the store.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Identify, Self::Event, Self::PageView].into_iter().find(|kind| kind.name() == name)
    }
}
