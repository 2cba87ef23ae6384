//! A database in memory with the tables of searches, for the unit tests of what is found and how fast.

use rusqlite::Connection;

/// The tables and some rows.
pub(super) fn database(rows: &str) -> Connection {
    let connection = Connection::open_in_memory().expect("a database");
    for sql in [
        include_str!("migrations/1.sql"),
        include_str!("migrations/2.sql"),
        include_str!("migrations/3.sql"),
        include_str!("migrations/4.sql"),
        include_str!("migrations/5.sql"),
        include_str!("migrations/6.sql"),
        include_str!("migrations/7.sql"),
        include_str!("migrations/8.sql"),
        rows,
    ] {
        connection.execute_batch(sql).expect("SQL");
    }
    connection
}
