//! How a visitor and the company are named in a line, wherever they are named.

use std::borrow::Cow;

use maud::{Markup, html};

use super::layout;
use crate::company::shown;
use crate::store::company::{CompanyId, CompanySource};
use crate::store::visitor::Visitor;

/// The name of a visitor's company, which leads to its page.
pub fn company(visitor: &Visitor) -> Option<Markup> {
    let key = visitor.account.as_deref().or(visitor.company_id.as_ref().map(CompanyId::as_str))?;
    let name = visitor.company.as_deref().map_or_else(|| shown(key), Cow::Borrowed);
    let is_guess = visitor.company_source == Some(CompanySource::Network);
    Some(html! {
        a href={ "/companies/" (layout::encoded(key)) } { (name) }
        @if is_guess { " " span.soft { "inferred from IP network" } }
    })
}

/// A visitor's name, which leads to the timeline.
pub fn link(visitor: &Visitor) -> Markup {
    html! { a href={ "/visitors/" (visitor.id) } { (visitor.name()) } }
}

/// That a visitor does not count in the ranking, beside the name.
pub fn excluded(visitor: &Visitor) -> Markup {
    html! { @if visitor.excluded { " " span.soft { "(excluded)" } } }
}

/// The title, or else the address of a visitor whose name is shown.
pub fn beside_name(visitor: &Visitor) -> Option<String> {
    let title = visitor.text("title").map(str::to_owned);
    title.or_else(|| visitor.emails.first().filter(|email| **email != visitor.name()).cloned())
}

#[cfg(test)]
pub mod tests {
    use serde_json::Map;

    use super::*;
    use crate::store::visitor::VisitorId;

    pub fn visitor(id: &VisitorId, user_id: &str) -> Visitor {
        let at = "2026-11-20T12:00:00.000Z".to_owned();
        Visitor {
            id: id.clone(),
            user_ids: vec![user_id.to_owned()],
            emails: Vec::new(),
            anonymous_ids: Vec::new(),
            account: None,
            company_id: None,
            company: None,
            company_source: None,
            intent: crate::intent::Intent::default(),
            excluded: false,
            traits: Map::new(),
            first_seen: at.clone(),
            last_seen: at,
            events: 0,
            identifies: 0,
            page_views: 0,
            identities: Vec::new(),
        }
    }
}
