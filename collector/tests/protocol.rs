//! What the routes of Koala's protocol answer.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use koala_collector::protocol::keys::{Keys, KeysUnavailable};
use koala_collector::protocol::routes;
use koala_collector::store::sqlite::SqliteStore;
use koala_destination::koala::{SendError, classify};
use serde_json::Value;
use tower::ServiceExt;

struct OneKey;

#[async_trait]
impl Keys for OneKey {
    async fn knows(&self, key: &str) -> Result<bool, KeysUnavailable> {
        Ok(key == "pk")
    }

    async fn is_of_own_handlers(&self, _: &str) -> Result<bool, KeysUnavailable> {
        Ok(false)
    }
}

/// A sender reads its key again and sends again; were it an answer about the entries, they would be dead letters.
#[tokio::test]
async fn a_key_that_is_not_known_is_unauthorized_and_no_fault_of_the_entries() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("koala.db")).unwrap();
    let router = routes::router(Arc::new(store), Arc::new(OneKey), false);
    for (method, path) in [("POST", "batch"), ("POST", "accounts/batch"), ("GET", "auth")] {
        let request = Request::builder().method(method).uri(format!("/web/projects/other/{path}"));
        let request = request.header("user-agent", "test").body(Body::from("{}")).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1024).await.unwrap();
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status.as_u16(), &json["code"]), (401, &Value::from("unknown_key")), "{path}");
        let classified = classify(status, None, std::str::from_utf8(&body).unwrap());
        assert!(matches!(classified, Err(SendError::KeyRefused { .. })), "{path}: {classified:?}");
    }
}
