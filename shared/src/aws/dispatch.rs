//! An API Gateway request → intake → the response.

use std::borrow::Cow;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine;
use http::{HeaderName, HeaderValue};

use crate::intake::{self, Answer, IntakeOptions, Outbox, Request};
use crate::metrics::Metrics;
use crate::settings::{ParameterSource, SettingsCache};

/// Answers one request of an HTTP API (payload format 2.0).
pub async fn answer<S: ParameterSource, O: Outbox>(
    event: &ApiGatewayV2httpRequest,
    request_id: &str,
    settings: &SettingsCache<S>,
    outbox: &O,
    options: IntakeOptions,
    metrics: &Metrics,
) -> ApiGatewayV2httpResponse {
    let body = body(event);
    let http = &event.request_context.http;
    let id = event.request_context.request_id.as_deref().unwrap_or(request_id);
    let request = Request {
        trace_id: trace_id(event).unwrap_or(id),
        id,
        method: http.method.as_str(),
        path: path(event),
        headers: &event.headers,
        source_ip: http.source_ip.as_deref(),
        body: body.as_deref().unwrap_or_default(),
    };
    let answer = if body.is_some() {
        intake::handle(&request, settings, outbox, options).await
    } else {
        let answer = Answer::not_base64();
        answer.log(&request);
        answer
    };
    metrics.request(&answer, id, settings.age());
    response(answer)
}

/// The root of X-Ray's trace, which API Gateway puts into a header
/// (<https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>).
fn trace_id(event: &ApiGatewayV2httpRequest) -> Option<&str> {
    let header = event.headers.get("x-amzn-trace-id")?.to_str().ok()?;
    let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root="))?;
    let of_x_ray = root.len() == 35 && root.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    of_x_ray.then_some(root)
}

/// API Gateway marks as base64 what its content type does not tell to be text.
fn body(event: &ApiGatewayV2httpRequest) -> Option<Cow<'_, [u8]>> {
    let body = event.body.as_deref().unwrap_or_default();
    if event.is_base64_encoded {
        base64::engine::general_purpose::STANDARD.decode(body).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(body.as_bytes()))
    }
}

/// The path below the API's stage, which a stage other than `$default` puts in front.
fn path(event: &ApiGatewayV2httpRequest) -> &str {
    let path = event.raw_path.as_deref().or(event.request_context.http.path.as_deref()).unwrap_or_default();
    let stage = event.request_context.stage.as_deref().unwrap_or_default();
    let below = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
    below.filter(|below| !stage.is_empty() && below.starts_with('/')).unwrap_or(path)
}

fn response(answer: Answer) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(answer.status);
    response.headers = answer
        .headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    response.body = Some(Body::Text(answer.body));
    response
}
