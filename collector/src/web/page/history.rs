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
use crate::web::history::deeds;
use crate::web::state::Web;

/// Deeds on a page.
const DEEDS: u32 = 50;

#[derive(Deserialize)]
pub struct HistoryQuery {
    #[serde(default)]
    before: String,
}

/// `GET /history`. An invalid `before` shows the first page.
pub async fn show(State(web): State<Web>, Query(HistoryQuery { before }): Query<HistoryQuery>) -> Page {
    let behind = HistoryCursor::parse(&before);
    let (deeds, next) = deeds(&web, behind, DEEDS).await?;
    Ok(Content::new(
        "History",
        Place::History,
        html! {
            p.soft {
                "Deletions, and decisions about identities. An identity is shown as a hash, so that no deleted person can be read "
                "here; a token as the first digits of its SHA-256."
            }
            (table(&deeds))
            p.soft {
                @if behind.is_some() { a href="/history" { "← newest" } " " }
                @if let Some(next) = next { a rel="next" href={ "/history?before=" (next) } { "older →" } }
            }
        },
    ))
}

fn table(deeds: &[HistoryEntry]) -> Markup {
    let row = |deed: &HistoryEntry| {
        html! {
            td { (layout::time(&deed.at)) }
            td { (what(deed)) }
            td {
                @match &deed.token {
                    Some(token) => code { (token) },
                    None => span.soft { "no token required" },
                }
            }
        }
    };
    layout::table(
        &html! { th { "When" } th { "What" } th { "Token" } },
        &deeds.iter().map(row).collect::<Vec<_>>(),
        &html! { "No deletions or decisions yet." },
    )
}

fn what(deed: &HistoryEntry) -> Markup {
    let id = |id: &Option<HashedId>| {
        html! { @if let Some(HashedId { kind, hash }) = id { (kind) " " code { (hash) } } }
    };
    match deed.what {
        What::Deleted => html! {
            "Deleted "
            (counted(deed.visitors.unwrap_or_default(), "visitor"))
            @if let Some(deletion) = &deed.deletion_request_id {
                ": " a href={ "/deletions/" (layout::encoded(deletion)) } { "status" }
            }
        },
        What::Split => html! { "Split off " (id(&deed.id)) },
        What::Joined => html! { "Joined " (id(&deed.id)) " to " (id(&deed.to)) },
        What::Blocked => html! { "Blocked " (id(&deed.id)) },
    }
}
