//! Visitors: search, and one with the timeline.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Place};
use super::{Page, PageError, companies, page};
use crate::gateway::Gateway;
use crate::store::visitors::{Filter, Visitor};

/// Visitors on a page.
const ON_A_PAGE: u32 = 50;
/// The most entries of a timeline that are shown.
const LONGEST_TIMELINE: u32 = 200;

#[derive(Deserialize)]
pub struct Which {
    #[serde(default)]
    q: String,
    #[serde(default)]
    who: String,
    #[serde(default)]
    offset: u32,
}

/// `GET /visitors`
pub async fn list(State(gateway): State<Gateway>, Query(which): Query<Which>) -> Page {
    let known = match which.who.as_str() {
        "known" => Some(true),
        "anonymous" => Some(false),
        _ => None,
    };
    let text = which.q.trim().to_owned();
    let filter = Filter { text: (!text.is_empty()).then_some(text), known };
    let (visitors, total) = gateway.visitors.list(filter, which.offset, ON_A_PAGE).await?;
    let href = |offset: u32| {
        let query = [("q", which.q.as_str()), ("who", which.who.as_str()), ("offset", &offset.to_string())];
        let mut url = reqwest::Url::parse("http://page/visitors").ok();
        if let Some(url) = &mut url {
            url.query_pairs_mut().extend_pairs(query);
        }
        url.map(|url| format!("{}?{}", url.path(), url.query().unwrap_or_default())).unwrap_or_default()
    };
    Ok(page(layout::page(
        "Visitors",
        Some(Place::Visitors),
        &html! {
            form.search method="get" action="/visitors" role="search" {
                input type="search" name="q" value=(which.q) placeholder="Email, trait or event" aria-label="Search";
                select name="who" aria-label="Who" {
                    @for (value, name) in [("", "All"), ("known", "Known"), ("anonymous", "Anonymous")] {
                        option value=(value) selected[which.who == value] { (name) }
                    }
                }
                button { "Search" }
            }
            p.soft { (total) @if total == 1 { " visitor" } @else { " visitors" } }
            (table(&visitors))
            (layout::pager(&href, which.offset, ON_A_PAGE, total))
        },
    )))
}

/// `GET /visitors/{id}`
pub async fn show(State(gateway): State<Gateway>, Path(id): Path<i64>) -> Page {
    let (visitor, timeline) = gateway.visitors.timeline(id, LONGEST_TIMELINE).await?.ok_or(PageError::NotFound)?;
    Ok(page(layout::page(
        name(&visitor),
        Some(Place::Visitors),
        &html! {
            div.card { dl {
                @if let Some(account) = &visitor.account { dt { "Company" } dd { a href={ "/companies/" (companies::encoded(account)) } { (account) } } }
                @for email in &visitor.emails { dt { "Email" } dd { (email) } }
                @for profile_id in &visitor.profile_ids { dt { "Profile id" } dd { code { (profile_id) } } }
                @for (name, value) in &visitor.traits { dt { (name) } dd { (layout::value(value)) } }
                dt { "First seen" } dd { (layout::time(&visitor.first_seen)) }
            } }
            h2 { "Timeline" }
            div.card { table.timeline { tbody {
                @for entry in &timeline {
                    tr {
                        td { (layout::time(&entry.at)) }
                        td {
                            b { (entry.name.as_deref().unwrap_or(match entry.kind.as_str() { "identify" => "Identified", _ => "Page viewed" })) }
                            details { summary { "all of it" } code { (entry.entry.get()) } }
                        }
                    }
                }
            } } }
        },
    )))
}

/// Visitors, a row each.
pub fn table(visitors: &[Visitor]) -> Markup {
    html! {
        div.card {
            @if visitors.is_empty() {
                p.empty { "Nobody." }
            } @else {
                table {
                    thead { tr { th { "Visitor" } th.wide { "Company" } th.number { "Events" } th { "Last seen" } } }
                    tbody {
                        @for visitor in visitors {
                            tr {
                                td { a href={ "/visitors/" (visitor.id) } { (name(visitor)) } }
                                td.wide { (visitor.account.as_deref().unwrap_or_default()) }
                                td.number { (visitor.events) }
                                td { (layout::time(&visitor.last_seen)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn name(visitor: &Visitor) -> &str {
    let name = visitor.traits.get("name").and_then(|name| name.as_str()).filter(|name| !name.trim().is_empty());
    let email = visitor.emails.first().map(String::as_str);
    name.or(email).or(visitor.profile_ids.first().map(String::as_str)).unwrap_or("somebody")
}
