//! Visitors: search, one with the timeline, and the end of one.

use axum::extract::{Extension, Path, State};
use axum::response::Redirect;
use koala_destination::plural::counted;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

use super::answer::{Content, Page, PageError};
use super::decisions;
use super::entry::Described;
use super::filters::{self, Field, address};
use super::layout;
use super::place::Place;
use super::query::Query;
use super::words;
use crate::company::{TRAITS_OF_COMPANY, shown};
use crate::store::company::{CompanyId, CompanySource};
use crate::store::deletion::{DeletionId, Person};
use crate::store::visitor::{TimelineEntry, Visitor, VisitorId};
use crate::web::access::Caller;
use crate::web::filter_query::VisitorQuery;
use crate::web::state::Web;

/// Visitors on a page.
const ON_A_PAGE: u32 = 50;
/// Of what a search finds so many visitors are counted.
const MOST_COUNTED: u32 = 1000;
/// The most entries of a timeline that are shown.
const LONGEST_TIMELINE: u32 = 200;
/// After so long without an entry a session is over, as Google Analytics counts them
/// (<https://support.google.com/analytics/answer/9191807>).
const END_OF_SESSION: i64 = 30 * 60 * 1000;

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
        Ok(filter) => Ok(web.store.list_visitors_counting(filter, offset, ON_A_PAGE, MOST_COUNTED).await?),
        Err(problem) => Err(problem),
    };
    let rules: Vec<String> = web.store.intent_rules().await?.iter().map(|rule| rule.name.clone()).collect();
    Ok(Content::new(
        "Visitors",
        Place::Visitors,
        html! {
            (search(&query, &rules))
            @match &found {
                Ok((visitors, total)) => {
                    p.soft {
                        span { (how_many(*total, query.is_any())) }
                        @if *total > 0 { " · " a href=(address("/api/visitors.csv", query.pairs(), 0)) { "Download CSV" } (layout::in_several_files(web.presentation)) }
                    }
                    (table(visitors, &none(&query)))
                    (layout::pager(&|offset| address("/visitors", query.pairs(), offset), offset, ON_A_PAGE, *total))
                }
                Err(problem) => p.bad { (problem) }
            }
        },
    ))
}

/// How many there are; of what a search finds they are counted up to a number.
fn how_many(total: u64, is_search: bool) -> String {
    let most = u64::from(MOST_COUNTED);
    if is_search && total > most {
        format!("more than {}", counted(most, "visitor"))
    } else {
        counted(total, "visitor")
    }
}

/// What is said where no visitor is shown.
fn none(query: &VisitorQuery) -> Markup {
    html! {
        @if !query.is_any() {
            "No visitors yet. Send your first event: " a href="/install" { "Install" } " says where."
        } @else {
            "No visitors match. " a href="/visitors" { "Show all visitors" }
        }
    }
}

fn search(query: &VisitorQuery, rules: &[String]) -> Markup {
    let field = |name, label, value, example| filters::field(&Field { name, label, value, example });
    filters::search(
        "/visitors",
        &query.q,
        "Email, user id, trait, page or event",
        &html! {
            select name="who" aria-label="Who" {
                @for (value, name) in [("", "All"), ("known", "Known"), ("anonymous", "Anonymous")] {
                    option value=(value) selected[query.who == value] { (name) }
                }
            }
        },
        query.is_detailed(),
        &html! {
            (field("page", "Page", &query.page, "pricing"))
            (field("event", "Event", &query.event, "Signed Up"))
            (field("path", "On a path", &query.path, "/docs"))
            (field("source", "Came from", &query.source, "google.com"))
            (field("company", "Company", &query.company, "acme.com"))
            (field("user_id", "User id", &query.user_id, "u-1"))
            (field("trait", "Trait", &query.of_trait, "plan=team"))
            (filters::rule(rules, &query.rule))
            (filters::interest(&query.strength, &query.trend))
            label { "From" input type="date" name="since" value=(query.since); }
            label { "To" input type="date" name="until" value=(query.until); }
            (filters::new_this_week(&query.new))
        },
    )
}

