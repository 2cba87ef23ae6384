//! `@replace`: one text for another, as `String.prototype.replace` with an escaped pattern does it.

use super::budget::{Budget, RenderError};

/// The longest pattern and the longest replacement, in UTF-16 units.
pub const LONGEST_PATTERN: usize = 10;

/// Replaces the first or every occurrence of `pattern`. In the replacement `$$` is a dollar, `$&` what was found, `` $` ``
/// what stands before it and `$'` what stands after.
///
/// A few bytes of a replacement can stand for the whole text, at each of its places: what is written is taken off the
/// budget before it is.
pub fn replace(
    text: &str,
    pattern: &str,
    replacement: &str,
    ignore_case: bool,
    all: bool,
    budget: &mut Budget,
) -> Result<String, RenderError> {
    let mut out = Spending { out: String::new(), budget };
    let mut from = 0;
    while let Some((start, end)) = find(text, from, pattern, ignore_case) {
        out.push(&text[from..start])?;
        expand(&mut out, replacement, text, start, end)?;
        from = end;
        if !all || start == end {
            break;
        }
    }
    out.push(&text[from..])?;
    Ok(out.out)
}

/// A text that grows no further than its budget.
struct Spending<'b> {
    out: String,
    budget: &'b mut Budget,
}

impl Spending<'_> {
    fn push(&mut self, piece: &str) -> Result<(), RenderError> {
        self.budget.spend_bytes(piece.len())?;
        self.out.push_str(piece);
        Ok(())
    }
}

fn find(text: &str, from: usize, pattern: &str, ignore_case: bool) -> Option<(usize, usize)> {
    if !ignore_case {
        return text[from..].find(pattern).map(|at| (from + at, from + at + pattern.len()));
    }
    text[from..].char_indices().find_map(|(at, _)| {
        let mut rest = text[from + at..].chars();
        let mut length = 0;
        for expected in pattern.chars() {
            let found = rest.next()?;
            if canonical(found) != canonical(expected) {
                return None;
            }
            length += found.len_utf8();
        }
        Some((from + at, from + at + length))
    })
}

/// ECMAScript's Canonicalize without the flag `u`: the one upper-case letter, unless that would lead into ASCII.
fn canonical(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) if character.is_ascii() || !one.is_ascii() => one,
        _ => character,
    }
}

fn expand(out: &mut Spending<'_>, replacement: &str, text: &str, start: usize, end: usize) -> Result<(), RenderError> {
    let mut rest = replacement;
    while let Some(at) = rest.find('$') {
        out.push(&rest[..at])?;
        let said = match rest[at + 1..].chars().next() {
            Some('$') => "$",
            Some('&') => &text[start..end],
            Some('`') => &text[..start],
            Some('\'') => &text[end..],
            _ => {
                out.push("$")?;
                rest = &rest[at + 1..];
                continue;
            }
        };
        out.push(said)?;
        rest = &rest[at + 2..];
    }
    out.push(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(text: &str, pattern: &str, replacement: &str, ignore_case: bool, all: bool) -> String {
        super::replace(text, pattern, replacement, ignore_case, all, &mut Budget::full()).expect("within the budget")
    }

    #[test]
    fn a_replacement_that_stands_for_the_whole_text_at_each_place_comes_to_the_budget_s_end() {
        let text = "a".repeat(30_000);
        for replacement in ["$'", "$`", "$'$'$'$'$'"] {
            let mut budget = Budget::full();
            let error = super::replace(&text, "a", replacement, false, true, &mut budget).expect_err("too much");
            assert_eq!(error, RenderError::too_much());
        }
        assert_eq!(replace(&text, "a", "$&$&", false, true).len(), 60_000);
    }

    #[test]
    fn dollars_in_the_replacement_mean_what_they_mean_in_javascript() {
        assert_eq!(replace("a-b-c", "-", "$$", false, true), "a$b$c");
        assert_eq!(replace("a-b", "-", "[$&$`$']", false, true), "a[-ab]b");
        assert_eq!(replace("a-b", "-", "$1$", false, true), "a$1$b");
    }

    #[test]
    fn case_may_be_ignored_and_one_may_be_enough() {
        assert_eq!(replace("AbaB", "ab", "x", true, true), "xx");
        assert_eq!(replace("AbaB", "ab", "x", true, false), "xaB");
        assert_eq!(replace("straße", "SS", "x", true, true), "straße");
    }
}
