//! How deliveries go: what came in, what waits, what arrived, what is dead and why, and a button to try it again.

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};

use super::answer::{Page, PageError, page};
use super::layout::{self, Place};
use crate::web::pipeline::{MappingTally, StoredDeadLetter, Tallies};
use crate::web::state::Web;

/// The most dead letters that are shown.
const MOST_LETTERS: u32 = 100;

/// `GET /deliveries`
pub async fn show(State(web): State<Web>) -> Page {
    let counts = web.pipeline.counts().await?;
    let (received, tallies) = web.pipeline.tallies().await?;
    let letters = web.pipeline.dead_letters(MOST_LETTERS).await?;
    let delivered: i64 = tallies.values().map(|tally| tally.delivered).sum();
    let retried: i64 = tallies.values().map(|tally| tally.retried).sum();
    Ok(page(layout::page(
        "Deliveries",
        Some(Place::Deliveries),
        &html! {
            div.counts {
                (count("received", received.accepted + received.skipped + received.rejected, false))
                (count("queued", counts.waiting + counts.in_flight, false))
                (count("delivered", delivered, false))
                (count("retried", retried, false))
                (count("dead", counts.dead, counts.dead > 0))
                (count("rejected at intake", counts.rejected, false))
            }
            p.soft {
                "Of the events received " (received.accepted) " were taken by a mapping, " (received.skipped) " were skipped."
            }
            h2 { "By mapping" }
            (by_mapping(&tallies))
            h2 { "Dead letters" }
            (dead_letters(&letters))
            @if counts.dead > 0 {
                form method="post" action="/deliveries/redrive" { p { button { "Send dead letters again" } } }
            }
        },
    )))
}

fn count(of: &str, count: i64, is_bad: bool) -> Markup {
    html! { div { b class=[is_bad.then_some("bad")] { (count) } (of) } }
}

fn by_mapping(tallies: &Tallies) -> Markup {
    let row = |(mapping, tally): (&String, &MappingTally)| {
        html! {
            td { @if mapping.is_empty() { span.soft { "none" } } @else { (mapping) } }
            td.number { (tally.queued) }
            td.number { (tally.waiting) }
            td.number { (tally.delivered) }
            td.number.wide { (tally.skipped) }
            td.number.wide { (tally.retried) }
            td.number { (tally.dead) }
        }
    };
    layout::table(
        &html! {
            th { "Mapping" } th.number { "Queued" } th.number { "Waiting" } th.number { "Delivered" }
            th.number.wide { "Skipped" } th.number.wide { "Retried" } th.number { "Dead" }
        },
        &tallies.iter().map(row).collect::<Vec<_>>(),
        &html! { "No event has come in yet." },
    )
}

fn dead_letters(letters: &[StoredDeadLetter]) -> Markup {
    let row = |letter: &StoredDeadLetter| {
        html! {
            td { (letter.queue) }
            td.wide { (letter.mapping) }
            td { (letter.reason) @if let Some(said) = &letter.koala_answer { br; code { (said) } } }
        }
    };
    layout::table(
        &html! { th { "Queue" } th.wide { "Mapping" } th { "Reason" } },
        &letters.iter().map(row).collect::<Vec<_>>(),
        &html! { "Nothing: every event was delivered, or is on its way." },
    )
}

/// `POST /deliveries/redrive`
pub async fn redrive(State(web): State<Web>) -> Result<Redirect, PageError> {
    web.pipeline.redrive(None).await?;
    Ok(Redirect::to("/deliveries"))
}
