//! Server-sent events: something has changed, look again.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};

use super::answer::PageError;
use crate::web::presentation::Live;
use crate::web::state::Web;

/// However much comes in, a page is asked to look again no more often than this.
const PAUSE: Duration = Duration::from_millis(500);

/// `GET /live`, where the page is told of changes.
pub async fn changes(State(web): State<Web>) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, PageError> {
    if web.presentation.live != Live::Events {
        return Err(PageError::NotFound);
    }
    let changes = stream::unfold(web.store.changes(), async |mut changes| {
        changes.changed().await.ok()?;
        tokio::time::sleep(PAUSE).await;
        changes.mark_unchanged();
        Some((Ok(Event::default().event("changed").data("look again")), changes))
    });
    Ok(Sse::new(changes).keep_alive(KeepAlive::default()))
}
