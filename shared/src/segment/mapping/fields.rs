//! The fields of the actions: their names and types; and the fields of a mapping, compiled.

use crate::json::Kind;
use crate::segment::{Action, FieldMapping, FieldProblem};

/// Where Segment puts a directive that is applied to all fields.
const ROOT_DIRECTIVE: &str = "__segment_internal_directive";

/// A field of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionField {
    /// Its key in the mapping.
    pub key: &'static str,
    /// The field as Segment shows it.
    pub label: &'static str,
    /// Its type: a string or an object.
    pub kind: Kind,
}

const fn string(key: &'static str, label: &'static str) -> ActionField {
    ActionField { key, label, kind: Kind::String }
}

const fn object(key: &'static str, label: &'static str) -> ActionField {
    ActionField { key, label, kind: Kind::Object }
}

pub const TRAITS: ActionField = object("traits", "Traits");
pub const EVENT: ActionField = string("event", "Event Name");
pub const PROPERTIES: ActionField = object("properties", "Event Properties");
pub const PAGE_NAME: ActionField = string("name", "Page Name");
pub const URL: ActionField = string("url", "URL");
pub const PATH: ActionField = string("path", "Path");
pub const TITLE: ActionField = string("title", "Title");
pub const REFERRER: ActionField = string("referrer", "Referrer");
pub const SEARCH: ActionField = string("search", "Search");
pub const PAGE_PROPERTIES: ActionField = object("properties", "Page Properties");
pub const GROUP_ID: ActionField = string("group_id", "Group ID");
pub const DOMAIN: ActionField = string("domain", "Domain");
pub const ACCOUNT_NAME: ActionField = string("name", "Account Name");
pub const EMAIL: ActionField = string("email", "Email");
pub const PROFILE_ID: ActionField = string("profile_id", "Profile ID");
pub const IP: ActionField = string("ip", "IP Address");
pub const MESSAGE_ID: ActionField = string("message_id", "Message ID");
pub const SENT_AT: ActionField = string("sent_at", "Sent At");
pub const CONTEXT: ActionField = object("context", "Context");

/// The fields that every action has beyond its own.
const SHARED: &[ActionField] = &[EMAIL, PROFILE_ID, IP, MESSAGE_ID, SENT_AT, CONTEXT];

/// The fields that are an action's alone.
fn own(action: Action) -> &'static [ActionField] {
    match action {
        Action::IdentifyVisitor => &[TRAITS],
        Action::TrackEvent => &[EVENT, PROPERTIES],
        Action::PageView => &[PAGE_NAME, URL, PATH, TITLE, REFERRER, SEARCH, PAGE_PROPERTIES],
        Action::IdentifyAccount => &[GROUP_ID, DOMAIN, ACCOUNT_NAME, TRAITS],
    }
}

/// The fields of a mapping, compiled.
#[derive(Debug, Clone)]
pub struct CompiledFields {
    pub(super) mapping: FieldMapping,
    /// The fields that it says something of; all others take their defaults.
    pub(super) mapped: Vec<String>,
}

/// Compiles the fields of a mapping; none where all take their defaults.
pub fn compile(
    action: Action,
    written: serde_json::Map<String, serde_json::Value>,
) -> Result<Option<CompiledFields>, Vec<FieldProblem>> {
    if written.is_empty() {
        return Ok(None);
    }
    let mapped = written.keys().cloned().collect();
    let all = || own(action).iter().chain(SHARED).map(|field| field.key);
    let mut problems: Vec<FieldProblem> = written
        .keys()
        .filter(|written| *written != ROOT_DIRECTIVE && !all().any(|key| key == *written))
        .map(|unknown| FieldProblem {
            path: format!("fields.{unknown}"),
            message: format!("is not a field of {action}; its fields are {}", all().collect::<Vec<_>>().join(", ")),
        })
        .collect();
    let compiled = FieldMapping::compile(&serde_json::Value::Object(written));
    let below_fields = |problem: FieldProblem| {
        let path = if problem.path.is_empty() { "fields".to_owned() } else { format!("fields.{}", problem.path) };
        FieldProblem { path, ..problem }
    };
    match compiled {
        Ok(mapping) => {
            problems.extend(mapping.lurking_problems().into_iter().map(below_fields));
            if problems.is_empty() { Ok(Some(CompiledFields { mapping, mapped })) } else { Err(problems) }
        }
        Err(found) => {
            problems.extend(found.into_iter().map(below_fields));
            Err(problems)
        }
    }
}
