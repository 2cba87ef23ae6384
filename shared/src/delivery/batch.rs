//! The messages of a batch, each read and mapped by settings that know its mapping.

use std::sync::Arc;

use super::ledger::Ledger;
use super::prepare::{self, Unprepared};
use super::{DeadReason, Delivery, Outcome, Outcomes, ReceivedMessage};
use crate::koala::Collector;
use crate::settings::{ParameterSource, Settings};

impl<S: ParameterSource, C: Collector> Delivery<S, C> {
    /// Maps every message. One that names a mapping unknown so far makes the settings be read again: dispatch may have
    /// seen a new mapping before this function has.
    pub(super) async fn prepare<O: Outcomes>(
        &self,
        messages: &[ReceivedMessage<'_>],
        mut settings: Arc<Settings>,
        ledger: &Ledger<'_, O>,
    ) -> (prepare::PreparedBatch, Arc<Settings>) {
        let mut ready = Vec::with_capacity(messages.len());
        let mut settled = Vec::new();
        let mut read_again = false;
        for (index, message) in messages.iter().enumerate() {
            let mut made = prepare::prepare(message.body, self.function, &settings, &self.options.entry);
            if let Err(Unprepared::UnknownMapping(name)) = &made
                && !read_again
            {
                read_again = true;
                match self.settings.newer_than(&settings).await {
                    Ok(newer) => {
                        settings = newer;
                        made = prepare::prepare(message.body, self.function, &settings, &self.options.entry);
                    }
                    Err(error) => {
                        tracing::warn!(mapping = name, %error, "unknown mapping, and the settings cannot be read again");
                        made = Err(Unprepared::MappingNotRead(name.clone()));
                        read_again = false;
                    }
                }
            }
            match made {
                Ok(prepared) => ready.push((index, prepared)),
                Err(Unprepared::Skipped) => settled.push((index, Outcome::Skipped)),
                Err(Unprepared::MappingNotRead(name)) => {
                    let reason = format!("the mapping {name} is not among the settings that could be read");
                    settled.extend(self.retry(messages, std::iter::once(index), &reason, None));
                }
                Err(Unprepared::Newer(error)) => {
                    settled.extend(self.retry(messages, std::iter::once(index), &error.to_string(), None));
                }
                Err(Unprepared::Never(reason)) => settled.push((index, Outcome::Dead(reason))),
                Err(Unprepared::UnknownMapping(name)) => {
                    let reason = format!("no mapping has the name {name}: it was removed after the event was accepted");
                    settled.push((index, Outcome::Dead(DeadReason { reason, mapping: name, collector_answer: None })));
                }
            }
        }
        ledger.settle(settled).await;
        (prepare::PreparedBatch::of(ready), settings)
    }
}
