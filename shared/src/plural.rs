//! How many there are of something, in words.

/// `1 event`, `2 events`, `1 company`, `3 companies`, `2 people`.
pub fn counted(count: impl TryInto<i128>, one: &str) -> String {
    // No number that is counted here is larger.
    let count = count.try_into().unwrap_or(i128::MAX);
    match one.strip_suffix('y') {
        _ if count == 1 => format!("1 {one}"),
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{count} {stem}ies"),
        _ if one == "person" => format!("{count} people"),
        _ => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_told_from_many() {
        for (count, one, told) in [
            (1, "entry", "1 entry"),
            (0, "entry", "0 entries"),
            (2, "day", "2 days"),
            (3, "person", "3 people"),
            (1, "person", "1 person"),
        ] {
            assert_eq!(counted(count, one), told);
        }
    }
}
