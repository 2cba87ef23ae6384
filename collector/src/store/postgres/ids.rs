//! Rows as they are named outside the engine: a visitor by the number of its first id, a company by that of its first identity.

use crate::store::company_id::{CompanyId, CompanySource};
use crate::store::visitor::VisitorId;

/// What the id of a company begins with, so that it is taken for no group's id.
const PREFIX: &str = "co_";

/// The id of a company's row.
pub(super) fn company_id(row: i64) -> CompanyId {
    CompanyId::new(format!("{PREFIX}{row:x}"))
}

/// The row that an id names; one that no engine of this kind gave meets none.
pub(super) fn company_row(id: &str) -> i64 {
    let row = id.strip_prefix(PREFIX).and_then(|hex| i64::from_str_radix(hex, 16).ok());
    row.filter(|row| company_id(*row).as_str() == id).unwrap_or(-1)
}

/// What an id of a visitor begins with, so that nobody takes it for a number: programs lose digits of long ones.
const MARK: char = 'v';

/// The id of a visitor as it is shown.
pub(super) fn visitor_id(row: i64) -> VisitorId {
    VisitorId::new(format!("{MARK}{row:x}"))
}

/// The row of a visitor. An id that no engine of this kind gave meets no row.
pub(super) fn visitor_row(id: &VisitorId) -> i64 {
    let row = id.as_str().strip_prefix(MARK).and_then(|hex| i64::from_str_radix(hex, 16).ok());
    row.filter(|row| visitor_id(*row) == *id).unwrap_or(-1)
}

/// What somebody is taken to be of a company by.
pub(super) fn source_of(is_guess: bool) -> CompanySource {
    if is_guess { CompanySource::Network } else { CompanySource::Said }
}
