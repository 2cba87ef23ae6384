//! The engine of a database that several write to: PostgreSQL, or Aurora DSQL, to whose subset of it the statements are held.
//!
//! | module | what it does |
//! |---|---|
//! | `store`, `alert_store`, `archive` | the ports over it |
//! | `address`, `options`, `connection`, `pool` | which database, and a few connections to it |
//! | `tls` | who a server has to prove to be |
//! | `token` | the IAM token that opens Aurora DSQL, with the feature `dsql` |
//! | `transaction`, `turns`, `error` | transactions, tried again as a whole where another one was in the way |
//! | `migrations` | the tables |
//! | [`administration`], [`self_test`] | what an administrator does, and whether a database does what is counted on |
//! | `ingest`, `decisions` | what is done with a visitor |
//! | `arrived`, `noted`, `grown` | a batch as it will be written, what of it is new, and page views that have grown |
//! | `deletion`, `deletion_progress`, `learned`, `taken`, `tombstones`, `retention` | who and what is to go |
//! | `history` | what people did with the page |
//! | `visitors`, `companies`, `reasons`, `visitor_points`, `search` | what is shown |
//! | `alert_changes`, `alert_tell`, `alert_messages`, `recent` | what alerts keep |
//! | `guesses` | companies that are guessed by networks |
//! | `company_keys`, `company_names`, `points`, `excluded`, `excludes` | companies decided and counted |
//! | `pointers`, `clusters`, `regrouped` | who is who: pointers written, and the visitors that come of them |
//! | `identities`, `traits`, `accounts`, `topics`, `intent`, `days`, `look_back` | the rows below them |
//! | `dump`, `restore` | all of it written out, and read in |
//! | `sql`, `keys`, `body`, `row_ids` | how they are written |
//! | `ids` | how rows are named outside the engine |
//! | `all_statements` | all statements, which a connection prepares |

mod accounts;
mod address;
pub mod administration;
mod alert_changes;
mod alert_messages;
mod alert_store;
mod alert_tell;
mod all_statements;
mod archive;
mod arrived;
mod body;
mod clusters;
mod companies;
mod company_keys;
mod company_names;
mod connection;
mod days;
mod decisions;
mod deletion;
mod deletion_progress;
mod dump;
mod error;
mod excluded;
mod excludes;
mod grown;
mod guesses;
mod history;
mod identities;
mod ids;
mod ingest;
mod intent;
mod keys;
mod learned;
mod look_back;
mod migrations;
mod noted;
mod options;
mod pointers;
mod points;
mod pool;
mod reasons;
mod recent;
mod regrouped;
mod restore;
mod retention;
mod row_ids;
mod search;
pub mod self_test;
mod sql;
mod store;
mod taken;
mod tls;
#[cfg(feature = "dsql")]
pub mod token;
mod tombstones;
mod topics;
mod traits;
mod transaction;
mod turns;
mod visitor_points;
mod visitors;

pub use self::address::DatabaseUrl;
pub use self::all_statements::all as all_statements;
pub use self::error::PostgresError;
pub use self::migrations::{all as all_of_migrations, newest as newest_migration};
pub use self::options::{Passwords, PostgresOptions};
pub use self::search::Conditions;
pub use self::sql::Sql;
pub use self::store::PostgresStore;
