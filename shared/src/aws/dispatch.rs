//! An API Gateway request → intake → the response.

use std::borrow::Cow;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine;
use http::{HeaderName, HeaderValue};

use crate::intake::{self, Answer, IntakeOptions, Outbox, Request};
use crate::settings::{ParameterSource, SettingsCache};

/// Answers one request of an HTTP API (payload format 2.0).
pub async fn answer<S: ParameterSource, O: Outbox>(
    event: &ApiGatewayV2httpRequest,
    request_id: &str,
    settings: &SettingsCache<S>,
    outbox: &O,
    options: IntakeOptions,
) -> ApiGatewayV2httpResponse {
    let Some(body) = body(event) else { return response(Answer::not_base64()) };
    let http = &event.request_context.http;
    let request = Request {
        id: event.request_context.request_id.as_deref().unwrap_or(request_id),
        method: http.method.as_str(),
        path: path(event),
        headers: &event.headers,
        source_ip: http.source_ip.as_deref(),
        body: &body,
    };
    response(intake::handle(&request, settings, outbox, options).await)
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
