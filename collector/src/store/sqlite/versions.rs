//! The versions of the file.

use super::file::Migration;
use super::{tombstones, upgrade};

/// The versions of the file. The first ones made the tables of the local set's queues too, which have a file of their own now.
pub const MIGRATIONS: [Migration; 11] = [
    Migration::sql(include_str!("migrations/1.sql")),
    Migration::sql(include_str!("migrations/2.sql")),
    Migration::sql(include_str!("migrations/3.sql")),
    Migration::sql(include_str!("migrations/4.sql")),
    Migration { sql: include_str!("migrations/5.sql"), then: Some(tombstones::install) },
    // Visitors of the first version have no companies yet, and those of the others may be of others now.
    Migration { sql: include_str!("migrations/6.sql"), then: Some(upgrade::to_version_6) },
    Migration::sql(include_str!("migrations/7.sql")),
    Migration::sql(include_str!("migrations/8.sql")),
    Migration::sql(include_str!("migrations/9.sql")),
    Migration::sql(include_str!("migrations/10.sql")),
    Migration::sql(include_str!("migrations/11.sql")),
];
