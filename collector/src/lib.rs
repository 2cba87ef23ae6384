//! The collector of the Koala destination for Segment: it takes entries by Koala's protocol, knows visitors and their
//! companies, and shows them.
//!
//! Modules in the order of an entry's way:
//!
//! | module | what it does |
//! |---|---|
//! | [`protocol`] | Koala's collection API: a request read by the rules, and its routes |
//! | [`identity`] | who is who: which ids are one visitor's |
//! | [`company`] | which company a visitor is of |
//! | [`about`] | what an entry is about: the page, and where the visitor came from |
//! | [`intent`] | which entries say that somebody means to buy, and how much |
//! | [`signals`] | who is told of it, and what they read |
//! | [`exclude`] | who is kept out of the ranking |
//! | [`store`] | the port of what is kept, and its engines |
//! | [`web`] | the page for people, the API for programs, and who may see them |
//! | [`settings`] | the collector's own parameters |
//! | [`upkeep`] | what is done beside the requests |
//!
//! [`identity`], [`company`], [`about`], [`intent`], [`exclude`] and [`signals`] are pure. What is kept stands behind [`store::Store`], and the pipeline before the collector
//! (queues, dead letters, mappings) behind [`web::Pipeline`]: the routes know no engine and no queue.

pub mod about;
pub mod company;
pub mod exclude;
pub mod identity;
pub mod intent;
pub mod protocol;
pub mod settings;
pub mod signals;
pub mod store;
pub mod upkeep;
pub mod web;

use std::sync::Arc;

use axum::Router;

use self::protocol::keys::Keys;
use self::store::Store;
use self::web::{Access, Pipeline};

/// All routes of the collector: Koala's protocol, the API and the page.
pub fn router(store: Arc<dyn Store>, pipeline: Arc<dyn Pipeline>, keys: Arc<dyn Keys>, access: Access) -> Router {
    protocol::routes::router(Arc::clone(&store), keys).merge(web::router(store, pipeline, access))
}
