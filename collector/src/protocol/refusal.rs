//! Why a request is refused.

use axum::http::StatusCode;
use koala_destination::koala::MOST_ENTRIES;
use thiserror::Error;

/// Why a request is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Not the key of this workspace.
    #[error("the public API key in the path is not the one in the parameter public-api-key")]
    UnknownKey,
    /// The collector is for the stack's own handlers alone.
    #[error("this collector takes requests of its stack's own functions alone: PublicCollect=true opens it to others")]
    NotAdmitted,
    /// Koala answers 200 to that, and throws the request away.
    #[error("the User-Agent header is missing: Koala accepts such a request and silently throws it away")]
    NoUserAgent,
    /// Not JSON, or not of the request's form.
    #[error("the body is not a batch request: {0}")]
    Form(String),
    /// Nobody.
    #[error("profile_id or email is required at the top of the request")]
    NoIdentity,
    /// Only ids such as `null` and `undefined`.
    #[error("no usable visitor id at the top of the request")]
    Nobody,
    /// A `profile_id` of another form.
    #[error("profile_id must be a UUID")]
    ProfileId,
    /// An `email` of another form.
    #[error("email must be an email address")]
    Email,
    /// Too many entries in one array.
    #[error("{0} has {1} entries, and {MOST_ENTRIES} is the most")]
    TooMany(&'static str, usize),
    /// An account without a domain.
    #[error("accounts[{0}]: domain, the company's, is required, and must be a domain")]
    NoDomain(usize),
    /// One entry's fault.
    #[error("{0}[{1}]: {2}")]
    Entry(&'static str, usize, &'static str),
}

impl Refusal {
    /// What a program goes by, next to the status and the words.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::NotAdmitted => "not_admitted",
            _ => "bad_request",
        }
    }

    /// The status: 401 where another key or token would help, so that a sender reads its key again and keeps its entries.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UnknownKey | Self::NotAdmitted => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}
