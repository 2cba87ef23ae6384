//! The credentials of a webhook: whatever stands in the header and the body, only the right signature lets events in.
#![no_main]

use std::sync::LazyLock;

use koala_destination::segment::{SharedSecret, Signature};
use koala_fuzz::SECRET;
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<SharedSecret> = LazyLock::new(|| SharedSecret::parse(SECRET).expect("a secret"));

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (header, body) = data.split_at(at);
    let right = KEY.sign(body);
    if let Some(shown) = std::str::from_utf8(header).ok().and_then(Signature::parse) {
        let same = shown.to_string() == right.to_string();
        assert_eq!(KEY.verifies(body, &shown), same);
    }
    let read_again = Signature::parse(&right.to_string().to_uppercase()).expect("a signature");
    assert!(KEY.verifies(body, &read_again));
    // A secret of one's own making never panics either.
    if let Ok(secret) = SharedSecret::parse(&String::from_utf8_lossy(header)) {
        assert!(secret.verifies(body, &secret.sign(body)));
    }
});
