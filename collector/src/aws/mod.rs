//! The collector as functions on AWS.
//!
//! | module | what it does |
//! |---|---|
//! | [`environment`] | what each function is told |
//! | [`parameters`] | which parameters each may read |
//! | [`database`] | the store, connected when it is first needed |
//! | [`site`] | a router as a function, that answers 503 while the database cannot be reached |
//! | [`figures`] | what requests came to, as metrics |
//! | [`collect`], [`page`], [`signals`], [`caretaker`] | the functions |
//! | [`doorbell`] | how `collect` wakes `signals` |
//! | [`pipeline`] | what the page sees of the queues in SQS |

pub mod caretaker;
pub mod collect;
pub mod database;
pub mod doorbell;
pub mod environment;
pub mod figures;
pub mod page;
pub mod parameters;
pub mod pipeline;
pub mod signals;
pub mod site;
