//! A request, whatever brought it: API Gateway or the gateway of the local set.

/// What intake needs of an HTTP request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The id under which the logs name it.
    pub id: &'a str,
    /// The trace that it belongs to, for the logs of all that its events pass: X-Ray's, or the same as `id`.
    pub trace_id: &'a str,
    /// `POST`, …
    pub method: &'a str,
    /// Without the query: `/v1/segment`.
    pub path: &'a str,
    /// The headers.
    pub headers: &'a http::HeaderMap,
    /// The address that it came from, where it is known.
    pub source_ip: Option<&'a str>,
    /// The body, decoded from base64 where API Gateway wrapped it.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A header's value where it is text; of several the first.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }
}
