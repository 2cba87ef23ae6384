//! Whether a request may send: by the webhook's signature or a bearer token.

use super::{Answer, Request};
use crate::segment::Signature;
use crate::settings::Proofs;

/// Accepts a request with at least one good proof.
///
/// With batching on, Segment signs only the first event of the array, as its bytes stand in the body
/// (`@segment/action-destinations`, `webhook`), so for an array that proves the request as well as an HMAC of the whole body.
pub fn check(request: &Request<'_>, first_of_several: Option<&[u8]>, proofs: &Proofs) -> Result<(), Answer> {
    if proofs.is_empty() {
        return Err(Answer::no_proof_configured());
    }
    let bearer = request.header("authorization").and_then(bearer_token);
    if let Some(shown) = bearer
        && proofs.bearer_tokens.iter().any(|token| token.is(shown.as_bytes()))
    {
        return Ok(());
    }
    let signature = request.header("x-signature");
    if let Some(signature) = signature.and_then(Signature::parse) {
        let signed = |bytes: &[u8]| proofs.webhook_secrets.iter().any(|secret| secret.verifies(bytes, &signature));
        if first_of_several.is_some_and(signed) || signed(request.body) {
            return Ok(());
        }
    }
    Err(Answer::unproven(signature.is_some() || bearer.is_some()))
}

fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
