//! Numbers of rows. Whoever writes a row makes its number, so that nothing waits for a sequence, which would be one hot row: the
//! milliseconds since 2025, and chance behind them. They grow with the time, so that the smallest id of a visitor is its oldest.

use koala_destination::clock::now_milliseconds;

/// 2025-01-01T00:00:00Z, in milliseconds since 1970.
const BEGINNING: i64 = 1_735_689_600_000;
/// Bits behind the milliseconds. Two writers of one millisecond that hit the same numbers try again.
const BITS_OF_CHANCE: u32 = 20;

/// The first of some numbers that follow each other.
pub(super) fn next() -> i64 {
    at(now_milliseconds()) | i64::from(fastrand::u32(..1 << (BITS_OF_CHANCE - 1)))
}

/// The first of some numbers that are behind all that were made up to now on this machine.
pub(super) fn behind() -> i64 {
    at(now_milliseconds() + 1) | i64::from(fastrand::u32(..1 << (BITS_OF_CHANCE - 1)))
}

/// What is below every number that was made at a time or later.
pub(super) fn at(milliseconds: i64) -> i64 {
    (milliseconds - BEGINNING).max(0) << BITS_OF_CHANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_number_is_greater() {
        let (before, number) = (at(now_milliseconds()), next());
        assert!(number < behind());
        assert!(before <= number && number < at(now_milliseconds() + 1), "{before} {number}");
    }
}
