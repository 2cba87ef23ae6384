//! What the page and the API can do where they are served.

/// How an open page learns that something has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Live {
    /// The server says so, by server-sent events.
    #[default]
    Events,
    /// It asks, every 30 s while somebody looks at it: a function cannot hold a connection for that.
    Asked,
}

/// What can be done where the routes are served: by default all of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presentation {
    /// How an open page learns of changes.
    pub live: Live,
    /// The most bytes of one CSV file; longer ones come in several.
    pub most_file_bytes: Option<usize>,
}

impl Presentation {
    /// In a Lambda function, whose answer has at most 6 MB as JSON, in which each quote of a file takes two bytes
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
    #[must_use]
    pub fn of_function() -> Self {
        Self { live: Live::Asked, most_file_bytes: Some(3 * 1024 * 1024) }
    }
}
