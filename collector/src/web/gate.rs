//! Lets requests to the page and the API pass, or answers in their place.

use axum::extract::{Request, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::access::{Access, Denied};
use super::destination::Destination;
use super::page::sign_in;

/// What a program is asked for (RFC 6750, 3).
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"koala\"");

/// Lets a request pass with who asks in its extensions, or answers in its place.
pub async fn check(State(access): State<Access>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    match access.admit(&head) {
        Ok(caller) => {
            head.extensions.insert(caller);
            next.run(Request::from_parts(head, body)).await
        }
        Err(refusal) => {
            let is_for_programs = head.uri.path().starts_with("/api/");
            let mut answer = match refusal {
                _ if is_for_programs => as_json(refusal),
                Denied::NotSignedIn if matches!(head.method, Method::GET | Method::HEAD) => {
                    sign_in::asked(&access, &head.headers, &Destination::of(&head.uri))
                }
                Denied::NotSignedIn => sign_in::asked(&access, &head.headers, &Destination::default()),
                Denied::Closed(words) => sign_in::refused("Closed", words),
                Denied::OtherSite => sign_in::refused("Refused", words(refusal)),
            };
            *answer.status_mut() = status(refusal);
            if refusal == Denied::NotSignedIn {
                answer.headers_mut().insert(WWW_AUTHENTICATE, BEARER);
            }
            answer
        }
    }
}

fn as_json(refusal: Denied) -> Response {
    let code = match refusal {
        Denied::Closed(_) => "closed",
        Denied::NotSignedIn => "unauthorized",
        Denied::OtherSite => "other_site",
    };
    axum::Json(json!({"error": {"code": code, "message": words(refusal)}})).into_response()
}

fn status(refusal: Denied) -> StatusCode {
    match refusal {
        Denied::Closed(_) | Denied::OtherSite => StatusCode::FORBIDDEN,
        Denied::NotSignedIn => StatusCode::UNAUTHORIZED,
    }
}

fn words(refusal: Denied) -> &'static str {
    match refusal {
        Denied::Closed(words) => words,
        Denied::NotSignedIn => {
            "send Authorization: Bearer with a token of the parameter page-token, or sign in at /sign-in"
        }
        Denied::OtherSite => "a page of another site cannot read this",
    }
}
