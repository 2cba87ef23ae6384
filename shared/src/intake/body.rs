//! A request's body: from the bytes on the wire to JSON text, within limits that hold before anything is parsed.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::{Answer, Request};
use crate::json::{self, Elements};

/// The most events in one body; Segment's webhook sends at most 1,000 in a batch, its SDKs far fewer
/// (<https://segment.com/docs/connections/destinations/catalog/actions-webhook/>).
pub const MOST_EVENTS: usize = 1000;

/// How a member of a gzip file begins.
const GZIP_MEMBER: [u8; 3] = [0x1f, 0x8b, 8];
/// What its first two bytes, 1f 8b, are when they were decoded as UTF-8: the second is none, and becomes U+FFFD.
const GZIP_READ_AS_TEXT: &[u8] = "\u{1f}\u{fffd}".as_bytes();
/// More members than this no client writes: `pigz` makes one of 128 KiB.
const MOST_GZIP_MEMBERS: usize = 1000;

/// The body as text, unpacked when it came with `Content-Encoding: gzip`.
///
/// # Errors
/// With the answer to a body that is too large, packed or unpacked, not of a type that can be JSON, or not UTF-8.
pub fn text<'a>(request: &Request<'a>, max_bytes: usize) -> Result<Cow<'a, str>, Answer> {
    if request.body.len() > max_bytes {
        return Err(Answer::body_too_large(max_bytes));
    }
    if request.body.starts_with(GZIP_READ_AS_TEXT) {
        return Err(Answer::gzip_read_as_text());
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

/// Unpacks no more than may be: a small body can unpack to gigabytes. A gzip file may have several members, and says what
/// all of them say (RFC 1952, 2.2).
fn unpack(packed: &[u8], max_bytes: usize) -> Result<Vec<u8>, Answer> {
    // Each begins so (RFC 1952, 2.3.1), and may be empty: fifty thousand of them cost seconds and say nothing.
    if packed.windows(3).filter(|bytes| *bytes == GZIP_MEMBER).count() > MOST_GZIP_MEMBERS {
        return Err(Answer::not_gzip());
    }
    let mut unpacked = Vec::with_capacity(packed.len().saturating_mul(4).min(max_bytes));
    let most = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(packed).take(most).read_to_end(&mut unpacked).map_err(|_| Answer::not_gzip())?;
    if unpacked.len() > max_bytes { Err(Answer::unpacked_too_large(max_bytes)) } else { Ok(unpacked) }
}

fn utf8(bytes: &[u8]) -> Result<&str, Answer> {
    std::str::from_utf8(bytes).map_err(|error| Answer::not_utf8(error.valid_up_to()))
}

/// A body without the byte order mark that some programs write before a text: a parser may ignore it (RFC 8259, 8.1). What is
/// signed are the bytes with it.
pub fn without_mark(body: &str) -> &str {
    body.strip_prefix('\u{feff}').unwrap_or(body)
}

/// The events of a body that is one event, nobody has looked at which, or an array of them: where each begins and ends.
///
/// # Errors
/// With the answer to an array that is not well-formed, empty, or of more than [`MOST_EVENTS`].
pub fn events(body: &str) -> Result<Vec<&str>, Answer> {
    let body = json::trim(body);
    if !body.starts_with('[') {
        return Ok(vec![body]);
    }
    within_limit(json::elements(body, MOST_EVENTS).map_err(|error| Answer::not_json(&error.to_string()))?)
}

/// The first event of a body that is an array, as its bytes stand there: the one that Segment signs of a batch.
#[must_use]
pub fn first_of_several(body: &str) -> Option<&str> {
    json::elements(body, 1).ok()?.values.first().copied()
}

/// The elements of an array as events.
///
/// # Errors
/// With the answer to an empty array, and to one of more than [`MOST_EVENTS`].
pub fn within_limit(events: Elements<'_>) -> Result<Vec<&str>, Answer> {
    if events.more {
        return Err(Answer::too_many_events(MOST_EVENTS));
    }
    if events.values.is_empty() {
        return Err(Answer::no_event("the array is empty: send one event, or an array of events"));
    }
    Ok(events.values)
}
