//! The span around an invocation.

use tracing::Span;

/// A span in which each line that is logged carries the invocation's request id, as `span.request_id`. It is of the highest
/// level, so that no `RUST_LOG` that lets a line through leaves it without.
#[must_use]
pub fn invocation(request_id: &str) -> Span {
    tracing::error_span!("invocation", request_id)
}
