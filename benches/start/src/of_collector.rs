//! What the collector's functions are asked: requests as API Gateway hands them over.

use serde_json::{Value, json};

use crate::aws::{COLLECTOR_TOKEN, PAGE_TOKEN};

/// A request of our own handlers to `collect`: ten events of one visitor. Each start sends the same, so that all but the first are
/// repeats; a cold start is not about how much is written.
pub fn to_collect() -> Value {
    let entry = |at: u32| {
        json!({"type": "track", "event": "Viewed Pricing", "message_id": format!("start-{at}"), "sent_at": "2026-11-20T09:15:00.000Z",
               "properties": {"path": "/pricing", "title": "Pricing"}})
    };
    let body =
        json!({"user_id": "u-ada", "email": "ada@northwind.example", "events": (0..10).map(entry).collect::<Vec<_>>()});
    request("POST", "/web/projects/pk_bench/batch", &[("x-collector-token", COLLECTOR_TOKEN)], &body.to_string())
}

/// Somebody looks at the companies.
pub fn to_page() -> Value {
    let bearer = format!("Bearer {PAGE_TOKEN}");
    request("GET", "/api/companies", &[("authorization", &bearer)], "")
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let mut all = json!({"content-type": "application/json", "host": "abc123.execute-api.eu-west-1.amazonaws.com",
                         "user-agent": "bench"});
    for (name, value) in headers {
        all[name] = json!(value);
    }
    json!({
        "version": "2.0", "routeKey": "ANY /{proxy+}", "rawPath": path, "rawQueryString": "", "headers": all,
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc123", "domainName": "abc123.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "abc123", "requestId": "start", "routeKey": "ANY /{proxy+}", "stage": "$default",
            "time": "20/Nov/2026:09:15:01 +0000", "timeEpoch": 1_795_166_101_150_i64,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "34.223.203.0", "userAgent": "bench"},
        },
        "body": body, "isBase64Encoded": false,
    })
}
