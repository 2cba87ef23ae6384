//! What goes off as messages of the store.

use uuid::Uuid;

use super::alert::Alert;
use super::configured::Configured;
use super::target::Target;
use super::told::Told;
use crate::store::alerts::NewMessage;
use crate::store::company::CompanyId;
use crate::store::visitor::VisitorId;

/// A message for each target of an alert that takes it: a source of Segment is told nothing of a company without known members, and
/// nothing that is a guess.
pub fn new_messages(
    (configured, alert): (&Configured, &Alert),
    occasion: &str,
    (told, named): (Told, Vec<VisitorId>),
    company: Option<&CompanyId>,
    visitor: Option<&VisitorId>,
    now: i64,
) -> Vec<NewMessage> {
    let json = serde_json::to_string(&told).unwrap_or_default();
    let message = |target: &String| NewMessage {
        id: format!("msg_{}", new_id()),
        alert: alert.name.clone(),
        target: target.clone(),
        occasion: occasion.to_owned(),
        visitor: visitor.cloned(),
        company: company.cloned(),
        named: named.clone(),
        headline: told.headline(),
        told: json.clone(),
        at: now,
    };
    let is_of_known = matches!(&told, Told::Signal(message)
        if message.company.as_ref().is_some_and(|company| !company.is_guess) && (message.of_members || !message.user_ids.is_empty()));
    let takes = |name: &&String| match configured.targets().get(*name) {
        Some(Target::Segment { .. }) => is_of_known,
        Some(Target::Slack { .. } | Target::Webhook { .. }) | None => true,
    };
    alert.to.iter().filter(takes).map(message).collect()
}

/// An id that nobody else has. It is no secret.
fn new_id() -> String {
    Uuid::from_u128(fastrand::u128(..)).simple().to_string()
}
