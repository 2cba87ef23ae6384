//! The deletion of a person, and how far it is.

use axum::extract::{Extension, Path, State};
use axum::response::Redirect;
use koala_destination::plural::counted;
use maud::html;

use super::answer::{Content, Page, PageError};
use super::layout;
use super::place::Place;
use crate::store::deletion::{DeletionId, Person};
use crate::store::visitor::VisitorId;
use crate::web::access::Caller;
use crate::web::state::Web;

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
pub async fn show(State(web): State<Web>, Path(id): Path<DeletionId>) -> Page {
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
