//! What stands in keys. A key of an index has at most 1 KiB (Aurora DSQL; 2,704 bytes in PostgreSQL), a text has no U+0000.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// The longest text that is a key as it is; of a longer one its hash is.
const LONGEST: usize = 255;

/// A text as PostgreSQL keeps it: without U+0000, which it refuses.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

/// A text as a key: itself, or the hash of a long one.
pub(super) fn key(of: &str) -> Cow<'_, str> {
    if of.len() <= LONGEST { text(of) } else { Cow::Owned(hashed(of)) }
}

fn hashed(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_and_has_no_nul() {
        assert_eq!(key("m-1"), "m-1");
        assert_eq!(key("a\0b"), "a\u{FFFD}b");
        // The hash of the empty text is in FIPS 180-4's examples; that of 256 times "a" is what sha256sum says.
        assert_eq!(key(&"a".repeat(256)), "sha256:02d7160d77e18c6447be80c2e355c7ed4388545271702c50253b0914c65ce5fe");
    }
}
