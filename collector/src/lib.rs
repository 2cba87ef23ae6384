//! The collector of the Koala destination for Segment: it takes entries by Koala's protocol, knows visitors and their
//! companies, and shows them.
//!
//! Modules in the order of an entry's way:
//!
//! | module | what it does |
//! |---|---|
//! | [`protocol`] | Koala's collection API: a request read by the rules, and its routes |
//! | [`received`] | what comes in, as the store takes it |
//! | [`identity`] | who is who: which ids are one visitor's |
//! | [`company`] | which company a visitor is of, and what is one company |
//! | [`networks`] | whose network an address is of: a guess, by a file or a vendor's API |
//! | [`about`] | what an entry is about: the page, and where the visitor came from |
//! | [`intent`] | which entries say that somebody means to buy, and how much |
//! | [`signals`] | alerts: when they are sent, to whom, and what they say |
//! | [`exclude`] | who is kept out of the ranking |
//! | [`invisible`] | characters that show nothing |
//! | [`credentials`] | what opens the page and the API |
//! | [`tombstone`] | what keeps a person who was deleted from coming back |
//! | [`store`] | the port of what is kept, and its engines |
//! | [`web`] | the page for people, the API for programs, and who may see them |
//! | [`settings`] | the collector's own parameters |
//! | [`alert_preview`] | which alerts an event would set off |
//! | [`upkeep`] | what is done beside the requests |
//! | `aws` (feature) | the collector as functions on AWS |
//!
//! [`received`], [`identity`], [`company`], [`about`], [`intent`], [`invisible`], [`exclude`] and [`tombstone`] are pure. So is what [`signals`] decides; beside it
//! its `work`, `watch`, `members`, `desk`, `deliver` and `outbound` read the store and send, and [`networks`] reads a file or asks. What is kept stands behind [`store::Store`], and the pipeline before the collector
//! (queues, dead letters, mappings) behind [`web::Pipeline`]: the routes know no engine and no queue.

// The futures of the AWS SDK are nested deeply.
#![recursion_limit = "256"]

pub mod about;
pub mod alert_preview;
#[cfg(feature = "aws")]
pub mod aws;
pub mod company;
pub mod credentials;
pub mod exclude;
pub mod identity;
pub mod intent;
pub mod invisible;
pub mod networks;
pub mod protocol;
pub mod received;
pub mod settings;
pub mod signals;
pub mod store;
pub mod tombstone;
pub mod upkeep;
pub mod web;

use std::sync::Arc;

use axum::Router;
use koala_destination::environment::Variables;

use self::networks::Networks;
use self::protocol::keys::Keys;
use self::signals::desk::Desk;
use self::store::Store;
use self::store::deletion::Retention;
use self::web::{Access, Pipeline, Presentation};

/// What the collector may be told.
#[derive(Debug, Clone, Copy)]
pub struct CollectorOptions {
    /// How long data is kept.
    pub retention: Retention,
    /// Keep IP addresses with what came from them.
    pub keep_ip: bool,
}

/// A hundred years.
const MOST_RETENTION_DAYS: usize = 36_525;

impl CollectorOptions {
    /// Reads `RETENTION_DAYS` (400) and `KEEP_IP` (false).
    pub fn read(variables: &mut Variables<'_>) -> Self {
        let days = variables.number("RETENTION_DAYS", 400, 1..=MOST_RETENTION_DAYS);
        let retention = Retention::of_days(u32::try_from(days).unwrap_or(u32::MAX));
        Self { retention, keep_ip: variables.flag("KEEP_IP", false) }
    }
}

/// What a collector has besides, where it has it.
#[derive(Clone, Default)]
pub struct Extras {
    /// The alerts, as people look at them.
    pub desk: Option<Arc<dyn Desk>>,
    /// Whose networks addresses are of.
    pub networks: Option<Arc<Networks>>,
    /// What page and API can do here.
    pub presentation: Presentation,
}

/// All routes of the collector: Koala's protocol, the API and the page.
pub fn router(
    store: Arc<dyn Store>,
    pipeline: Arc<dyn Pipeline>,
    keys: Arc<dyn Keys>,
    access: Access,
    options: CollectorOptions,
) -> Router {
    router_with(store, pipeline, keys, access, options, Extras::default())
}

/// The same with more than every collector has.
pub fn router_with(
    store: Arc<dyn Store>,
    pipeline: Arc<dyn Pipeline>,
    keys: Arc<dyn Keys>,
    access: Access,
    options: CollectorOptions,
    extras: Extras,
) -> Router {
    let CollectorOptions { retention, keep_ip } = options;
    let Extras { desk, networks, presentation } = extras;
    let protocol = protocol::routes::router_with(Arc::clone(&store), keys, keep_ip, networks);
    protocol.merge(web::router(store, pipeline, access, retention, desk, presentation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_for_400_days_without_addresses_unless_told_otherwise() {
        let read = |name: &'static str, value: &'static str| {
            let look_up = move |asked: &str| (asked == name).then(|| value.to_owned());
            koala_destination::environment::read(look_up, CollectorOptions::read)
                .map(|options| (options.retention.days(), options.keep_ip))
        };
        assert_eq!(read("", ""), Ok((400, false)));
        assert_eq!(read("RETENTION_DAYS", "30"), Ok((30, false)));
        assert_eq!(read("KEEP_IP", "true"), Ok((400, true)));
        for days in ["0", "36526", "4294967696", "a year"] {
            let error = read("RETENTION_DAYS", days).expect_err("a bad value").to_string();
            assert!(error.starts_with("the environment variable RETENTION_DAYS is"), "{error}");
        }
    }
}
