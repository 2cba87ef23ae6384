//! An API Gateway request → intake → the response.

use std::borrow::Cow;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine;
use http::{HeaderName, HeaderValue};
use tracing::Instrument;

use super::span::invocation;
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
        intake::handle(&request, settings, outbox, options).instrument(invocation(request_id)).await
    } else {
        let answer = Answer::not_base64();
        answer.log(&request);
        answer
    };
    metrics.write(&answer, id, settings.freshness());
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use super::*;
    use crate::intake::OutboxError;
    use crate::message::OutgoingMessage;
    use crate::settings::{Parameter, SourceError};

    struct Nothing;

    impl ParameterSource for Nothing {
        async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
            Ok(Vec::new())
        }
    }

    struct OneKey;

    impl ParameterSource for OneKey {
        async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
            Ok(vec![Parameter::new("public-api-key", "pk_1")])
        }
    }

    impl Outbox for Nothing {
        async fn send(&self, _: &[OutgoingMessage]) -> Result<(), OutboxError> {
            Ok(())
        }
    }

    fn options() -> IntakeOptions {
        IntakeOptions {
            answer_within: Duration::from_secs(1),
            max_body_bytes: 1024,
            koala_pixel_installed: false,
            forward_ip: true,
            consent_categories: &[],
        }
    }

    static METRICS: Mutex<String> = Mutex::new(String::new());

    /// A log that is kept.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_packed_body_is_unpacked_from_base64_and_counted_where_it_was_read_as_text() {
        static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let metrics = Metrics::new("dispatch", "Test")
            .to(|line| LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned()));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        io::Write::write_all(&mut gzip, br#"{"type":"track","event":"E","userId":"u"}"#).expect("packed");
        let packed = gzip.finish().expect("packed");
        let mut event = ApiGatewayV2httpRequest::default();
        event.request_context.http.method = http::Method::POST;
        event.raw_path = Some("/v1/track".to_owned());
        event.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        event.headers.insert("content-type", HeaderValue::from_static("application/json"));
        let settings = SettingsCache::new(OneKey, Duration::from_mins(1));
        // In base64 it is read: what is wrong is the lack of a write key.
        event.is_base64_encoded = true;
        event.body = Some(base64::engine::general_purpose::STANDARD.encode(&packed));
        let response = answer(&event, "invocation", &settings, &Nothing, options(), &metrics).await;
        assert_eq!(response.status_code, 401);
        event.is_base64_encoded = false;
        event.body = Some(String::from_utf8_lossy(&packed).into_owned());
        let response = answer(&event, "invocation", &settings, &Nothing, options(), &metrics).await;
        assert_eq!(response.status_code, 415);
        let lines = LINES.lock().expect("a lock");
        let lines: Vec<serde_json::Value> =
            lines.iter().map(|line| serde_json::from_str(line).expect("a line")).collect();
        let counted = |name: &str| lines.iter().map(|line| line[name].as_u64().expect("a count")).collect::<Vec<_>>();
        assert_eq!((counted("CredentialsRefused"), counted("GzipReadAsText")), (vec![1, 0], vec![0, 1]));
        let defined = lines[1]["_aws"]["CloudWatchMetrics"][0]["Metrics"].to_string();
        assert!(defined.contains("GzipReadAsText"), "{defined}");
    }

    #[tokio::test]
    async fn a_body_that_is_not_base64_is_logged_and_counted_like_any_other_refusal() {
        let mut event = ApiGatewayV2httpRequest::default();
        event.body = Some("not base64".to_owned());
        event.is_base64_encoded = true;
        event.request_context.request_id = Some("the-request".to_owned());
        let metrics = Metrics::new("dispatch", "Test")
            .to(|line| METRICS.lock().unwrap_or_else(PoisonError::into_inner).push_str(line));
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let settings = SettingsCache::new(Nothing, Duration::from_mins(1));
        let guard = tracing::subscriber::set_default(subscriber);
        let response = answer(&event, "invocation", &settings, &Nothing, options(), &metrics).await;
        drop(guard);
        assert_eq!(response.status_code, 400);
        let metrics: serde_json::Value = serde_json::from_str(&METRICS.lock().expect("a lock")).expect("a line");
        assert_eq!((&metrics["Refused"], &metrics["request_id"]), (&1.into(), &"the-request".into()));
        let log = String::from_utf8(log.0.lock().expect("a lock").clone()).expect("text");
        assert!(log.contains("not_base64") && log.contains("the-request"), "{log}");
    }
}
