//! The routes of intake, and who may call them from a page of another origin.

use super::Request;

/// The route of Segment's webhook destinations.
const WEBHOOK_PATH: &str = "/v1/segment";

/// What a request brings, told from its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntakeRoute {
    /// Events that Segment has taken in already, from its webhook destinations.
    Webhook,
    /// An event of a Segment SDK, of the type that the path names.
    Event(&'static str),
    /// Several events of a Segment SDK.
    Batch,
    /// What analytics.js measures of itself. It is thrown away, as nobody looks at it here.
    Metrics,
}

/// Why a request brings no events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// Its path is not one of intake's.
    Path,
    /// Events come by POST alone.
    Method,
    /// A browser asks whether it may send.
    Preflight,
}

impl IntakeRoute {
    /// The route of a request.
    ///
    /// # Errors
    /// When it brings no events.
    pub(super) fn of(request: &Request<'_>) -> Result<Self, NoRoute> {
        let route = Self::at(request.path).ok_or(NoRoute::Path)?;
        match request.method {
            "POST" => Ok(route),
            "OPTIONS" => Err(NoRoute::Preflight),
            _ => Err(NoRoute::Method),
        }
    }

    /// The paths of Segment's HTTP tracking API
    /// (<https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/>), the short ones of
    /// analytics.js 2.0 beside the long ones.
    fn at(path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        if path == WEBHOOK_PATH {
            return Some(Self::Webhook);
        }
        Some(match path.strip_prefix("/v1/")? {
            "identify" | "i" => Self::Event("identify"),
            "track" | "t" => Self::Event("track"),
            "page" | "p" => Self::Event("page"),
            "screen" | "s" => Self::Event("screen"),
            "group" | "g" => Self::Event("group"),
            "alias" | "a" => Self::Event("alias"),
            "batch" | "b" | "import" => Self::Batch,
            "m" => Self::Metrics,
            _ => return None,
        })
    }
}
