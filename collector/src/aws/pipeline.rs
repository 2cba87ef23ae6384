//! What the page sees of the stack's queues in SQS, and of its mappings.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{Message as SqsMessage, QueueAttributeName};
use koala_destination::aws::environment::OutgoingQueues;
use koala_destination::aws::parameter_store::reason;
use koala_destination::aws::sdk::Lazy;
use koala_destination::environment::Variables;
use koala_destination::intake::IntakeOptions;
use koala_destination::koala::{CollectorKind, EntryOptions};
use koala_destination::preview::{Preview, Previewer};
use koala_destination::segment::{Function, Mapping};
use koala_destination::settings::Settings as Destination;

use super::parameters::{SharedCollectorSettings, SharedSettings};
use crate::store::Store;
use crate::store::deletion::{Departed, Forgotten};
use crate::web::{
    Install, Pipeline, PipelineError, QueueCounts, RejectedEvent, RequestTally, SettingsProblem, StoredDeadLetter,
    Tallies, TestEvent, WebhookAddress, shown,
};

/// SQS gives at most ten messages at once, and not all that there are
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>).
const MOST_AT_ONCE: i32 = 10;
/// How often a queue is asked for more of its messages.
const MOST_ASKED: u32 = 10;

/// Where the queues are.
#[derive(Debug, Clone)]
pub struct StackQueues {
    /// What dispatch writes to.
    pub outgoing: OutgoingQueues,
    /// `IDENTIFY_DEAD_LETTERS_URL`, required.
    pub identify_dead_letters: String,
    /// `TRACK_DEAD_LETTERS_URL`, required.
    pub track_dead_letters: String,
}

impl StackQueues {
    /// Reads them.
    pub fn read(variables: &mut Variables<'_>) -> Self {
        Self {
            outgoing: OutgoingQueues::read(variables),
            identify_dead_letters: variables.required("IDENTIFY_DEAD_LETTERS_URL"),
            track_dead_letters: variables.required("TRACK_DEAD_LETTERS_URL"),
        }
    }

    fn dead_letters(&self, function: Function) -> &str {
        match function {
            Function::IdentifyVisitor => &self.identify_dead_letters,
            Function::TrackEvent => &self.track_dead_letters,
        }
    }
}

/// The queues and the settings of a stack.
pub struct StackPipeline {
    /// The destination's parameters.
    pub settings: SharedSettings,
    /// The collector's.
    pub collector_settings: SharedCollectorSettings,
    /// SQS.
    pub sqs: Lazy<Client>,
    /// Where the queues are.
    pub queues: StackQueues,
    /// How intake works, for the preview.
    pub intake: IntakeOptions,
    /// How entries are made, for the preview.
    pub entry: EntryOptions,
    /// Where Segment sends.
    pub webhook_url: String,
}

impl StackPipeline {
    async fn settings(&self) -> Result<Arc<Destination>, PipelineError> {
        self.settings.current().await.map_err(|error| PipelineError::Settings(error.into()))
    }

    /// How many messages a queue has: visible, and in a consumer's hands.
    async fn count(&self, url: &str) -> Result<(i64, i64), PipelineError> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed, ApproximateNumberOfMessagesNotVisible,
        };
        let names =
            [ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed, ApproximateNumberOfMessagesNotVisible];
        let asked = self.sqs.get().get_queue_attributes().queue_url(url).set_attribute_names(Some(names.into()));
        let attributes = asked.send().await.map_err(|error| failed(&error))?.attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|text| text.parse().ok()).unwrap_or(0_i64);
        let waiting = number(ApproximateNumberOfMessages) + number(ApproximateNumberOfMessagesDelayed);
        Ok((waiting, number(ApproximateNumberOfMessagesNotVisible)))
    }

    /// Some messages of a queue, which stay in it as they are.
    async fn look_at(&self, url: &str, most: u32) -> Result<Vec<SqsMessage>, PipelineError> {
        let mut seen: Vec<SqsMessage> = Vec::new();
        for _ in 0..MOST_ASKED {
            let asked = self.sqs.get().receive_message().queue_url(url).max_number_of_messages(MOST_AT_ONCE);
            let asked = asked.visibility_timeout(0).message_attribute_names("All");
            let messages = asked.send().await.map_err(|error| failed(&error))?.messages.unwrap_or_default();
            let before = seen.len();
            for message in messages {
                if !seen.iter().any(|other| other.message_id == message.message_id) {
                    seen.push(message);
                }
            }
            if seen.len() == before || seen.len() >= most as usize {
                break;
            }
        }
        seen.truncate(most as usize);
        Ok(seen)
    }

    async fn arn(&self, url: &str) -> Result<Option<String>, PipelineError> {
        let asked = self.sqs.get().get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
        let attributes = asked.send().await.map_err(|error| failed(&error))?.attributes.unwrap_or_default();
        Ok(attributes.get(&QueueAttributeName::QueueArn).cloned())
    }
}

