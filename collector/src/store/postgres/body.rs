//! Bodies of entries, compressed: the first byte says how.

use std::borrow::Cow;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::error::PostgresError;

/// The body as it is.
const PLAIN: u8 = 0;
/// Raw deflate (RFC 1951).
const DEFLATED: u8 = 1;
/// A shorter one is kept as it is: there is nothing to win.
const SHORTEST_TO_COMPRESS: usize = 200;
/// The longest that is read back. An entry comes in within a request of less than that.
const LONGEST: u64 = 16 * 1024 * 1024;

/// A body as it is kept.
pub(super) fn pack(json: &str) -> Vec<u8> {
    deflated(json).filter(|packed| packed.len() < json.len()).unwrap_or_else(|| {
        let mut plain = Vec::with_capacity(json.len() + 1);
        plain.push(PLAIN);
        plain.extend_from_slice(json.as_bytes());
        plain
    })
}

fn deflated(json: &str) -> Option<Vec<u8>> {
    if json.len() < SHORTEST_TO_COMPRESS {
        return None;
    }
    let mut packed = Vec::with_capacity(json.len());
    packed.push(DEFLATED);
    let mut encoder = DeflateEncoder::new(packed, Compression::fast());
    encoder.write_all(json.as_bytes()).ok()?;
    encoder.finish().ok()
}

/// A body as it came.
pub(super) fn unpack(packed: &[u8]) -> Result<Cow<'_, str>, PostgresError> {
    const NOT_READABLE: PostgresError = PostgresError::Row("the body of an entry");
    match packed.split_first() {
        Some((&PLAIN, plain)) => Ok(Cow::Borrowed(std::str::from_utf8(plain).map_err(|_| NOT_READABLE)?)),
        Some((&DEFLATED, deflated)) => {
            let mut json = String::new();
            DeflateDecoder::new(deflated).take(LONGEST).read_to_string(&mut json).map_err(|_| NOT_READABLE)?;
            Ok(Cow::Owned(json))
        }
        _ => Err(NOT_READABLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_as_it_was() {
        let long = format!(r#"{{"a":"{}"}}"#, "Viewed Pricing \u{1F40B} ".repeat(100));
        for json in ["{}", r#"{"a":"\u0000"}"#, &long] {
            assert_eq!(unpack(&pack(json)).expect("a body"), json);
        }
        assert!(pack(&long).len() < long.len() / 5);
        assert!(unpack(&[]).is_err() && unpack(&[7, 7]).is_err() && unpack(&[PLAIN, 0xff]).is_err());
    }
}
