//! A request's id: made here, on each line that is logged while the request is served, and on its answer as `x-request-id`.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware;
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::trace::TraceLayer;
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Gives each request of a router an id and a span with it. What a client says under the header's name does not count: events
/// without a `messageId` get theirs from it, so that two requests under one id would be one.
pub fn with_ids(router: Router) -> Router {
    router
        .layer(
            TraceLayer::new_for_http()
                // Of the highest level, so that no RUST_LOG that lets a line through leaves it without.
                .make_span_with(|request: &Request| tracing::error_span!("request", request_id = of(request.headers())))
                // Intake and the collector say themselves what they refuse.
                .on_failure(()),
        )
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(RandomIds))
        .layer(middleware::map_request(without_id))
}

/// Ids that nobody can guess.
#[derive(Debug, Clone, Copy)]
struct RandomIds;

impl MakeRequestId for RandomIds {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        HeaderValue::from_str(&Uuid::from_u128(fastrand::u128(..)).to_string()).ok().map(RequestId::new)
    }
}

async fn without_id(mut request: Request) -> Request {
    request.headers_mut().remove(HEADER);
    request
}

/// The id of a request that came through [`with_ids`].
pub fn of(headers: &HeaderMap) -> &str {
    headers.get(HEADER).and_then(|id| id.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::response::Response;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn answer(sent: Option<&str>) -> Response {
        let echo = get(async |headers: HeaderMap| of(&headers).to_owned());
        let mut request = Request::builder().uri("/");
        if let Some(sent) = sent {
            request = request.header(HEADER, sent);
        }
        let request = request.body(Body::empty()).expect("a request");
        with_ids(Router::new().route("/", echo)).oneshot(request).await.expect("an answer")
    }

    #[tokio::test]
    async fn each_request_has_an_id_of_its_own_whatever_its_client_says() {
        let (first, second) = (answer(None).await, answer(Some("mine")).await);
        let ids = [&first, &second].map(|answer| of(answer.headers()).to_owned());
        assert!(ids.iter().all(|id| Uuid::parse_str(id).is_ok()), "{ids:?}");
        assert_ne!(ids[0], ids[1]);
        let served = axum::body::to_bytes(second.into_body(), 100).await.expect("a body");
        assert_eq!(served, ids[1].as_bytes());
    }
}
