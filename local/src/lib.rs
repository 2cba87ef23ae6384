//! The Koala destination for Segment on one machine: the commands of `koala`, and the set that they run.
//!
//! | module | what it does |
//! |---|---|
//! | [`command`] | the command line; `up`, `demo`, `send`, `preview`, `invoke`, `check`, `alerts`, `redrive` are a command each,
//! | | and `archive` is `export` and `import` |
//! | [`set`] | the parts of `koala up`, started and stopped together |
//! | `gateway` | HTTP: intake, and the routes of the collector beside it |
//! | `database`, `aws_credentials` | the database that keeps visitors, and what opens Aurora DSQL |
//! | `environment` | the environment variables, read in one place |
//! | `bodies` | bodies of requests, read within bounds |
//! | `own_handlers`, `session_key` | how the collector knows the deliveries of this process, and what signs sessions |
//! | `forwarded` | whom a proxy says that a request comes from |
//! | `queue` | the queues, as SQS would keep them |
//! | `request_id` | a request's id, on its answer and each line of the log |
//! | `pipeline` | what the collector's page sees of mappings and queues |
//! | `test_event` | a test event through the set's own intake |
//! | `consumer` | takes batches from the queues and delivers them, as Lambda's event source mapping would |
//! | `signals` | alerts, evaluated and sent in this process |
//! | `server` | the HTTP server under the gateway |
//! | `deployed` | a stack on AWS, looked at by `koala check --online --stack` |
//! | [`parameter_directory`] | the parameter tree as a directory of files |
//! | `unknown_parameters` | parameters that nobody reads |
//! | [`fixtures`] | events from files |
//! | [`output`] | what the commands print |
//!
//! What is public is what `main.rs` and the benchmarks in `benches/figures` use.

// Printing with the macros of `output` alone: those of the standard library panic when nobody reads any more.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod alerts;
mod archive;
#[cfg(feature = "aws")]
mod aws_credentials;
mod bodies;
mod check;
pub mod command;
mod consumer;
mod database;
mod demo;
mod deployed;
mod environment;
pub mod fixtures;
mod forwarded;
mod gateway;
mod invoke;
pub mod output;
mod own_handlers;
pub mod parameter_directory;
mod pipeline;
mod preview;
mod queue;
mod redrive;
mod request_id;
pub mod send;
mod server;
mod session_key;
pub mod set;
mod signals;
mod test_event;
mod unknown_parameters;
mod up;