fn failed<E, R>(error: &SdkError<E, R>) -> PipelineError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    PipelineError::Queues(reason(error).into())
}

#[async_trait]
impl Pipeline for StackPipeline {
    async fn counts(&self) -> Result<QueueCounts, PipelineError> {
        let StackQueues { outgoing, identify_dead_letters, track_dead_letters } = &self.queues;
        let (identify, track, identify_dead, track_dead, rejected) = tokio::try_join!(
            self.count(&outgoing.identify),
            self.count(&outgoing.track),
            self.count(identify_dead_letters),
            self.count(track_dead_letters),
            self.count(&outgoing.rejected),
        )?;
        Ok(QueueCounts {
            waiting: identify.0 + track.0,
            in_flight: identify.1 + track.1,
            dead: identify_dead.0 + track_dead.0,
            rejected: rejected.0,
        })
    }

    /// Nobody counts them here: the dashboard has them from the logs.
    async fn tallies(&self) -> Result<(RequestTally, Tallies), PipelineError> {
        Ok((RequestTally::default(), Tallies::new()))
    }

    async fn dead_letters(&self, most: u32) -> Result<Vec<StoredDeadLetter>, PipelineError> {
        let mut letters = Vec::new();
        for function in Function::ALL {
            let messages = self.look_at(self.queues.dead_letters(function), most).await?;
            letters.extend(messages.iter().map(|message| {
                let (event, bytes) = shown::event_of_message(message.body().unwrap_or_default());
                let said = |name: &str| message.message_attributes.as_ref()?.get(name)?.string_value.clone();
                StoredDeadLetter {
                    queue: function.name().to_owned(),
                    mapping: said("mapping").unwrap_or_default(),
                    reason: said("reason").unwrap_or_else(|| "received too often without being delivered".to_owned()),
                    // As the release before has written it: a dead letter stays for two weeks.
                    collector_answer: said("collector_answer").or_else(|| said("koala_answer")),
                    event,
                    bytes,
                }
            }));
        }
        letters.truncate(most as usize);
        Ok(letters)
    }

    async fn rejected_events(&self, most: u32) -> Result<Vec<RejectedEvent>, PipelineError> {
        let messages = self.look_at(&self.queues.outgoing.rejected, most).await?;
        let mut events: Vec<_> =
            messages.iter().map(|message| RejectedEvent::of_message(message.body().unwrap_or_default())).collect();
        events.sort_by(|a, b| b.received_at.cmp(&a.received_at));
        Ok(events)
    }

    async fn install(&self) -> Result<Install, PipelineError> {
        let settings = self.settings().await?;
        Ok(Install::of(&settings, WebhookAddress::Url(self.webhook_url.clone()), None, Vec::new()))
    }

    async fn send_test_event(&self) -> Result<TestEvent, PipelineError> {
        let reason = "the page of a stack sends none yet: send one with koala send, or from Segment".to_owned();
        Ok(TestEvent::Stopped { reason })
    }

    async fn settings_problems(&self) -> Vec<SettingsProblem> {
        let (of_destination, of_collector) = shown::problems_of(&self.settings, &self.collector_settings).await;
        let all = of_destination.into_iter().chain(of_collector);
        all.map(|problem| SettingsProblem { parameter: problem.parameter, message: problem.message }).collect()
    }

    async fn redrive(&self, function: Option<Function>) -> Result<u64, PipelineError> {
        let mut redriven = 0;
        for function in Function::ALL.into_iter().filter(|it| function.is_none_or(|only| *it == only)) {
            let url = self.queues.dead_letters(function);
            let (waiting, _) = self.count(url).await?;
            if waiting == 0 {
                continue;
            }
            let begun = self.sqs.get().start_message_move_task().set_source_arn(self.arn(url).await?).send().await;
            begun.map_err(|error| failed(&error))?;
            redriven += u64::try_from(waiting).unwrap_or_default();
        }
        Ok(redriven)
    }

    /// A queue of SQS cannot be searched.
    async fn forget(&self, departed: Departed, _: &dyn Store) -> Result<Forgotten, PipelineError> {
        Ok(Forgotten { messages: 0, ids: departed.ids.len(), is_all: true })
    }

    async fn mappings(&self) -> Result<Vec<Mapping>, PipelineError> {
        Ok(shown::mappings_by_name(&*self.settings().await?))
    }

    async fn preview(&self, event: &str) -> Result<Preview, PipelineError> {
        let settings = self.settings().await?;
        let mut entry = self.entry.clone();
        entry.collector = CollectorKind::Own;
        Ok(Previewer { settings: &settings, intake: self.intake, entry: &entry }.preview(event))
    }
}
