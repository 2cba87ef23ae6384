//! What the collector's page sees of this set's mappings and queues.

use std::sync::Arc;

use async_trait::async_trait;
use koala_collector::store::sqlite::file::FileError;
use koala_collector::web::{Pipeline, PipelineError, QueueCounts, RequestTally, StoredDeadLetter, Tallies};
use koala_destination::intake::IntakeOptions;
use koala_destination::koala::EntryOptions;
use koala_destination::preview::{Preview, Previewer};
use koala_destination::segment::{Function, Mapping};
use koala_destination::settings::{ParameterDirectory, Settings, SettingsCache};

use crate::queue::Queues;

/// The embedded queues, and the mappings of the parameter directory.
pub struct LocalPipeline {
    /// The parameters.
    pub settings: Arc<SettingsCache<ParameterDirectory>>,
    /// The queues.
    pub queues: Queues,
    /// What intake is told, for the preview.
    pub intake: IntakeOptions,
    /// What delivery is told of entries, for the preview.
    pub entry: EntryOptions,
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

    async fn redrive(&self, function: Option<Function>) -> Result<u64, PipelineError> {
        self.queues.redrive(function).await.map_err(queues)
    }

    async fn forget(&self, names: Vec<String>) -> Result<usize, PipelineError> {
        self.queues.forget(names).await.map_err(queues)
    }

    async fn mappings(&self) -> Result<Vec<Mapping>, PipelineError> {
        Ok(self.settings().await?.mappings().to_vec())
    }

    async fn preview(&self, event: &str) -> Result<Preview, PipelineError> {
        let settings = self.settings().await?;
        Ok(Previewer { settings: &settings, intake: self.intake, entry: &self.entry }.preview(event))
    }
}
