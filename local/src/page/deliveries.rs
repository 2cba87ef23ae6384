//! How deliveries go: what waits, what is dead and why, and a button to try it again.

use axum::extract::State;
use axum::response::Redirect;
use maud::html;

use super::layout::{self, Place};
use super::{Page, PageError, page};
use crate::gateway::Gateway;

/// The most dead letters that are shown.
const MOST_LETTERS: u32 = 100;

/// `GET /deliveries`
pub async fn show(State(gateway): State<Gateway>) -> Page {
    let counts = gateway.queues.counts().await?;
    let letters = gateway.queues.dead_letters(MOST_LETTERS).await?;
    Ok(page(layout::page(
        "Deliveries",
        Some(Place::Deliveries),
        &html! {
            div.counts {
                div { b { (counts.waiting) } "waiting" }
                div { b { (counts.in_flight) } "on the way" }
                div { b class=[(counts.dead > 0).then_some("bad")] { (counts.dead) } "dead" }
                div { b { (counts.rejected) } "rejected at intake" }
            }
            h2 { "Dead and rejected" }
            div.card {
                @if letters.is_empty() {
                    p.empty { "Nothing: every event was delivered, or is on its way." }
                } @else {
                    table {
                        thead { tr { th { "Queue" } th.wide { "Mapping" } th { "Reason" } } }
                        tbody {
                            @for letter in &letters {
                                tr {
                                    td { (letter.queue) }
                                    td.wide { (letter.mapping) }
                                    td { (letter.reason) @if let Some(said) = &letter.koala_answer { br; code { (said) } } }
                                }
                            }
                        }
                    }
                }
            }
            @if counts.dead > 0 {
                form method="post" action="/deliveries/redrive" { p { button { "Send dead letters again" } } }
            }
        },
    )))
}

/// `POST /deliveries/redrive`
pub async fn redrive(State(gateway): State<Gateway>) -> Result<Redirect, PageError> {
    gateway.queues.redrive(None).await?;
    Ok(Redirect::to("/deliveries"))
}
