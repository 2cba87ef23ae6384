//! Install: where to send events, what came in of which source and type, what is skipped and why, and a test.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::response::{IntoResponse, Redirect, Response};
use koala_destination::plural::counted;
use maud::{Markup, html};
use serde::Deserialize;

use super::answer::{Content, Page, PageError};
use super::layout;
use super::place::Place;
use super::query::Query;
use super::words;
use crate::store::StoreError;
use crate::store::deletion::Retention;
use crate::store::filter::Filter;
use crate::store::visitor::VisitorId;
use crate::web::intake::{Install, ReceivedTally, TEST_USER_ID, TestEvent, WebhookAddress};
use crate::web::origin;
use crate::web::state::Web;

/// How many of the newest entries of the test visitor are looked at for the one that was sent.
const TESTS_LOOKED_AT: u32 = 100;

#[derive(Deserialize)]
pub struct TestQuery {
    /// The message id of a test event that was sent.
    #[serde(default)]
    test: String,
}

/// `GET /install`
pub async fn show(State(web): State<Web>, headers: HeaderMap, Query(TestQuery { test }): Query<TestQuery>) -> Page {
    let install = web.pipeline.install().await?;
    let arrived = if test.is_empty() { None } else { Some(arrival(&web, &test).await?) };
    Ok(Content::new(
        "Install",
        Place::Install,
        html! {
            (last_received(&install.received))
            h2 { "Send events here" }
            (address(&install, &headers))
            h2 { "Test" }
            (test_card(&install, arrived.as_ref()))
            h2 { "Received" }
            (received(&install.received))
            h2 #skipped { "Skipped" }
            (skipped(&install.received))
            h2 { "Kept for" }
            (kept_for(web.retention))
        },
    ))
}

/// `POST /install/test`
pub async fn test(State(web): State<Web>) -> Result<Response, PageError> {
    Ok(match web.pipeline.send_test_event().await? {
        TestEvent::Accepted { message_id } => {
            Redirect::to(&format!("/install?test={}", layout::encoded(&message_id))).into_response()
        }
        TestEvent::Stopped { reason } => {
            let markup = html! {
                div.card.note role="status" {
                    p.bad { "The test event did not come through: " (reason) }
                    p { a href="/mappings" { "Mappings" } " says which events are taken." }
                }
                p { a href="/install" { "Back to Install" } }
            };
            Content::still("Test event", Place::Install, markup).into_response()
        }
    })
}

/// The visitor of the test events, where the one that was sent is among them.
async fn arrival(web: &Web, message_id: &str) -> Result<Option<VisitorId>, StoreError> {
    let filter =
        Filter { text: Some(TEST_USER_ID.to_owned()), user_id: Some(TEST_USER_ID.to_owned()), ..Filter::default() };
    let (visitors, _) = web.store.list_visitors(filter, 0, 10).await?;
    let Some(visitor) = visitors.into_iter().find(|one| one.user_ids.iter().any(|id| id == TEST_USER_ID)) else {
        return Ok(None);
    };
    let shown = web.store.show_visitor(&visitor.id, TESTS_LOOKED_AT).await?;
    let is_there =
        shown.is_some_and(|(_, timeline)| timeline.iter().any(|entry| entry.message_id.as_deref() == Some(message_id)));
    Ok(is_there.then_some(visitor.id))
}

fn last_received(received: &[ReceivedTally]) -> Markup {
    let last = received.iter().max_by(|a, b| a.last_at.cmp(&b.last_at));
    html! {
        @match last {
            Some(last) => p { "The last event came in " (layout::ago(&last.last_at)) ": " (kind(&last.event_type)) " from " (source(&last.source)) "." }
            None => p { "No event has come in yet. Send one from Segment to the address below, or press the test button." }
        }
    }
}

fn address(install: &Install, headers: &HeaderMap) -> Markup {
    let (url, is_loopback) = match &install.webhook {
        WebhookAddress::Url(url) => (url.clone(), false),
        WebhookAddress::Beside(path) => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            let forwarded = headers.get("x-forwarded-proto").and_then(|scheme| scheme.to_str().ok());
            let scheme = if forwarded == Some("https") { "https" } else { "http" };
            (format!("{scheme}://{host}{path}"), origin::names_this_machine(headers))
        }
    };
    html! {
        div.card { dl {
            dt { "Webhook URL" } dd { code { (url) } }
            dt { "Public API Key" } dd { code { (install.public_api_key) } }
            dt { "Credentials" }
            dd {
                @if install.credentials.is_empty() {
                    span.bad { "None is set, so every request is refused: set the parameter " code { "webhook-secret" } "." }
                } @else {
                    @for (n, name) in install.credentials.iter().enumerate() { @if n > 0 { ", " } code { (name) } }
                    " " @if install.credentials.len() == 1 { "is" } @else { "are" } " set"
                }
            }
            @if let Some(url) = &install.delivers_to { dt { "Delivers to" } dd { code { (url) } } }
        } }
        p.soft {
            "In Segment: add the destination " b { "Webhooks (Actions)" } ", give it the Webhook URL, and as its Shared Secret the value of "
            code { "webhook-secret" } "."
            @if is_loopback {
                " Only this machine reaches the address above; Segment needs one that it can reach, behind a proxy with TLS."
            }
        }
    }
}