/// `GET /visitors/{id}`
pub async fn show(State(web): State<Web>, Path(id): Path<VisitorId>) -> Page {
    let (visitor, timeline) = web.store.show_visitor(&id, LONGEST_TIMELINE).await?.ok_or(PageError::NotFound)?;
    let entries = visitor.events + visitor.page_views + visitor.identifies;
    Ok(Content::new(
        visitor.name(),
        Place::Visitors,
        html! {
            div.card { dl {
                @if let Some(company) = company(&visitor) { dt { "Company" } dd { (company) } }
                dt { "Intent" }
                dd {
                    (words::interest(visitor.intent.strength_label, visitor.intent.trend))
                    " " span.soft { (layout::written(visitor.intent.points)) " points" }
                }
                @if visitor.excluded { dt { "Ranking" } dd { "kept out by the parameter " code { "exclude" } } }
                @for (name, value) in told_traits(&visitor) { dt title=(name) { (words::label(name)) } dd { (value) } }
                dt { "First seen" } dd { (layout::time(&visitor.first_seen)) }
                dt { "Last seen" } dd { (layout::time(&visitor.last_seen)) " (" (layout::ago(&visitor.last_seen)) ")" }
                @for identity in &visitor.identities { (decisions::identity(&visitor.id, identity)) }
            } }
            h2 { "Timeline" }
            (timeline_table(&timeline))
            @if timeline.len() == LONGEST_TIMELINE as usize {
                p.soft { "The newest " (timeline.len()) " of " (counted(entries.unsigned_abs(), "entry")) "." }
            }
            details.danger {
                summary { "Delete this person" }
                p { "Deletes all identities, traits and entries, and what is queued for them. Another account that has the same address stays. This cannot be undone." }
                p {
                    a href={ "/api/visitors/" (visitor.id) "/export" } { "Export data first" }
                    ". Data older than " (counted(web.retention.days(), "day")) " is deleted automatically."
                }
                form method="post" action={ "/visitors/" (visitor.id) "/delete" } { button { "Delete permanently" } }
            }
        },
    ))
}

/// The traits as people read them, but for the names that stand above them and an address that stands among the ids.
fn told_traits(visitor: &Visitor) -> Vec<(&String, String)> {
    let title = visitor.name();
    let is_an_id = |name: &str, value: &Value| {
        let says = |id: &String| value.as_str().is_some_and(|value| value.trim().to_lowercase() == id.to_lowercase());
        name.eq_ignore_ascii_case("email") && visitor.emails.iter().any(says)
    };
    let is_title =
        |name: &str, value: &Value| name == "name" && value.as_str().is_some_and(|value| value.trim() == title);
    let company = visitor.company.as_deref();
    let is_company = |name: &str, value: &Value| {
        TRAITS_OF_COMPANY.contains(&name) && value.as_str().is_some_and(|value| Some(value.trim()) == company)
    };
    let stands_elsewhere =
        |name: &str, value: &Value| is_an_id(name, value) || is_title(name, value) || is_company(name, value);
    let told = visitor.traits.iter().filter(|(name, value)| !stands_elsewhere(name, value));
    told.map(|(name, value)| (name, words::value(value))).filter(|(_, value)| !value.is_empty()).collect()
}

fn timeline_table(timeline: &[TimelineEntry]) -> Markup {
    let before = timeline.iter().skip(1).map(Some).chain([None]);
    html! {
        div.card { table.timeline { tbody {
            @for (entry, before) in timeline.iter().zip(before) {
                tr {
                    td { (layout::time(&entry.at)) }
                    td {
                        (Described::of(&entry.kind, entry.name.as_deref(), entry.entry.get()).markup())
                        details data-key=[entry.message_id.as_deref()] {
                            summary { "Raw JSON" }
                            pre { code { (indented(entry.entry.get())) } }
                        }
                    }
                }
                @if let Some(gap) = before.and_then(|before| gap(&before.at, &entry.at)) {
                    tr.gap { td colspan="2" { "↑ " (gap) " later" } }
                }
            }
        } } }
    }
}

