//! Visitors: search, one with the timeline, and the end of one.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::answer::{Page, PageError, page};
use super::decisions;
use super::layout::{self, Place};
use crate::store::deletion::Person;
use crate::store::visitor::{Visitor, VisitorId};
use crate::web::erasure::erase;
use crate::web::filter_query::VisitorQuery;
use crate::web::state::Web;

/// Visitors on a page.
const ON_A_PAGE: u32 = 50;
/// The most entries of a timeline that are shown.
const LONGEST_TIMELINE: u32 = 200;

#[derive(Deserialize)]
pub struct Which {
    #[serde(default)]
    offset: u32,
}

/// `GET /visitors`
pub async fn list(
    State(web): State<Web>,
    Query(query): Query<VisitorQuery>,
    Query(Which { offset }): Query<Which>,
) -> Page {
    let found = match query.filter() {
        Ok(filter) => Ok(web.store.list_visitors(filter, offset, ON_A_PAGE).await?),
        Err(problem) => Err(problem),
    };
    Ok(page(layout::page(
        "Visitors",
        Some(Place::Visitors),
        &html! {
            (search(&query))
            @match &found {
                Ok((visitors, total)) => {
                    p.soft {
                        span { (total) @if *total == 1 { " visitor" } @else { " visitors" } }
                        @if *total > 0 { " · " a href=(address("/api/visitors.csv", &query, 0)) { "Download CSV" } }
                    }
                    (table(visitors))
                    (layout::pager(&|offset| address("/visitors", &query, offset), offset, ON_A_PAGE, *total))
                }
                Err(problem) => p.bad { (problem) }
            }
        },
    )))
}

fn search(query: &VisitorQuery) -> Markup {
    html! {
        form.search method="get" action="/visitors" role="search" {
            input type="search" name="q" value=(query.q) placeholder="Email, user id, trait or event" aria-label="Search";
            select name="who" aria-label="Who" {
                @for (value, name) in [("", "All"), ("known", "Known"), ("anonymous", "Anonymous")] {
                    option value=(value) selected[query.who == value] { (name) }
                }
            }
            button { "Search" }
            details open[query.is_detailed()] {
                summary { "Filter by trait, event or time" }
                label { "Trait" input name="trait" value=(query.of_trait) placeholder="plan=team"; }
                label { "Event" input name="event" value=(query.event) placeholder="Viewed Pricing"; }
                label { "From" input type="date" name="since" value=(query.since); }
                label { "To" input type="date" name="until" value=(query.until); }
            }
        }
    }
}

/// An address with the same query.
fn address(path: &str, query: &VisitorQuery, offset: u32) -> String {
    let asked = query.pairs().into_iter().filter(|(_, value)| !value.is_empty());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(asked).append_pair("offset", &offset.to_string());
    format!("{path}?{}", query.finish())
}

/// `GET /visitors/{id}`
pub async fn show(State(web): State<Web>, Path(id): Path<VisitorId>) -> Page {
    let (visitor, timeline) = web.store.show_visitor(&id, LONGEST_TIMELINE).await?.ok_or(PageError::NotFound)?;
    Ok(page(layout::page(
        name(&visitor),
        Some(Place::Visitors),
        &html! {
            div.card { dl {
                @if let Some(account) = &visitor.account { dt { "Company" } dd { a href={ "/companies/" (layout::encoded(account)) } { (account) } } }
                @for identity in &visitor.identities { (decisions::identity(&visitor.id, identity)) }
                @for (name, value) in &visitor.traits { dt { (name) } dd { (layout::value(value)) } }
                dt { "First seen" } dd { (layout::time(&visitor.first_seen)) }
            } }
            h2 { "Timeline" }
            div.card { table.timeline { tbody {
                @for entry in &timeline {
                    tr {
                        td { (layout::time(&entry.at)) }
                        td {
                            b { (entry_name(&entry.kind, entry.name.as_deref())) }
                            @if let Some(path) = &entry.path { " " (path) }
                            details { summary { "Raw JSON" } code { (entry.entry.get()) } }
                        }
                    }
                }
            } } }
            details.danger {
                summary { "Delete this person" }
                p { "All identities, traits and entries go, and what stands in the queues under them. It cannot be undone." }
                form method="post" action={ "/visitors/" (visitor.id) "/delete" } { button { "Delete for good" } }
            }
        },
    )))
}

/// `POST /visitors/{id}/delete`
pub async fn delete(State(web): State<Web>, Path(id): Path<VisitorId>) -> Page {
    let receipt = erase::<PageError>(&web, Person::Visitor(id)).await?.ok_or(PageError::NotFound)?;
    Ok(page(layout::still_page(
        "Deleted",
        Some(Place::Visitors),
        &html! {
            div.card { dl {
                dt { "Receipt" } dd { code { (receipt.id) } }
                dt { "Completed" } dd { (layout::time(&receipt.completed_at)) }
                dt { "Entries" } dd { (receipt.entries) }
                dt { "Messages in queues" } dd { (receipt.messages) }
            } }
            p { a href="/visitors" { "All visitors" } }
        },
    )))
}

/// Visitors, a row each.
pub fn table<'a>(visitors: impl IntoIterator<Item = &'a Visitor>) -> Markup {
    let row = |visitor: &Visitor| {
        html! {
            td { a href={ "/visitors/" (visitor.id) } { (name(visitor)) } }
            td.wide { (visitor.account.as_deref().unwrap_or_default()) }
            td.number { (visitor.events) }
            td { (layout::time(&visitor.last_seen)) }
        }
    };
    layout::table(
        &html! { th { "Visitor" } th.wide { "Company" } th.number { "Events" } th { "Last seen" } },
        &visitors.into_iter().map(row).collect::<Vec<_>>(),
        &html! { "No visitors match." },
    )
}

/// What a visitor is called.
pub fn name(visitor: &Visitor) -> &str {
    let name = visitor.traits.get("name").and_then(|name| name.as_str()).filter(|name| !name.trim().is_empty());
    let ids = [&visitor.emails, &visitor.user_ids, &visitor.anonymous_ids].into_iter().flatten();
    name.or(ids.map(String::as_str).next()).unwrap_or("Unknown visitor")
}

/// What an entry is called.
pub fn entry_name<'a>(kind: &str, name: Option<&'a str>) -> &'a str {
    name.unwrap_or(if kind == "identify" { "Identified" } else { "Page viewed" })
}
