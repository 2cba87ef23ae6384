//! The statements of the engine: each once, by its name, so that a connection prepares it once; `all_statements` has a list of them.

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
