//! The order of an object's fields.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A key that is an array's index: digits without a leading zero.
pub fn index(key: &str) -> Option<usize> {
    let digits = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (key == "0" || !key.starts_with('0'))).then(|| key.parse().ok()).flatten()
}

/// Fields as a JavaScript object has them: each key once with its last value, keys that are indexes first and by number.
#[must_use]
pub fn in_order<V>(fields: Vec<(Cow<'_, str>, V)>) -> Vec<(Cow<'_, str>, V)> {
    let mut ordered = if fields.len() <= FEW_FIELDS { last_of_few(fields) } else { last_of_many(fields) };
    if ordered.iter().any(|(key, _)| index(key).is_some()) {
        ordered.sort_by_cached_key(|(key, _)| index(key).unwrap_or(usize::MAX));
    }
    ordered
}

/// Up to so many fields, comparing each with each is quicker than a table; beyond it the work would grow with the square.
const FEW_FIELDS: usize = 16;

fn last_of_few<V>(fields: Vec<(Cow<'_, str>, V)>) -> Vec<(Cow<'_, str>, V)> {
    let mut ordered: Vec<(Cow<'_, str>, V)> = Vec::with_capacity(fields.len());
    for (key, value) in fields {
        match ordered.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => ordered.push((key, value)),
        }
    }
    ordered
}

fn last_of_many<V>(fields: Vec<(Cow<'_, str>, V)>) -> Vec<(Cow<'_, str>, V)> {
    // For each key, in the order of their first places, its last place.
    let mut lasts: Vec<usize> = Vec::with_capacity(fields.len());
    let mut ranks: HashMap<&str, usize> = HashMap::with_capacity(fields.len());
    for (place, (key, _)) in fields.iter().enumerate() {
        match ranks.entry(key.as_ref()) {
            Entry::Occupied(rank) => lasts[*rank.get()] = place,
            Entry::Vacant(rank) => {
                rank.insert(lasts.len());
                lasts.push(place);
            }
        }
    }
    drop(ranks);
    if lasts.len() == fields.len() {
        return fields;
    }
    let mut fields: Vec<_> = fields.into_iter().map(Some).collect();
    lasts.into_iter().filter_map(|place| fields[place].take()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `JSON.parse` and `Object.entries` have it, below and above the number of fields from which a table is used.
    #[test]
    fn each_key_stands_once_in_its_first_place_with_its_last_value_however_many_there_are() {
        for unique in [3_u32, 300] {
            let field = |key: String, value: u32| (Cow::Owned(key), value);
            let twice = (0..2).flat_map(|round| (0..unique).map(move |n| field(format!("k{n}"), n + round * 1000)));
            let fields: Vec<_> = twice.chain([field("7".to_owned(), 7), field("0".to_owned(), 0)]).collect();
            let ordered = in_order(fields);
            let keys: Vec<_> = ordered.iter().map(|(key, _)| key.to_string()).collect();
            let expected = ["0".to_owned(), "7".to_owned()].into_iter().chain((0..unique).map(|n| format!("k{n}")));
            assert_eq!(keys, expected.collect::<Vec<_>>());
            assert!(ordered.iter().skip(2).all(|(_, value)| *value >= 1000));
        }
    }
}
