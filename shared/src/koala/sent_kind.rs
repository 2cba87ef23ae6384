//! What an entry is.

/// What an entry is, by the array of a request that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SentKind {
    /// `identifies`
    Identify,
    /// `events`
    Event,
    /// `page_views`
    PageView,
    /// `groups`, which our own collector alone knows: the company of the request's person.
    Group,
    /// `identifies` of `POST …/accounts/batch`: a company, without a person.
    Account,
}

impl SentKind {
    /// The kinds of a batch request, in the order in which it has them.
    pub(super) const OF_A_BATCH: [Self; 4] = [Self::Identify, Self::Event, Self::PageView, Self::Group];

    /// The array of a request that it stands in.
    #[must_use]
    pub const fn array(self) -> &'static str {
        match self {
            Self::Identify | Self::Account => "identifies",
            Self::Event => "events",
            Self::PageView => "page_views",
            Self::Group => "groups",
        }
    }
}
