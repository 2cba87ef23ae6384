//! The ids of a visitor, and what a person may decide of each.

use axum::Form;
use axum::extract::{Extension, Path, State};
use koala_destination::ids::{Id, IdKind};
use maud::{Markup, html};
use serde::Deserialize;

use super::answer::{Content, Page, PageError};
use super::place::Place;
use crate::store::decision::{Decision, Undone};
use crate::store::visitor::{VisitorId, VisitorIdentity};
use crate::web::access::Caller;
use crate::web::decisions::read_id;
use crate::web::state::Web;

/// An id in the list of what a visitor is known by, with its buttons.
pub fn identity(visitor: &VisitorId, identity: &VisitorIdentity) -> Markup {
    let VisitorIdentity { id, belongs_to_another, is_blocked } = identity;
    let button = |what: &str, words: &str, title: &str| {
        html! {
            form.inline method="post" action={ "/visitors/" (visitor) "/" (what) } {
                input type="hidden" name="kind" value=(id.kind().name());
                input type="hidden" name="value" value=(id.value());
                button title=(title) { (words) }
            }
        }
    };
    html! {
        dt { (name(id.kind())) }
        dd {
            @if id.kind() == IdKind::Email { bdi { (id.value()) } } @else { code { (id.value()) } }
            @if *is_blocked {
                " " span.soft { "blocked" }
            } @else {
                details.decide {
                    summary { "Not this person?" }
                    @if *belongs_to_another {
                        (button("split", "Split off this identity", "It becomes a visitor of its own, with its activity."))
                    }
                    (button("block", "Block this identity", "It joins no visitors from now on; its activity stays where it is."))
                }
            }
        }
    }
}

pub fn name(kind: IdKind) -> &'static str {
    match kind {
        IdKind::User => "User id",
        IdKind::Email => "Email",
        IdKind::Device => "Device",
    }
}

#[derive(Deserialize)]
pub struct Written {
    kind: String,
    value: String,
}

impl Written {
    fn read(&self) -> Result<Id, PageError> {
        read_id(&self.kind, &self.value).ok_or(PageError::Undone(Undone::Unknown))
    }
}

/// `POST /visitors/{id}/split`
pub async fn split(
    State(web): State<Web>,
    Extension(caller): Extension<Caller>,
    Path(visitor): Path<VisitorId>,
    Form(written): Form<Written>,
) -> Page {
    let id = written.read()?;
    decided(
        (&web, caller),
        &visitor,
        Decision::Detach { id },
        "Split off",
        "The identity is a visitor of its own now, with its activity.",
    )
    .await
}

/// `POST /visitors/{id}/block`
pub async fn block(
    State(web): State<Web>,
    Extension(caller): Extension<Caller>,
    Path(visitor): Path<VisitorId>,
    Form(written): Form<Written>,
) -> Page {
    let id = written.read()?;
    decided((&web, caller), &visitor, Decision::Block { id }, "Blocked", "The identity no longer joins visitors.").await
}

async fn decided(
    (web, caller): (&Web, Caller),
    visitor: &VisitorId,
    decision: Decision,
    title: &str,
    words: &str,
) -> Page {
    let of = web.store.decide_by(&decision, caller.actor()).await??;
    let id = decision.id();
    Ok(Content::still(
        title,
        Place::Visitors,
        html! {
            div.card {
                p { (name(id.kind())) " " code { (id.value()) } }
                p { (words) " " a href={ "/visitors/" (of) } { "Current visitor" } }
            }
            p { a href={ "/visitors/" (visitor) } { "The visitor" } " · " a href="/visitors" { "All visitors" } }
        },
    ))
}
