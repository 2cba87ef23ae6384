//! The known people whom a source of Segment is told of, as they are when it is sent.

use super::facts::{self, MOST_PEOPLE};
use super::signal::Signal;
use super::told::Told;
use crate::store::visitor::VisitorId;
use crate::store::{Store, StoreError};

/// What is told, with the user ids of those it is told for as they are now: of the visitor whom it is about, or of the company's members.
/// Members are kept nowhere. Who was excluded in the meantime, alone or with the company, is not among them.
///
/// # Errors
/// When the store cannot be read.
pub async fn with_current_members(
    store: &dyn Store,
    told: Told,
    visitor: Option<&VisitorId>,
) -> Result<Told, StoreError> {
    let Told::Signal(message) = told else { return Ok(told) };
    let Some(company) = &message.company else { return Ok(Told::Signal(message)) };
    let page = store.show_company(&company.key, MOST_PEOPLE).await?;
    let user_ids = if page.as_ref().is_some_and(|page| page.company.excluded) {
        Vec::new()
    } else if message.of_members {
        facts::user_ids(page.iter().flat_map(|page| page.people.iter().map(|member| &member.visitor)))
    } else if is_excluded(store, visitor).await? {
        Vec::new()
    } else {
        message.user_ids
    };
    Ok(Told::Signal(Signal { user_ids, ..message }))
}

async fn is_excluded(store: &dyn Store, visitor: Option<&VisitorId>) -> Result<bool, StoreError> {
    let Some(id) = visitor else { return Ok(false) };
    Ok(store.show_visitor(id, 1).await?.is_some_and(|(visitor, _)| visitor.excluded))
}