fn test_card(install: &Install, arrived: Option<&Option<VisitorId>>) -> Markup {
    html! {
        div.card.note {
            p { "Sends one event through intake, as Segment would, and shows it arrive as the visitor " code { (TEST_USER_ID) } "." }
            form method="post" action="/install/test" { button { "Send a test event" } }
            p role="status" {
                @match (arrived, &install.delivers_to) {
                    (None, _) => {}
                    (Some(Some(visitor)), _) => { "Arrived. " a href={ "/visitors/" (visitor) } { "Look at it" } }
                    (Some(None), Some(_)) => "Accepted. It goes to another collector, so its arrival is not seen here.",
                    (Some(None), None) => {
                        "Accepted, and on its way. This page says when it arrives; where it does not, "
                        a href="/deliveries" { "Deliveries" } " says why."
                    }
                }
            }
        }
    }
}

/// What came in of a source and a type.
#[derive(Default)]
struct Row<'a> {
    accepted: i64,
    skipped: i64,
    rejected: i64,
    last_at: &'a str,
}

fn received(tallies: &[ReceivedTally]) -> Markup {
    let mut rows: BTreeMap<(&str, &str), Row<'_>> = BTreeMap::new();
    for tally in tallies {
        let row = rows.entry((&tally.source, &tally.event_type)).or_default();
        row.last_at = row.last_at.max(&tally.last_at);
        match tally.outcome.as_str() {
            "accepted" => row.accepted += tally.count,
            "rejected" => row.rejected += tally.count,
            _ => row.skipped += tally.count,
        }
    }
    let row = |((from, event_type), row): (&(&str, &str), &Row<'_>)| {
        html! {
            td { (source(from)) }
            td.kind { (kind(event_type)) }
            td { (layout::ago(row.last_at)) }
            td.number { (row.accepted) }
            td.number.wide { (row.skipped) }
            td.number.wide { (row.rejected) }
        }
    };
    layout::table(
        &html! {
            th { "Source" } th { "Type" } th { "Last event" } th.number { "Accepted" } th.number.wide { "Skipped" }
            th.number.wide { "Rejected" }
        },
        &rows_in_order(&rows).into_iter().map(row).collect::<Vec<_>>(),
        &html! { "No event has come in yet." },
    )
}

/// By source and type; what does not say its source comes last.
fn rows_in_order<'r, 'a>(
    rows: &'r BTreeMap<(&'a str, &'a str), Row<'a>>,
) -> Vec<(&'r (&'a str, &'a str), &'r Row<'a>)> {
    let (named, unnamed): (Vec<_>, Vec<_>) = rows.iter().partition(|((from, _), _)| !from.is_empty());
    named.into_iter().chain(unnamed).collect()
}

/// What was skipped, by type and reason, whatever source it is of.
fn skipped(tallies: &[ReceivedTally]) -> Markup {
    let mut rows: BTreeMap<(&str, &str), (i64, &str)> = BTreeMap::new();
    for tally in tallies.iter().filter(|tally| !matches!(tally.outcome.as_str(), "accepted" | "rejected")) {
        let (count, last_at) = rows.entry((&tally.event_type, &tally.outcome)).or_default();
        *count += tally.count;
        *last_at = (*last_at).max(&tally.last_at);
    }
    let row = |((event_type, reason), (count, last_at)): (&(&str, &str), &(i64, &str))| {
        html! {
            td.kind { (kind(event_type)) }
            td {
                (words::skip_reason(reason))
                @if *reason == "no_mapping" { ": " a href="/mappings" { "see the mappings" } }
            }
            td.number { (count) }
            td { (layout::ago(last_at)) }
        }
    };
    layout::table(
        &html! { th { "Type" } th { "Reason" } th.number { "Events" } th { "Last event" } },
        &rows.iter().map(row).collect::<Vec<_>>(),
        &html! { "Nothing is skipped: each event that came in was taken by a mapping, or rejected." },
    )
}

fn kept_for(retention: Retention) -> Markup {
    html! {
        p {
            (counted(retention.days(), "day")) ", by the variable " code { "RETENTION_DAYS" }
            ": older events are deleted, and visitors without events with them. A person who asks for it is deleted at once, on "
            a href="/visitors" { "their page" } "."
        }
    }
}

fn source(name: &str) -> Markup {
    html! { @if name.is_empty() { span.soft { "a source that does not say" } } @else { (name) } }
}

fn kind(event_type: &str) -> Markup {
    html! { @if event_type == "other" { span.soft { "another type" } } @else { code { (event_type) } } }
}
