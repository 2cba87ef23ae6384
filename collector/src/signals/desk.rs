//! The alerts as people look at them: what is configured, what was told, and a test.

use std::sync::Arc;

use async_trait::async_trait;
use koala_destination::clock::now_milliseconds;
use koala_destination::settings::Problem;
use serde::Serialize;

use super::alert::{Alert, Occasion};
use super::configured::{Configured, CurrentlyConfigured};
use super::deliver;
use super::outbound::{Client, SendOutcome};
use crate::store::StoreError;
use crate::store::alerts::{AlertStore, StoredMessage};

/// What the page and the API can do with alerts.
#[async_trait]
pub trait Desk: Send + Sync {
    /// The alerts in force, and what is wrong with the others.
    async fn configured(&self) -> ShownAlerts;

    /// The newest messages.
    async fn messages(&self, limit: u32) -> Result<Vec<StoredMessage>, StoreError>;

    /// Sends a test of an alert to each of its targets, and says what came of it; nothing where there is no such alert.
    async fn test(&self, alert: &str) -> Option<Vec<Tested>>;

    /// Dead letters are retried. Gives back how many.
    async fn redrive(&self) -> Result<u64, StoreError>;
}

/// Alerts as they are shown: no target's address is among it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ShownAlerts {
    /// Those in force.
    pub alerts: Vec<ShownAlert>,
    /// What is wrong with alerts and targets.
    pub problems: Vec<ShownProblem>,
}

/// An alert as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownAlert {
    /// Its name.
    pub alert: String,
    /// What sets it off, in words.
    pub on: String,
    /// Of whom alone.
    pub only: Option<String>,
    /// Whom it tells.
    pub to: Vec<ShownTarget>,
}

/// A target as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownTarget {
    /// Its name.
    pub target: String,
    /// Slack, Webhook or Segment.
    pub kind: &'static str,
}

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownProblem {
    /// The parameter.
    pub parameter: String,
    /// What is wrong.
    pub message: String,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tested {
    /// The target's name.
    pub target: String,
    /// Whether it took the test.
    pub delivered: bool,
    /// What happened, where it did not.
    pub reason: Option<String>,
}

impl ShownAlerts {
    /// What is configured, without what is secret of it.
    #[must_use]
    pub fn of(configured: &Configured) -> Self {
        let target = |name: &String| {
            let kind = configured.targets().get(name)?.kind();
            Some(ShownTarget { target: name.clone(), kind })
        };
        let alert = |alert: &Alert| ShownAlert {
            alert: alert.name.clone(),
            on: in_words(&alert.on),
            only: alert.only.as_ref().map(|only| only.as_str().to_owned()),
            to: alert.to.iter().filter_map(target).collect(),
        };
        let problem =
            |problem: &Problem| ShownProblem { parameter: problem.parameter.clone(), message: problem.message.clone() };
        Self {
            alerts: configured.alerts().iter().map(alert).collect(),
            problems: configured.problems().iter().map(problem).collect(),
        }
    }
}

impl Tested {
    /// What came of it as people read it.
    #[must_use]
    pub fn of((target, outcome): (String, SendOutcome)) -> Self {
        let reason = match outcome {
            SendOutcome::Delivered => None,
            SendOutcome::Later { reason, .. } | SendOutcome::Skipped { reason } | SendOutcome::Refused { reason } => {
                Some(reason)
            }
            SendOutcome::Ambiguous { reason } => Some(format!("delivery status unknown; not retried: {reason}")),
        };
        Self { target, delivered: reason.is_none(), reason }
    }
}

/// What sets an alert off, in words.
fn in_words(on: &Occasion) -> String {
    match on {
        Occasion::Rule(rule) => format!("the intent rule {rule}, once for a visitor and day"),
        Occasion::Points { over } => format!("a company's points rise over {over}"),
        Occasion::Trend { is } => format!("a company's trend turns {}", is.as_str()),
        Occasion::Week => "each Monday at 08:00".to_owned(),
    }
}

/// The desk over settings and a store.
pub struct SignalsDesk {
    settings: Arc<dyn CurrentlyConfigured>,
    alerts: Arc<dyn AlertStore>,
    client: Client,
}

impl SignalsDesk {
    /// A desk; tests are sent by the client.
    pub fn new(settings: Arc<dyn CurrentlyConfigured>, alerts: Arc<dyn AlertStore>, client: Client) -> Self {
        Self { settings, alerts, client }
    }
}

#[async_trait]
impl Desk for SignalsDesk {
    async fn configured(&self) -> ShownAlerts {
        self.settings.configured().await.map(|configured| ShownAlerts::of(&configured)).unwrap_or_default()
    }

    async fn messages(&self, limit: u32) -> Result<Vec<StoredMessage>, StoreError> {
        self.alerts.messages(limit).await
    }

    async fn test(&self, alert: &str) -> Option<Vec<Tested>> {
        let configured = self.settings.configured().await?;
        let outcomes = deliver::test(&configured, &self.client, alert, now_milliseconds()).await?;
        Some(outcomes.into_iter().map(Tested::of).collect())
    }

    async fn redrive(&self) -> Result<u64, StoreError> {
        self.alerts.redrive_messages(now_milliseconds()).await
    }
}
