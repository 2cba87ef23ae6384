//! Bodies of requests, read into memory within bounds: so many bytes over all requests, so long for each.
//!
//! Anybody may send a body before it is known whether they may: what is under way at once has a limit of its own, which
//! counts bytes that have come, not bytes that are announced. A client that announces much and sends little holds little.
//! What bounds one body is `Limited`, as in tower-http's `RequestBodyLimitLayer`, which answers in words of its own and knows nothing
//! of the others: a thousand of 1 MiB each pass it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use koala_destination::intake::Answer;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The most bytes of bodies that are under way at once, from the first that came to the answer. 32 of the largest, or
/// thousands of usual ones; beyond it a client is asked to send again.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// How long a body may take. Segment waits no longer than five seconds for the answer to one.
const LONGEST_BODY: Duration = Duration::from_secs(10);

/// The most bytes of a request to the collector: three arrays of 30 entries, each of an event of 32 KiB, are 2.8 MiB; the rest is for
/// what is written around them.
const LARGEST_OF_THE_COLLECTOR: usize = 4 * 1024 * 1024;

/// The room for bodies.
#[derive(Debug, Clone)]
pub struct Bodies {
    room: Arc<Semaphore>,
}

/// A body that came whole. Its room is free again when it is dropped.
#[derive(Debug)]
pub struct WholeBody {
    /// What came.
    pub bytes: Bytes,
    room: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It has more bytes than may be.
    TooLarge,
    /// It did not come whole, or not in time.
    NotWhole,
    /// There is no room for it now.
    Busy,
}

impl Default for Bodies {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(MOST_BYTES)) }
    }
}

impl Bodies {
    /// Reads a body of at most `limit` bytes. One that says that it is larger is refused unread.
    pub async fn read(&self, body: Body, declared: Option<usize>, limit: usize) -> Result<WholeBody, BodyError> {
        if declared.is_some_and(|declared| declared > limit) {
            return Err(BodyError::TooLarge);
        }
        timeout(LONGEST_BODY, self.read_on(body, declared, limit)).await.unwrap_or(Err(BodyError::NotWhole))
    }

    async fn read_on(&self, body: Body, declared: Option<usize>, limit: usize) -> Result<WholeBody, BodyError> {
        let mut pieces = Limited::new(body, limit).into_data_stream();
        let mut whole = WholeBody { bytes: Bytes::new(), room: None };
        let mut gathered = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| {
                if error.is::<LengthLimitError>() { BodyError::TooLarge } else { BodyError::NotWhole }
            })?;
            self.make_room(&mut whole.room, piece.len())?;
            if gathered.is_empty() {
                // What is announced is believed as far as some of it has come.
                gathered.reserve_exact(declared.unwrap_or_default().min(4 * piece.len()).max(piece.len()));
            }
            gathered.extend_from_slice(&piece);
        }
        whole.bytes = gathered.into();
        Ok(whole)
    }

    /// Room for what a body will be once it is unpacked.
    pub fn make_room_to_unpack(&self, body: &mut WholeBody, limit: usize) -> Result<(), BodyError> {
        self.make_room(&mut body.room, limit)
    }

    fn make_room(&self, held: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), BodyError> {
        let bytes = u32::try_from(bytes).map_err(|_| BodyError::Busy)?;
        let more = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| BodyError::Busy)?;
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}

/// Gives the collector's routes whole bodies that have room, in place of ones that come as they please.
pub async fn within_room(State(bodies): State<Bodies>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match bodies.read(body, declared_length(&head.headers), LARGEST_OF_THE_COLLECTOR).await {
        Ok(WholeBody { bytes, room }) => {
            let response = next.run(Request::from_parts(head, Body::from(bytes))).await;
            drop(room);
            response
        }
        Err(error) => error.into_response(),
    }
}

/// What a client says of its body's length.
pub fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The answer of the collector: `{"error","code"}`, as in Koala's protocol.
impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let (status, code, error) = match self {
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is too large"),
            Self::NotWhole => {
                (StatusCode::REQUEST_TIMEOUT, "body_not_whole", "the body did not arrive whole, or not in time")
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "too many bodies are under way now; send again"),
        };
        let mut response = (status, axum::Json(json!({"error": error, "code": code}))).into_response();
        if self == Self::Busy {
            response.headers_mut().insert(RETRY_AFTER, 1.into());
        }
        response
    }
}

impl BodyError {
    /// The answer of intake.
    pub fn answer(self, limit: usize) -> Answer {
        match self {
            Self::TooLarge => Answer::body_too_large(limit),
            Self::NotWhole => Answer::body_not_whole(),
            Self::Busy => Answer::busy(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(pieces: usize, bytes: usize) -> Body {
        let pieces = (0..pieces).map(move |_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes])));
        Body::from_stream(futures_util::stream::iter(pieces))
    }

    #[tokio::test]
    async fn bodies_under_way_have_room_for_so_many_bytes_and_no_more() {
        let bodies = Bodies::default();
        let mut held = Vec::new();
        let limit = 1024 * 1024;
        while let Ok(body) = bodies.read(chunked(16, limit / 16), None, limit).await {
            assert_eq!(body.bytes.len(), limit);
            held.push(body);
        }
        assert_eq!(held.len(), MOST_BYTES / limit);
        assert_eq!(bodies.read(chunked(1, 1), None, limit).await.err(), Some(BodyError::Busy));
        // One that was refused part of the way holds nothing, and what is done with is free again.
        held.pop();
        assert!(bodies.read(chunked(16, limit / 16), None, limit).await.is_ok());
        held.clear();
        assert_eq!(bodies.room.available_permits(), MOST_BYTES);
    }

    #[tokio::test]
    async fn a_body_that_is_announced_and_does_not_come_holds_no_room() {
        let bodies = Bodies::default();
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        tokio::select! {
            biased;
            _ = bodies.read(never, Some(1024 * 1024), 1024 * 1024) => panic!("it never ends"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(bodies.room.available_permits(), MOST_BYTES);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_unread_or_where_it_passes_it() {
        let bodies = Bodies::default();
        assert_eq!(bodies.read(chunked(1, 1), Some(11), 10).await.err(), Some(BodyError::TooLarge));
        assert_eq!(bodies.read(chunked(100, 4), None, 10).await.err(), Some(BodyError::TooLarge));
        assert_eq!(bodies.room.available_permits(), MOST_BYTES);
    }

    #[tokio::test]
    async fn what_will_be_unpacked_takes_room_for_what_it_may_come_to() {
        let bodies = Bodies::default();
        let mut body = bodies.read(chunked(1, 100), None, 1000).await.unwrap();
        bodies.make_room_to_unpack(&mut body, MOST_BYTES - 100).unwrap();
        assert_eq!(bodies.make_room_to_unpack(&mut body, 1), Err(BodyError::Busy));
        drop(body);
        assert_eq!(bodies.room.available_permits(), MOST_BYTES);
    }
}
