//! A request's body: from the bytes on the wire to JSON text, within limits that hold before anything is parsed.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::GzDecoder;

use super::{Answer, Request};
use crate::json::{self, Elements};

/// The most events in one body; Segment's webhook sends at most 1,000 in a batch, its SDKs far fewer
/// (<https://segment.com/docs/connections/destinations/catalog/actions-webhook/>).
pub const MOST_EVENTS: usize = 1000;

/// The body as text, unpacked when it came with `Content-Encoding: gzip`.
///
/// # Errors
/// With the answer to a body that is too large, packed or unpacked, not of a type that can be JSON, or not UTF-8.
pub fn text<'a>(request: &Request<'a>, max_bytes: usize) -> Result<Cow<'a, str>, Answer> {
    if request.body.len() > max_bytes {
        return Err(Answer::body_too_large(request.body.len(), max_bytes));
    }
    can_be_json(request.header("content-type"))?;
    match request.header("content-encoding").map(str::trim) {
        None | Some("" | "identity") => utf8(request.body).map(Cow::Borrowed),
        Some(encoding) if encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip") => {
            let bytes = unpack(request.body, max_bytes)?;
            String::from_utf8(bytes).map(Cow::Owned).map_err(|error| Answer::not_utf8(error.utf8_error().valid_up_to()))
        }
        Some(_) => Err(Answer::unknown_encoding()),
    }
}

/// A body without a type counts as JSON, and `text/plain` is what a browser sends without asking first (`sendBeacon`).
fn can_be_json(content_type: Option<&str>) -> Result<(), Answer> {
    let Some(content_type) = content_type else { return Ok(()) };
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let media_type = media_type.trim();
    let known =
        ["application/json", "text/json", "text/plain", ""].iter().any(|it| media_type.eq_ignore_ascii_case(it))
            || media_type.len() > 5
                && media_type.is_char_boundary(media_type.len() - 5)
                && media_type[media_type.len() - 5..].eq_ignore_ascii_case("+json");
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    let is_utf8 = charset
        .is_none_or(|charset| ["utf-8", "utf8", "us-ascii"].iter().any(|utf8| charset.eq_ignore_ascii_case(utf8)));
    if known && is_utf8 { Ok(()) } else { Err(Answer::unsupported_media_type()) }
}

/// Unpacks no more than may be: a small body can unpack to gigabytes.
fn unpack(packed: &[u8], max_bytes: usize) -> Result<Vec<u8>, Answer> {
    let mut unpacked = Vec::with_capacity(packed.len().saturating_mul(4).min(max_bytes));
    let most = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    GzDecoder::new(packed).take(most).read_to_end(&mut unpacked).map_err(|_| Answer::not_gzip())?;
    if unpacked.len() > max_bytes { Err(Answer::unpacked_too_large(max_bytes)) } else { Ok(unpacked) }
}

fn utf8(bytes: &[u8]) -> Result<&str, Answer> {
    std::str::from_utf8(bytes).map_err(|error| Answer::not_utf8(error.valid_up_to()))
}

/// The events of a body that is one event or an array of them.
#[derive(Debug)]
pub enum Events<'a> {
    /// The body is the event; what it is, nobody has looked at yet.
    One(&'a str),
    /// The body is an array of these.
    Several(Elements<'a>),
}

impl<'a> Events<'a> {
    /// Finds where each event begins and ends.
    ///
    /// # Errors
    /// When the text is an array and not well-formed.
    pub fn of(body: &'a str) -> Result<Self, serde_json::Error> {
        let body = json::trim(body);
        if body.starts_with('[') { json::elements(body, MOST_EVENTS).map(Self::Several) } else { Ok(Self::One(body)) }
    }

    /// The first event of several: the one that Segment signs of a batch.
    #[must_use]
    pub fn first_of_several(&self) -> Option<&'a str> {
        match self {
            Self::One(_) => None,
            Self::Several(events) => events.values.first().copied(),
        }
    }

    /// The events in their order.
    ///
    /// # Errors
    /// With the answer to an empty array, and to one of more than [`MOST_EVENTS`].
    pub fn within_limit(&self) -> Result<&[&'a str], Answer> {
        match self {
            Self::One(event) => Ok(std::slice::from_ref(event)),
            Self::Several(events) => within_limit(events),
        }
    }
}

/// The elements of an array as events.
///
/// # Errors
/// With the answer to an empty array, and to one of more than [`MOST_EVENTS`].
pub fn within_limit<'e, 'a>(events: &'e Elements<'a>) -> Result<&'e [&'a str], Answer> {
    if events.more {
        return Err(Answer::too_many_events(MOST_EVENTS));
    }
    if events.values.is_empty() {
        return Err(Answer::no_event("the array is empty: send one event, or an array of events"));
    }
    Ok(&events.values)
}
