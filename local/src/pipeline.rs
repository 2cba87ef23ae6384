//! What the collector's page sees of this set's mappings and queues.

use std::sync::Arc;

use async_trait::async_trait;
use koala_collector::settings::CollectorSettingsCache;
use koala_collector::store::Store;
use koala_collector::store::deletion::{Departed, Forgotten};
use koala_collector::store::sqlite::file::FileError;
use koala_collector::web::{
    Install, Pipeline, PipelineError, QueueCounts, RejectedEvent, RequestTally, SettingsProblem, StoredDeadLetter,
    Tallies, TestEvent, WebhookAddress, shown,
};
use koala_destination::intake::IntakeOptions;
use koala_destination::koala::EntryOptions;
use koala_destination::preview::{Preview, Previewer};
use koala_destination::segment::{Function, Mapping};
use koala_destination::settings::{Problem, Settings, SettingsCache};

use crate::parameter_directory::{COLLECTOR_FOLDER, ParameterDirectory};
use crate::queue::Queues;
use crate::test_event;

/// The embedded queues, and the mappings of the parameter directory.
pub struct LocalPipeline {
    /// The parameters.
    pub settings: Arc<SettingsCache<ParameterDirectory>>,
    /// The collector's parameters.
    pub collector_settings: Arc<CollectorSettingsCache<ParameterDirectory>>,
    /// The queues.
    pub queues: Queues,
    /// How intake works, for the preview.
    pub intake: IntakeOptions,
    /// How entries are made, for the preview.
    pub entry: EntryOptions,
    /// Where events are delivered to, where that is not the collector in here.
    pub delivers_to: Option<String>,
}

impl LocalPipeline {
    async fn settings(&self) -> Result<Arc<Settings>, PipelineError> {
        self.settings.current().await.map_err(|error| PipelineError::Settings(error.into()))
    }
}

fn queues(error: FileError) -> PipelineError {
    PipelineError::Queues(error.into())
}

#[async_trait]
impl Pipeline for LocalPipeline {
    async fn counts(&self) -> Result<QueueCounts, PipelineError> {
        self.queues.counts().await.map_err(queues)
    }

    async fn tallies(&self) -> Result<(RequestTally, Tallies), PipelineError> {
        self.queues.tallies().await.map_err(queues)
    }

    async fn dead_letters(&self, most: u32) -> Result<Vec<StoredDeadLetter>, PipelineError> {
        self.queues.dead_letters(most).await.map_err(queues)
    }

    async fn rejected_events(&self, most: u32) -> Result<Vec<RejectedEvent>, PipelineError> {
        self.queues.rejected_events(most).await.map_err(queues)
    }

    async fn install(&self) -> Result<Install, PipelineError> {
        let settings = self.settings().await?;
        let received = self.queues.received().await.map_err(queues)?;
        Ok(Install::of(&settings, WebhookAddress::Beside("/v1/segment"), self.delivers_to.clone(), received))
    }

    async fn send_test_event(&self) -> Result<TestEvent, PipelineError> {
        let sent = test_event::send(&self.settings, &self.queues, self.intake).await;
        sent.map_err(|error| PipelineError::Settings(error.into()))
    }

    async fn settings_problems(&self) -> Vec<SettingsProblem> {
        let (of_destination, of_collector) = shown::problems_of(&self.settings, &self.collector_settings).await;
        let problem = |folder: &str, Problem { parameter, message }: Problem| {
            let parameter = if parameter.is_empty() { parameter } else { format!("{folder}{parameter}") };
            SettingsProblem { parameter, message }
        };
        let of_destination = of_destination.into_iter().map(|one| problem("", one));
        let folder = format!("{COLLECTOR_FOLDER}/");
        of_destination.chain(of_collector.into_iter().map(|one| problem(&folder, one))).collect()
    }

    async fn redrive(&self, function: Option<Function>) -> Result<u64, PipelineError> {
        self.queues.redrive(function).await.map_err(queues)
    }

    async fn forget(&self, departed: Departed, store: &dyn Store) -> Result<Forgotten, PipelineError> {
        let settings = self.settings().await?;
        self.queues.forget(departed, settings, store).await.map_err(|error| PipelineError::Queues(error.into()))
    }

    async fn mappings(&self) -> Result<Vec<Mapping>, PipelineError> {
        Ok(shown::mappings_by_name(&*self.settings().await?))
    }

    async fn preview(&self, event: &str) -> Result<Preview, PipelineError> {
        let settings = self.settings().await?;
        Ok(Previewer { settings: &settings, intake: self.intake, entry: &self.entry }.preview(event))
    }
}
