//! A company as a list of the API and a file have it: with what most of its points come from.

use koala_destination::clock::now_milliseconds;
use serde::Serialize;

use super::page::words;
use crate::store::company::{Company, Reason};
use crate::store::{Store, StoreError};

/// A company of a list.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// The company.
    #[serde(flatten)]
    pub company: Company,
    /// What it has most of its points from.
    pub top_reason: Option<TopReason>,
}

/// What an intent rule counts for a company, and the same as a sentence.
#[derive(Debug, Serialize)]
pub struct TopReason {
    /// The reason.
    #[serde(flatten)]
    pub reason: Reason,
    /// `Looked at pricing: 3 people, last today`.
    pub text: String,
}

impl Listed {
    /// The companies of a page of the ranking.
    pub async fn of(store: &dyn Store, companies: Vec<Company>) -> Result<Vec<Self>, StoreError> {
        let ids = companies.iter().map(|company| company.id.clone()).collect();
        let (reasons, now) = (store.top_reasons(ids).await?, now_milliseconds());
        let listed = companies.into_iter().zip(reasons).map(|(company, reason)| {
            let top_reason = reason.map(|reason| TopReason { text: words::reason(&reason, now), reason });
            Self { company, top_reason }
        });
        Ok(listed.collect())
    }
}
