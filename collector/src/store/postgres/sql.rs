//! The statements of the engine: each once, by its name, so that a connection prepares it once and a test can hold all of them to
//! what Aurora DSQL takes.

/// A statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sql(pub &'static str);

/// Statements of a module, and a list of all of them.
macro_rules! statements {
    ($($name:ident = $text:expr;)+) => {
        $(pub(super) const $name: $crate::store::postgres::sql::Sql = $crate::store::postgres::sql::Sql($text);)+
        pub(super) const ALL: &[$crate::store::postgres::sql::Sql] = &[$($name),+];
    };
}
pub(super) use statements;

/// All statements.
pub fn all() -> impl Iterator<Item = Sql> {
    let rare = [super::dump::ALL, super::restore::ALL].into_iter().flatten().copied();
    prepared().chain(rare)
}

/// Those that each connection prepares.
pub(super) fn prepared() -> impl Iterator<Item = Sql> {
    let of_modules = [
        super::identities::ALL,
        super::clusters::ALL,
        super::ingest::ALL,
        super::traits::ALL,
        super::intent::ALL,
        super::days::ALL,
        super::look_back::ALL,
        super::points::ALL,
        super::accounts::ALL,
        super::companies::ALL,
        super::company_keys::ALL,
        super::company_names::ALL,
        super::excluded::ALL,
        super::topics::ALL,
        super::visitors::ALL,
        super::decisions::ALL,
        super::deletion::ALL,
        super::taken::ALL,
        super::tombstones::ALL,
        super::retention::ALL,
        super::history::ALL,
        super::guesses::ALL,
        super::alert_changes::ALL,
        super::alert_tell::ALL,
        super::alert_messages::ALL,
        super::alert_store::ALL,
    ];
    of_modules.into_iter().flatten().copied()
}
