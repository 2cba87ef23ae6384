//! What the collector does beside its requests: it keeps to its settings, looks for new intent rules in what was there before,
//! and deletes what is to go.

use std::sync::Arc;

use koala_destination::settings::{ParameterSource, Problem};
use thiserror::Error;

use crate::intent::IntentRule;
use crate::settings::{CollectorSettings, CollectorSettingsCache};
use crate::store::deletion::{Forgotten, Retention};
use crate::store::{Store, StoreError};
use crate::web::access::Access;
use crate::web::{Pipeline, PipelineError};

/// Why a round was not done; the next one does it.
#[derive(Debug, Error)]
pub enum UpkeepError {
    /// The store refuses it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queues of people who are deleted cannot be read or written.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

/// Keeps a store and the access to its page to the settings.
pub struct Upkeep<S> {
    settings: Arc<CollectorSettingsCache<S>>,
    store: Arc<dyn Store>,
    /// Whose access to the page follows the settings; none where the page is another process's.
    access: Option<Access>,
    /// What stands before the collector, where messages of people who are deleted may be; none where it cannot be searched.
    pipeline: Option<Arc<dyn Pipeline>>,
    retention: Retention,
    said: Vec<Problem>,
}

impl<S: ParameterSource> Upkeep<S> {
    /// An upkeep that has yet to begin.
    pub fn new(
        settings: Arc<CollectorSettingsCache<S>>,
        store: Arc<dyn Store>,
        access: Access,
        pipeline: Arc<dyn Pipeline>,
        retention: Retention,
    ) -> Self {
        Self { settings, store, access: Some(access), pipeline: Some(pipeline), retention, said: Vec::new() }
    }

    /// The same beside queues that cannot be searched: what is in them of people who are deleted is dropped when it arrives. The
    /// page is another process's.
    pub fn without_queues(
        settings: Arc<CollectorSettingsCache<S>>,
        store: Arc<dyn Store>,
        retention: Retention,
    ) -> Self {
        Self { settings, store, access: None, pipeline: None, retention, said: Vec::new() }
    }

    /// Keeps to the settings as they are now, looks at a piece of what was there before, and deletes a piece of what is to go.
    /// Gives back whether there is more.
    ///
    /// # Errors
    /// When the store or the queues refuse it.
    pub async fn round(&mut self) -> Result<bool, UpkeepError> {
        // Settings that cannot be read now change nothing.
        if let Ok(settings) = self.settings.current().await {
            self.say(&settings);
            self.follow(&settings).await?;
        }
        let more = self.store.look_back().await?;
        if let Some(departed) = self.store.departed().await? {
            let id = departed.id.clone();
            let forgotten = match &self.pipeline {
                Some(pipeline) => pipeline.forget(departed, &*self.store).await?,
                None => Forgotten { messages: 0, ids: departed.ids.len(), is_all: true },
            };
            self.store.forgotten(&id, forgotten).await?;
        }
        Ok(self.store.sweep(self.retention).await? || more)
    }

    /// A bad parameter is said once, not with every round.
    fn say(&mut self, settings: &CollectorSettings) {
        if self.said == settings.problems() {
            return;
        }
        for problem in settings.problems() {
            tracing::error!(%problem, "a parameter of the collector cannot be used; the others serve");
        }
        self.said = settings.problems().to_vec();
    }

    async fn follow(&self, settings: &CollectorSettings) -> Result<(), StoreError> {
        let now = self.store.intent_rules().await?;
        self.store.follow_intent_rules(&rules_to_follow(settings, &now)).await?;
        self.store.note_each_of(&settings.signals().rules_of_some());
        // One that cannot be read now changes nothing: the one before serves on.
        if let Some(exclude) = settings.exclude() {
            self.store.follow_exclude(exclude).await?;
        }
        if let Some(access) = &self.access {
            access.follow(settings);
        }
        Ok(())
    }
}

/// The rules of the settings; one that cannot be read serves on as it was.
fn rules_to_follow(settings: &CollectorSettings, now: &[IntentRule]) -> Vec<IntentRule> {
    let serving = now.iter().filter(|rule| settings.bad_rules().contains(&rule.name));
    let mut rules: Vec<IntentRule> = settings.intent_rules().iter().chain(serving).cloned().collect();
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    rules
}

#[cfg(test)]
mod tests {
    use koala_destination::settings::Parameter;

    use super::*;

    #[test]
    fn a_rule_that_cannot_be_read_serves_on_as_it_was() {
        let rule = |name: &str, score: f64| IntentRule { score, ..named(name) };
        let parameter = |name: &str, value: &str| Parameter::new(name, value);
        let mut parameters =
            vec![parameter("intent/a", "{"), parameter("intent/b", r#"{"trigger":"type = \"track\"","score":2}"#)];
        let presets = IntentRule::presets().into_iter().map(|preset| format!("intent/{}", preset.name));
        parameters.extend(presets.map(|name| parameter(&name, r#"{"enabled":false}"#)));
        let settings = CollectorSettings::read(&parameters);
        let now = [rule("a", 7.0), rule("b", 1.0), rule("c", 3.0)];
        assert_eq!(rules_to_follow(&settings, &now), [rule("a", 7.0), rule("b", 2.0)]);
    }

    fn named(name: &str) -> IntentRule {
        IntentRule::parse(name, r#"{"trigger":"type = \"track\""}"#).expect("a rule").expect("one that is on")
    }
}
