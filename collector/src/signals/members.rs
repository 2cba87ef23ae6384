//! The known members of a company, for a source of Segment.

use super::facts::{self, MOST_PEOPLE};
use super::signal::Signal;
use super::told::Told;
use crate::store::{Store, StoreError};

/// What is told, with the user ids of the members that it is told for. They are read with each try, and kept nowhere.
///
/// # Errors
/// When the store cannot be read.
pub async fn with_members(store: &dyn Store, told: Told) -> Result<Told, StoreError> {
    let Told::Signal(message) = told else { return Ok(told) };
    let Some(company) = message.company.as_ref().filter(|_| message.of_members) else {
        return Ok(Told::Signal(message));
    };
    let page = store.show_company(&company.key, MOST_PEOPLE).await?;
    let people = page.iter().flat_map(|page| page.people.iter().map(|member| &member.visitor));
    let user_ids = facts::user_ids(people);
    Ok(Told::Signal(Signal { user_ids, ..message }))
}
