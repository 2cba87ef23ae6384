//! The engine of one machine: one SQLite file with one writer.
//!
//! | module | what it does |
//! |---|---|
//! | `store`, `alert_store`, `archive` | the ports over it |
//! | `versions`, `upgrade` | what each version of the file has more, and what one of an earlier version needs |
//! | [`file`], `readers` | the file: one thread writes, others read |
//! | `ingest`, `decisions` | what is done with a visitor |
//! | `deletion`, `taken`, `tombstones`, `late` | people deleted, and kept from coming back |
//! | `history` | what people did |
//! | `retention` | what is older than it may be |
//! | `visitors`, `companies`, `ranking`, `visitor_points`, `reasons`, `search`, `done` | what is shown |
//! | `remade` | what is made of the whole store, and not at each look |
//! | `interests` | what a company's visitors looked at, and where they came from |
//! | `alerts`, `alert_changes`, `alert_messages` | what alerts keep |
//! | `clusters` | who is who: pointers written, and the visitors that come of them |
//! | `accounts`, `company_keys`, `company_names`, `statements` | which company a visitor is of, and what is one company |
//! | `guesses` | companies that are guessed by networks |
//! | `excluded` | who is kept out of the ranking |
//! | `identities`, `traits`, `topics`, `intent` | the rows below them |
//! | `ids` | how rows are named outside the engine |
//! | `dump`, `restore` | all of it written out, and read in |

mod accounts;
mod alert_changes;
mod alert_messages;
mod alert_store;
mod alerts;
mod archive;
mod clusters;
mod companies;
mod company_keys;
mod company_names;
mod decisions;
mod deletion;
mod done;
mod dump;
mod excluded;
pub mod file;
mod guesses;
mod history;
mod identities;
mod ids;
#[cfg(test)]
mod in_memory;
mod ingest;
mod intent;
mod interests;
mod late;
mod ranking;
mod readers;
mod reasons;
mod remade;
mod restore;
mod retention;
mod search;
mod statements;
mod store;
mod taken;
mod tombstones;
mod topics;
mod traits;
mod upgrade;
mod versions;
mod visitor_points;
mod visitors;

pub use self::store::SqliteStore;
pub use self::versions::MIGRATIONS;
