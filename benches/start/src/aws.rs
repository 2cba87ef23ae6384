//! Parameter Store, SQS and Koala as one server that answers at once: their own time is not what is measured.

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Starts it on a free port; gives its URL.
pub async fn serve() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    Ok(url)
}

async fn answer(headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = match target.rsplit('.').next().unwrap_or_default() {
        "GetParametersByPath" => {
            let parameter = |name: &str, value: &str| json!({"Name": format!("/koala-destination/bench/{name}"), "Type": "SecureString", "Value": value, "Version": 1});
            // The secret is that of the fixtures.
            let secret = include_str!("../../../local/parameters/webhook-secret").trim();
            json!({"Parameters": [parameter("public-api-key", "pk_bench"), parameter("webhook-secret", secret)]})
        }
        "SendMessageBatch" => {
            let sent = |entry: &Value| json!({"Id": entry["Id"], "MessageId": "00000000-0000-4000-8000-000000000000", "MD5OfMessageBody": ""});
            let sent: Vec<Value> =
                request["Entries"].as_array().map(|it| it.iter().map(sent).collect()).unwrap_or_default();
            json!({"Successful": sent, "Failed": []})
        }
        _ => json!({"ok": true}),
    };
    ([("content-type", "application/x-amz-json-1.0")], answer.to_string())
}
