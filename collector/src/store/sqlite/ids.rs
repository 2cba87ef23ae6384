//! Rows as they are named outside the engine: a visitor by the number of its first id, a company by that of its first identity.

use crate::store::company_id::{CompanyId, CompanySource};
use crate::store::visitor::VisitorId;

/// What the id of a company begins with, so that it is taken for no group's id.
pub(super) const PREFIX: &str = "co_";

/// The id of a company's row.
pub(super) fn company_id(row: i64) -> CompanyId {
    CompanyId::new(format!("{PREFIX}{row}"))
}

/// The row that an id names; one that no engine of this kind gave meets none.
pub(super) fn company_row(id: &str) -> i64 {
    id.strip_prefix(PREFIX).and_then(|number| number.parse().ok()).unwrap_or(-1)
}

/// What somebody is taken to be of a company by.
pub(super) fn source_of(is_guess: bool) -> CompanySource {
    if is_guess { CompanySource::Network } else { CompanySource::Said }
}

/// The id of a visitor's row.
pub(super) fn visitor_id(row: i64) -> VisitorId {
    VisitorId::new(row.to_string())
}

/// The row of a visitor. An id that no engine of this kind gave meets no row.
pub(super) fn visitor_row(id: &VisitorId) -> i64 {
    id.as_str().parse().unwrap_or(-1)
}
