//! The query of an address of the API: what is not known is refused by its name, as what cannot be read is.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, MatchedPath, Query, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::api_error::ApiError;
use super::filter_query::{CompanyQuery, VisitorQuery};

/// What is read of a query.
pub struct Parameters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Query(read) = Query::try_from_uri(&parts.uri).map_err(|error| ApiError::BadRequest(words(&error)))?;
        Ok(Self(read))
    }
}

/// Names the parameter first, as `limit: invalid digit found in string`.
pub fn words(rejection: &QueryRejection) -> String {
    let text = rejection.body_text();
    text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text).to_owned()
}

/// Refuses a request with a parameter that its route does not take: one that is mistyped would count for nothing without a word.
pub async fn refuse_unknown(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let query = request.uri().query().unwrap_or_default();
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    if let Some(unknown) = names.find(|name| !takes(path, name)) {
        return ApiError::BadRequest(format!("{unknown}: unknown parameter of {path}")).into_response();
    }
    next.run(request).await
}

/// Whether a route takes a parameter.
fn takes(path: &str, name: &str) -> bool {
    let is_one_of = |pairs: &[(&str, &str)]| pairs.iter().any(|(known, _)| *known == name);
    let of_visitors = || is_one_of(&VisitorQuery::default().pairs());
    let of_companies = || is_one_of(&CompanyQuery::default().pairs());
    match path {
        "/api/visitors" => matches!(name, "offset" | "limit") || of_visitors(),
        "/api/visitors.csv" => name == "after" || of_visitors(),
        "/api/companies" => matches!(name, "offset" | "limit") || of_companies(),
        "/api/companies.csv" => name == "offset" || of_companies(),
        "/api/history" => matches!(name, "before" | "limit"),
        "/api/visitors/{id}"
        | "/api/companies/{key}"
        | "/api/alerts"
        | "/api/dead-letters"
        | "/api/rejected-events" => name == "limit",
        _ => false,
    }
}
