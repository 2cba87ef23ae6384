//! The fields of a search: each filter has its own, and all of them stand in the address.

use maud::{Markup, html};

use crate::intent::{StrengthLabel, Trend};

/// A filter that is a text of which a part is looked for.
pub struct FilterField<'q> {
    /// Its name in the address.
    pub name: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// What is looked for.
    pub value: &'q str,
    /// An example.
    pub example: &'static str,
}

/// The search field with its button, and the filters below it, open where one of them is used.
pub fn search(
    action: &str,
    q: &str,
    placeholder: &str,
    beside: &Markup,
    is_detailed: bool,
    filters: &Markup,
) -> Markup {
    html! {
        form.search method="get" action=(action) role="search" {
            input type="search" name="q" value=(q) placeholder=(placeholder) aria-label="Search" autocomplete="off";
            (beside)
            button { "Search" }
            details open[is_detailed] {
                summary { "Filters" }
                div.filters { (filters) }
            }
        }
    }
}

pub fn field(FilterField { name, label, value, example }: &FilterField<'_>) -> Markup {
    html! { label { (label) input name=(name) value=(value) placeholder=(example); } }
}

/// The intent rules to choose from.
pub fn rule(rules: &[String], chosen: &str) -> Markup {
    html! {
        label { "Intent rule"
            select name="rule" {
                option value="" { "Any" }
                @for rule in rules { option value=(rule) selected[rule == chosen] { (rule) } }
                // One that is no longer followed stands in an address that was kept.
                @if !chosen.is_empty() && !rules.iter().any(|rule| rule == chosen) { option value=(chosen) selected { (chosen) } }
            }
        }
    }
}

/// One of a few words to choose from.
fn one_of(name: &str, label: &str, words: &[&str], chosen: &str) -> Markup {
    html! {
        label { (label)
            select name=(name) {
                option value="" { "Any" }
                @for word in words { option value=(word) selected[*word == chosen] { (word) } }
            }
        }
    }
}

/// How strong the interest is that is looked for, and where it goes.
pub fn interest(strength: &str, trend: &str) -> Markup {
    let strength = StrengthLabel::parse(strength).map_or("", StrengthLabel::as_str);
    let trend = Trend::parse(trend.trim()).map_or("", Trend::as_str);
    html! {
        (one_of("strength", "Strength", &["Low", "Medium", "High", "Very High"], strength))
        (one_of("trend", "Trend", &["Surging", "Heating", "Neutral", "Cooling"], trend))
    }
}

pub fn new_this_week(new: &str) -> Markup {
    html! { label { input type="checkbox" name="new" value="week" checked[new == "week"]; "New this week" } }
}

/// The same address from another place of the list on, with what is asked in it.
pub fn address<'q>(path: &str, pairs: impl IntoIterator<Item = (&'static str, &'q str)>, offset: u32) -> String {
    let asked = pairs.into_iter().filter(|(_, value)| !value.trim().is_empty());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(asked);
    if offset > 0 {
        query.append_pair("offset", &offset.to_string());
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
