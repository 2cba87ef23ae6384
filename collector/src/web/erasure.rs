//! A person deleted: what the store keeps, and what stands in the queues on its way there.

use koala_destination::clock;
use serde::Serialize;
use uuid::Uuid;

use super::pipeline::PipelineError;
use super::state::Web;
use crate::store::StoreError;
use crate::store::deletion::Person;

/// What a deletion did; it does not repeat the address.
#[derive(Debug, Serialize)]
pub struct Receipt {
    /// The receipt's own number.
    pub id: String,
    /// `completed`: what was found is gone when this is answered.
    pub status: &'static str,
    /// When.
    pub completed_at: String,
    /// Visitors that were known by the address.
    pub visitors: usize,
    /// Their entries.
    pub entries: usize,
    /// Messages on their way, dead letters and rejected events that named it.
    pub messages: usize,
}

/// Deletes everything that leads to a person: the visitor with all identities, traits and entries, and whatever stands in the
/// queues, dead or alive, and names it. Nothing where a visitor is meant that is not there.
///
/// The queues come first: what was delivered from them in between is deleted with the rest.
pub async fn erase<E>(web: &Web, person: Person) -> Result<Option<Receipt>, E>
where
    E: From<StoreError> + From<PipelineError>,
{
    let mut names = match (web.store.names_of(&person).await?, &person) {
        (Some(names), _) => names,
        (None, Person::Email(_)) => Vec::new(),
        (None, Person::Visitor(_)) => return Ok(None),
    };
    if let Person::Email(email) = &person {
        names.push(email.as_str().to_lowercase());
    }
    names.sort();
    names.dedup();
    let messages = web.pipeline.forget(names).await?;
    let deleted = web.store.delete(&person).await?;
    Ok(Some(Receipt {
        id: Uuid::from_u128(fastrand::u128(..)).to_string(),
        status: "completed",
        completed_at: clock::now(),
        visitors: deleted.visitors,
        entries: deleted.entries,
        messages,
    }))
}
