//! When intake took an event is believed of the stack's own handlers alone: who could say it for others would own every device.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use koala_collector::protocol::keys::{Keys, KeysUnavailable};
use koala_collector::protocol::routes;
use koala_collector::store::Store;
use koala_collector::store::filter::Filter;
use koala_collector::store::sqlite::SqliteStore;
use koala_destination::clock;
use koala_destination::koala::COLLECTOR_TOKEN_HEADER;
use serde_json::json;
use tower::ServiceExt;

struct OneKey;

#[async_trait]
impl Keys for OneKey {
    async fn knows(&self, key: &str) -> Result<bool, KeysUnavailable> {
        Ok(key == "pk")
    }

    async fn is_of_own_handlers(&self, token: &str) -> Result<bool, KeysUnavailable> {
        Ok(token == "right")
    }
}

/// A store to which somebody with a token sends that an event was received in January.
async fn received_in_january(token: Option<&str>) -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("koala.db")).unwrap();
    let router = routes::router(Arc::new(store.clone()), Arc::new(OneKey), false);
    let body = json!({"anonymous_id": "d-1", "received_at": "2026-01-02T03:04:05.678Z",
                      "events": [{"event": "A", "message_id": "m-1"}]});
    let request = Request::post("/web/projects/pk/batch").header("user-agent", "test");
    let request = token.into_iter().fold(request, |request, token| request.header(COLLECTOR_TOKEN_HEADER, token));
    let answer = router.oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    (store, folder)
}

#[tokio::test]
async fn the_stack_s_own_handlers_are_believed_when_intake_took_an_event_and_nobody_else() {
    let before = clock::now();
    for (token, is_believed) in [(Some("right"), true), (Some("wrong"), false), (Some(""), false), (None, false)] {
        let (store, _until_the_end) = received_in_january(token).await;
        let seen = store.list_visitors(Filter::default(), 0, 1).await.unwrap().0.remove(0).first_seen;
        if is_believed {
            assert_eq!(seen, "2026-01-02T03:04:05.678Z");
        } else {
            assert!(seen >= before, "{token:?}: {seen}");
        }
    }
}