/// How long nothing was done between two entries, where that is another session.
fn gap(before: &str, at: &str) -> Option<String> {
    let passed = words::milliseconds(at).saturating_sub(words::milliseconds(before));
    (passed >= END_OF_SESSION).then(|| words::duration(passed))
}

fn indented(json: &str) -> String {
    let value: Option<Value> = serde_json::from_str(json).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| json.to_owned())
}

/// `POST /visitors/{id}/delete`
pub async fn delete(
    State(web): State<Web>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<VisitorId>,
) -> Result<Redirect, PageError> {
    let id = web.store.request_deletion_by(&[Person::Visitor(id)], caller.actor()).await?.ok_or(PageError::NotFound)?;
    Ok(Redirect::to(&format!("/deletions/{id}")))
}

/// `GET /deletions/{id}`: how far a deletion is.
pub async fn deletion(State(web): State<Web>, Path(id): Path<DeletionId>) -> Page {
    let deletion = web.store.deletion(&id).await?.ok_or(PageError::NotFound)?;
    Ok(Content::new(
        if deletion.completed_at.is_some() { "Deleted" } else { "Being deleted" },
        Place::Visitors,
        html! {
            div.card { dl {
                dt { "Receipt" } dd { code { (deletion.id) } }
                dt { "Requested" } dd { (layout::time(&deletion.requested_at)) }
                dt { "Completed" } dd {
                    @match &deletion.completed_at {
                        Some(at) => (layout::time(at)),
                        None => "In progress: the person is gone from every page, and what was kept is being deleted.",
                    }
                }
                dt { "Entries" } dd { (deletion.entries) }
                dt { "Messages in queues" } dd { (deletion.messages) }
                @if deletion.others > 0 {
                    dt { "Kept" }
                    dd { (counted(deletion.others, "visitor")) " with the address, which is not theirs alone. To delete one as well, use its user id or its page." }
                }
            } }
            p { a href="/visitors" { "All visitors" } }
        },
    ))
}

/// Visitors, a row each.
pub fn table(visitors: &[Visitor], none: &Markup) -> Markup {
    let row = |visitor: &Visitor| {
        html! {
            td { (link(visitor)) @if let Some(beside) = beside_name(visitor) { " " span.soft { (beside) } } (excluded(visitor))
                // On a phone, where there is no column for it.
                @if let Some(company) = company(visitor) { span.narrow.soft { " of " (company) } }
            }
            td.wide { @if let Some(company) = company(visitor) { (company) } }
            td.wide { (words::interest(visitor.intent.strength_label, visitor.intent.trend)) }
            td.number { (visitor.events + visitor.page_views) }
            td { (layout::ago(&visitor.last_seen)) }
        }
    };
    layout::stacked_table(
        &html! { th { "Visitor" } th.wide { "Company" } th.wide { "Intent" } th.number { "Events" } th { "Last seen" } },
        &visitors.iter().map(row).collect::<Vec<_>>(),
        none,
    )
}

/// The name of a visitor's company, which leads to its page.
fn company(visitor: &Visitor) -> Option<Markup> {
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

    #[test]
    fn half_an_hour_without_an_entry_is_another_session_and_told_in_words() {
        let gap = |at: &str| gap("2026-11-20T10:00:00.000Z", at);
        assert_eq!(gap("2026-11-20T10:29:59.000Z"), None);
        assert_eq!(gap("2026-11-20T10:30:00.000Z").as_deref(), Some("30 minutes"));
        assert_eq!(gap("2026-11-23T11:00:00.000Z").as_deref(), Some("3 days"));
    }
}
