//! `GET /api/visitors/{id}/export`: all that is kept of one person, as JSON, for who asks what that is.
//!
//! It is sent while it is read, a page of entries at a time, so that a visitor of any length costs the memory of one page.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::api_error::ApiError;
use super::state::Web;
use crate::store::visitor::{EntryCursor, TimelineEntry, VisitorId, VisitorIdentity};
use crate::store::{Store, StoreError};

/// Entries that are read at once.
const ENTRIES_AT_ONCE: u32 = 500;

/// Where the export is.
enum Place {
    Begin,
    Behind(EntryCursor),
    End,
}

/// All of a visitor: what the API shows of one, every id with what was decided of it, and every entry.
pub async fn export(State(web): State<Web>, Path(id): Path<VisitorId>) -> Result<Response, ApiError> {
    let Some((visitor, _)) = web.store.show_visitor(&id, 0).await? else { return Err(ApiError::NoSuchVisitor(id)) };
    let identity = |VisitorIdentity { id, belongs_to_another, is_blocked }: &VisitorIdentity| json!({"kind": id.kind().name(), "value": id.value(), "joined_to_another_id": belongs_to_another, "blocked": is_blocked});
    let identities: Vec<_> = visitor.identities.iter().map(identity).collect();
    let visitor_id = visitor.id.clone();
    let head = format!("{{\"visitor\":{},\"identities\":{},\"entries\":[", json!(visitor), json!(identities));
    let disposition = format!("attachment; filename=\"visitor-{}.json\"", visitor_id.as_str().replace('"', ""));

    let entries =
        stream::try_unfold(Place::Begin, move |place| next(Arc::clone(&web.store), visitor_id.clone(), place));
    let body = stream::once(async { Ok(head) }).chain(entries).chain(stream::once(async { Ok("]}\n".to_owned()) }));
    // An error in the middle ends the connection, which the client sees.
    let body = body.map_ok(Bytes::from).map_err(|error: StoreError| io::Error::other(error));
    let headers = [(CONTENT_TYPE, "application/json".to_owned()), (CONTENT_DISPOSITION, disposition)];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// The next entries, with a comma before each but the first.
async fn next(store: Arc<dyn Store>, id: VisitorId, place: Place) -> Result<Option<(String, Place)>, StoreError> {
    let (after, mut is_first) = match place {
        Place::Begin => (None, true),
        Place::Behind(cursor) => (Some(cursor), false),
        Place::End => return Ok(None),
    };
    let (entries, cursor) = store.export_entries(&id, after.as_ref(), ENTRIES_AT_ONCE).await?;
    let mut written = String::new();
    for entry in &entries {
        if !std::mem::take(&mut is_first) {
            written.push(',');
        }
        written.push_str(&as_json(entry));
    }
    Ok(Some((written, cursor.map_or(Place::End, Place::Behind))))
}

fn as_json(entry: &TimelineEntry) -> String {
    // An entry is text and well-formed JSON.
    serde_json::to_string(entry).unwrap_or_default()
}
