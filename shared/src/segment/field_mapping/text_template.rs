//! `@template`: `Viewed {{name}} Page`.

use super::budget::{Budget, RenderError};
use super::path;
use crate::segment::value::Value;

/// Fills the placeholders: those in three braces first, and in what comes out those in two.
pub fn fill(template: &str, event: &Value<'_>, budget: &mut Budget) -> Result<String, RenderError> {
    if !template.contains("{{") {
        return Ok(template.to_owned());
    }
    let filled = fill_with(template, "{{{", "}}}", event, budget)?;
    fill_with(&filled, "{{", "}}", event, budget)
}

/// The paths in the placeholders, and what is left of the template without them.
pub fn placeholders(template: &str) -> (Vec<String>, String) {
    let mut paths = Vec::new();
    let mut rest = template.to_owned();
    for (open, close) in [("{{{", "}}}"), ("{{", "}}")] {
        let (mut left, mut from) = (String::new(), 0);
        while let Some((at, inside, end)) = next_placeholder(&rest, from, open, close) {
            left.push_str(&rest[from..at]);
            paths.push(rest[inside].trim().to_owned());
            from = end;
        }
        left.push_str(&rest[from..]);
        rest = left;
    }
    (paths, rest)
}

/// The next placeholder: where it begins, what is inside, where it ends.
fn next_placeholder(
    template: &str,
    mut from: usize,
    open: &str,
    close: &str,
) -> Option<(usize, std::ops::Range<usize>, usize)> {
    while let Some(at) = template[from..].find(open).map(|at| from + at) {
        let inside = at + open.len();
        let end = template[inside..].find('}').map(|end| inside + end);
        match end.filter(|end| *end > inside && template[*end..].starts_with(close)) {
            Some(end) => return Some((at, inside..end, end + close.len())),
            // No placeholder begins here; one may begin a character further on.
            None => from = at + 1,
        }
    }
    None
}

/// A placeholder has no `}` inside, and something between its braces.
fn fill_with(
    template: &str,
    open: &str,
    close: &str,
    event: &Value<'_>,
    budget: &mut Budget,
) -> Result<String, RenderError> {
    let mut out = String::with_capacity(template.len());
    let mut from = 0;
    while let Some((at, inside, end)) = next_placeholder(template, from, open, close) {
        out.push_str(&template[from..at]);
        let value = path::follow(event, &path::keys(template[inside].trim()), budget)?;
        if value.exists() {
            let text = value.to_text();
            budget.spend_bytes(text.len())?;
            out.push_str(&text);
        }
        from = end;
    }
    out.push_str(&template[from..]);
    Ok(out)
}
