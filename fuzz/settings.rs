//! The settings that all targets run with, and a runtime to run in.

use std::cell::RefCell;
use std::time::Duration;

use koala_destination::settings::{Parameter, ParameterSource, SettingsCache, SourceError};

pub const SECRET: &str = "the secret";
pub const WRITE_KEY: &str = "wk";

pub struct Tree;

impl ParameterSource for Tree {
    async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
        let tree = [
            ("public-api-key", "pk_1"),
            ("webhook-secret", SECRET),
            ("write-keys", WRITE_KEY),
            ("mappings/identify", r#"{"trigger":"type = \"identify\"","action":"identify-visitor"}"#),
            ("mappings/track", r#"{"trigger":"type = \"track\"","action":"track-event"}"#),
            (
                "mappings/viewed",
                r#"{"trigger":"type = \"page\" or contains(properties.path, \"a\")","action":"track-event",
                    "fields":{"event":{"@template":"Viewed {{name}} {{{properties.title}}}"},
                              "properties":{"@flatten":{"value":{"@path":"$.properties"},"separator":"."}}}}"#,
            ),
        ];
        Ok(tree.map(|(name, value)| Parameter::new(name, value)).into())
    }
}

pub fn settings() -> SettingsCache<Tree> {
    SettingsCache::new(Tree, Duration::from_secs(1_000_000))
}

/// Runs a future to its end on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: RefCell<tokio::runtime::Runtime> =
            RefCell::new(tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));
    }
    RUNTIME.with_borrow(|runtime| runtime.block_on(future))
}
