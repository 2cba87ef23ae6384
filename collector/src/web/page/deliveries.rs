//! How deliveries go: what came in, what waits, what arrived, what is a dead letter and why, and a button to retry it.

use axum::extract::State;
use axum::response::Redirect;
use koala_destination::plural::counted;
use maud::{Markup, html};

use super::answer::{Content, Page, PageError};
use super::layout;
use super::place::Place;
use crate::web::intake::RejectedEvent;
use crate::web::pipeline::{MappingTally, RequestTally, StoredDeadLetter, Tallies};
use crate::web::state::Web;

/// The most dead letters that are shown.
const MOST_LETTERS: u32 = 100;
/// The most rejected events that are shown.
const MOST_REJECTED: u32 = 50;

/// `GET /deliveries`
pub async fn show(State(web): State<Web>) -> Page {
    let counts = web.pipeline.counts().await?;
    let (received, tallies) = web.pipeline.tallies().await?;
    let letters = web.pipeline.dead_letters(MOST_LETTERS).await?;
    let rejected = web.pipeline.rejected_events(MOST_REJECTED).await?;
    let delivered: i64 = tallies.values().map(|tally| tally.delivered).sum();
    let retried: i64 = tallies.values().map(|tally| tally.retried).sum();
    Ok(Content::new(
        "Deliveries",
        Place::Deliveries,
        html! {
            dl.counts {
                (count("Received", received.accepted + received.skipped + received.rejected, false))
                (count("Accepted", received.accepted, false))
                (count("In queue", counts.waiting + counts.in_flight, false))
                (count("Delivered", delivered, false))
                (count("Retried", retried, false))
                (count("Dead letters", counts.dead, counts.dead > 0))
                (count("Rejected", counts.rejected, counts.rejected > 0))
            }
            (summary(received))
            h2 { "By mapping" }
            (by_mapping(&tallies))
            h2 { "Dead letters" }
            (dead_letters(&letters))
            @if counts.dead > 0 {
                form method="post" action="/deliveries/redrive" { p { button { "Retry dead letters" } } }
            }
            h2 { "Rejected events" }
            (rejected_events(&rejected))
            (only_the_newest(rejected.len(), counts.rejected))
        },
    ))
}

fn count(of: &str, count: i64, is_bad: bool) -> Markup {
    html! { div { dt { (of) } dd class=[is_bad.then_some("bad")] { (count) } } }
}

/// Skipped events are in no queue and no letter: nobody finds them unless it is said.
fn summary(received: RequestTally) -> Markup {
    html! {
        @if received.skipped > 0 {
            p.soft {
                (counted(received.skipped.unsigned_abs(), "event"))
                @if received.skipped == 1 { " was skipped (" } @else { " were skipped (" }
                a href="/install#skipped" { "types and reasons" } ")."
            }
        }
    }
}

fn by_mapping(tallies: &Tallies) -> Markup {
    let row = |(mapping, tally): (&String, &MappingTally)| {
        html! {
            td { @if mapping.is_empty() { span.soft { "no mapping named" } } @else { (mapping) } }
            td.number { (tally.queued) }
            td.number.wide { (tally.waiting) }
            td.number { (tally.delivered) }
            td.number.wide { (tally.skipped) }
            td.number.wide { (tally.retried) }
            td.number class=[(tally.dead > 0).then_some("bad")] { (tally.dead) }
        }
    };
    layout::table(
        &html! {
            th { "Mapping" } th.number { "Accepted" } th.number.wide { "In queue" } th.number { "Delivered" }
            th.number.wide { "Skipped" } th.number.wide { "Retried" } th.number { "Dead letters" }
        },
        &tallies.iter().map(row).collect::<Vec<_>>(),
        &html! { "No event was accepted yet. " a href="/install" { "Install" } " says where to send them." },
    )
}

fn dead_letters(letters: &[StoredDeadLetter]) -> Markup {
    let row = |letter: &StoredDeadLetter| {
        html! {
            td { (letter.queue) }
            td.wide { (letter.mapping) }
            td {
                (letter.reason)
                @if let Some(said) = &letter.collector_answer { br; code { (said) } }
                (raw_json(&letter.event, letter.bytes))
            }
        }
    };
    layout::table(
        &html! { th { "Queue" } th.wide { "Mapping" } th { "Reason" } },
        &letters.iter().map(row).collect::<Vec<_>>(),
        &html! { "No dead letters: each accepted event was delivered, or is in its queue." },
    )
}

fn rejected_events(events: &[RejectedEvent]) -> Markup {
    let row = |rejected: &RejectedEvent| {
        html! {
            td { (layout::time(&rejected.received_at)) }
            td {
                (rejected.reason)
                (raw_json(&rejected.event, rejected.bytes))
            }
        }
    };
    layout::table(
        &html! { th { "Received" } th { "Reason" } },
        &events.iter().map(row).collect::<Vec<_>>(),
        &html! { "No rejected events: each one that came in could be read." },
    )
}

/// An event as it came, for who opens it.
fn raw_json(event: &str, bytes: usize) -> Markup {
    html! {
        details {
            summary { "Raw JSON" }
            @if event.len() < bytes { p.soft { "The first " (event.len()) " of " (bytes) " bytes." } }
            pre { code { (event) } }
        }
    }
}

fn only_the_newest(shown: usize, all: i64) -> Markup {
    html! {
        @if i64::try_from(shown).is_ok_and(|shown| shown < all) { p.soft { "The newest " (shown) " of " (all) "." } }
    }
}

/// `POST /deliveries/redrive`
pub async fn redrive(State(web): State<Web>) -> Result<Redirect, PageError> {
    web.pipeline.redrive(None).await?;
    Ok(Redirect::to("/deliveries"))
}
