//! `@template`: `Viewed {{name}} Page`.

use super::path;
use super::render::Budget;
use super::{RenderError, render};
use crate::segment::value::Value;

/// Fills the placeholders: those in three braces first, and in what comes out those in two.
pub fn fill(template: &str, event: &Value<'_>, budget: &mut Budget) -> Result<String, RenderError> {
    if !template.contains("{{") {
        return Ok(template.to_owned());
    }
    let filled = fill_with(template, "{{{", "}}}", event, budget)?;
    fill_with(&filled, "{{", "}}", event, budget)
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
    let mut rest = template;
    while let Some(at) = rest.find(open) {
        let inside = &rest[at + open.len()..];
        let end = inside.find('}').filter(|end| *end > 0 && inside[*end..].starts_with(close));
        let Some(end) = end else {
            // No placeholder begins here; one may begin a character further on.
            let next = at + 1;
            out.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        };
        out.push_str(&rest[..at]);
        let value = render::follow(event, &path::keys(inside[..end].trim()), budget)?;
        if value.exists() {
            let text = value.to_text();
            budget.spend_bytes(text.len())?;
            out.push_str(&text);
        }
        rest = &inside[end + close.len()..];
    }
    out.push_str(rest);
    Ok(out)
}
