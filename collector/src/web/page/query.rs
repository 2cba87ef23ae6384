//! The query of a page's address. One that cannot be read is answered by a page as well.

use axum::extract::{FromRequestParts, Query as AxumQuery};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::PageError;
use crate::web::parameters::words;

/// What is read of a query.
pub struct Query<T>(pub T);

/// Where a page of a list begins.
#[derive(Deserialize)]
pub struct PageQuery {
    #[serde(default)]
    pub offset: u32,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let AxumQuery(read) = AxumQuery::try_from_uri(&parts.uri).map_err(|error| PageError::Query(words(&error)))?;
        Ok(Self(read))
    }
}
