//! What people did, and with which token.

use axum::extract::State;
use koala_destination::plural::counted;
use maud::{Markup, html};
use serde::Deserialize;

use super::answer::{Content, Page};
use super::layout;
use super::place::Place;
use super::query::Query;
use crate::store::history::{HashedId, HistoryCursor, HistoryEntry, What};
use crate::web::history::entries;
use crate::web::state::Web;

/// Entries on a page.
const ON_A_PAGE: u32 = 50;

#[derive(Deserialize)]
pub struct BeforeQuery {
    #[serde(default)]
    before: String,
}

/// `GET /history`. An invalid `before` shows the first page.
pub async fn show(State(web): State<Web>, Query(BeforeQuery { before }): Query<BeforeQuery>) -> Page {
    let behind = HistoryCursor::parse(&before);
    let (entries, next) = entries(&web, behind, ON_A_PAGE).await?;
    Ok(Content::new(
        "History",
        Place::History,
        html! {
            p.soft {
                "Deletions, and decisions about identities. An identity is shown as a hash, so that no deleted person can be read "
                "here; a token as the first digits of its SHA-256."
            }
            (table(&entries))
            p.soft {
                @if behind.is_some() { a href="/history" { "← newest" } " " }
                @if let Some(next) = next { a rel="next" href={ "/history?before=" (next) } { "older →" } }
            }
        },
    ))
}

fn table(entries: &[HistoryEntry]) -> Markup {
    let row = |entry: &HistoryEntry| {
        html! {
            td { (layout::time(&entry.at)) }
            td { (what(entry)) }
            td {
                @match &entry.token {
                    Some(token) => code { (token) },
                    None => span.soft { "no token required" },
                }
            }
        }
    };
    layout::table(
        &html! { th { "When" } th { "What" } th { "Token" } },
        &entries.iter().map(row).collect::<Vec<_>>(),
        &html! { "No deletions or decisions yet." },
    )
}

fn what(entry: &HistoryEntry) -> Markup {
    let id = |id: &Option<HashedId>| {
        html! { @if let Some(HashedId { kind, hash }) = id { (kind) " " code { (hash) } } }
    };
    match entry.what {
        What::Deleted => html! {
            "Deleted "
            (counted(entry.visitors.unwrap_or_default(), "visitor"))
            @if let Some(deletion) = &entry.deletion_request_id {
                ": " a href={ "/deletions/" (layout::encoded(deletion)) } { "status" }
            }
        },
        What::Split => html! { "Split off " (id(&entry.id)) },
        What::Joined => html! { "Joined " (id(&entry.id)) " to " (id(&entry.to)) },
        What::Blocked => html! { "Blocked " (id(&entry.id)) },
    }
}
