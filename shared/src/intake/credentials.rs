//! Whether a request may send: by the webhook's signature, a bearer token, or a write key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Answer, IntakeRoute, Request};
use crate::segment::Signature;
use crate::settings::{Credentials, Token};

/// Accepts a webhook's request with at least one valid credential.
///
/// With batching on, Segment signs only the first event of the array, as its bytes stand in the body
/// (`@segment/action-destinations`, `webhook`), so for an array that is as good as an HMAC of the whole body.
///
/// # Errors
/// With the answer that refuses it.
pub fn of_webhook(
    request: &Request<'_>,
    body: &str,
    first_of_several: Option<&str>,
    credentials: &Credentials,
) -> Result<(), Answer> {
    if credentials.webhook_secrets.is_empty() && credentials.bearer_tokens.is_empty() {
        return Err(Answer::no_credentials_configured(IntakeRoute::Webhook));
    }
    let bearer = authorization(request, "bearer");
    if bearer.is_some_and(|shown| is_any(&credentials.bearer_tokens, shown.as_bytes())) {
        return Ok(());
    }
    let signature = request.header("x-signature");
    if let Some(signature) = signature.and_then(Signature::parse) {
        let signed =
            |text: &str| credentials.webhook_secrets.iter().any(|secret| secret.verifies(text.as_bytes(), &signature));
        if first_of_several.is_some_and(signed) || signed(body) {
            return Ok(());
        }
    }
    Err(Answer::invalid_webhook_credentials(signature.is_some() || bearer.is_some()))
}

/// Accepts a request of an SDK with a good write key: as the user of `Authorization: Basic`, or `writeKey` in the body.
///
/// # Errors
/// With the answer that refuses it.
pub fn of_sdk(request: &Request<'_>, in_body: Option<&str>, credentials: &Credentials) -> Result<(), Answer> {
    if credentials.write_keys.is_empty() {
        return Err(Answer::no_credentials_configured(IntakeRoute::Batch));
    }
    let basic = authorization(request, "basic");
    let user = basic.and_then(|encoded| STANDARD.decode(encoded).ok());
    // A user name ends at the first colon (RFC 7617); a key is sent without one too.
    let user = user.as_deref().map(|pair| pair.split(|byte| *byte == b':').next().unwrap_or_default());
    let shown = [user, in_body.map(str::as_bytes)];
    if shown.into_iter().flatten().any(|shown| is_any(&credentials.write_keys, shown)) {
        return Ok(());
    }
    Err(Answer::invalid_write_key(basic.is_some() || in_body.is_some()))
}

/// Compares with every token, so that the time tells nothing of which one it is.
fn is_any(tokens: &[Token], shown: &[u8]) -> bool {
    tokens.iter().fold(false, |found, token| found | token.is(shown))
}

fn authorization<'a>(request: &Request<'a>, scheme: &str) -> Option<&'a str> {
    let (shown, credentials) = request.header("authorization")?.trim().split_once(' ')?;
    shown.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}
