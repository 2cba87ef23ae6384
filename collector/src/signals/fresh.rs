//! What is recent enough to set anything off.

use koala_destination::clock::MILLISECONDS_OF_A_DAY;

/// Whether something happened within the last day: what is older sets nothing off, so that imports are silent. Times are in
/// milliseconds since 1970.
#[must_use]
pub fn is_fresh(at: i64, now: i64) -> bool {
    at > now - MILLISECONDS_OF_A_DAY
}
