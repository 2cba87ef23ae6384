//! The fields of the actions: their names, types and defaults.

use std::borrow::Cow;

use thiserror::Error;

use crate::json::{Kind, Object};
use crate::segment::value::Value;
use crate::segment::{Action, FieldMapping, FieldProblem, RenderError};

/// The fields that both actions have beyond Segment's.
const SHARED_FIELDS: [&str; 6] = ["email", "profile_id", "ip", "message_id", "sent_at", "context"];
/// Where Segment puts a directive that is applied to all fields.
const ROOT_DIRECTIVE: &str = "__segment_internal_directive";

/// What a mapping got for one event. A field that the mapping leaves out has the action's default.
#[derive(Debug, Clone)]
pub struct MappedEvent<'a> {
    /// The action's own fields.
    pub action: MappedAction<'a>,
    /// The visitor's email address.
    pub email: Given<Cow<'a, str>>,
    /// Koala's id of the visitor.
    pub profile_id: Given<Cow<'a, str>>,
    /// The visitor's IP address.
    pub ip: Given<Cow<'a, str>>,
    /// The idempotency key.
    pub message_id: Given<Cow<'a, str>>,
    /// When it happened.
    pub sent_at: Given<Cow<'a, str>>,
    /// An object.
    pub context: Given<Value<'a>>,
}

/// The fields of Segment's two actions.
#[derive(Debug, Clone)]
pub enum MappedAction<'a> {
    /// *Identify Visitor*.
    Identify {
        /// Traits, an object.
        traits: Value<'a>,
    },
    /// *Track Event*.
    Track {
        /// Event Name, not empty.
        name: Cow<'a, str>,
        /// Event Properties, an object.
        properties: Option<Value<'a>>,
    },
}

/// A field that a mapping may leave out.
#[derive(Debug, Clone)]
pub enum Given<T> {
    /// Left out.
    Default,
    /// Mapped; to nothing where the event has nothing there.
    Mapped(Option<T>),
}

impl<T> Given<T> {
    /// What was mapped, if something was.
    pub fn mapped(self) -> Option<T> {
        match self {
            Self::Default => None,
            Self::Mapped(value) => value,
        }
    }
}

/// Why an event does not fit its action. Each is final for this event under this mapping.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MappingProblem {
    /// A directive cannot be followed for this event.
    #[error("the mapping cannot be followed: {0}")]
    Render(#[from] RenderError),
    /// A required field is missing, null or empty.
    #[error("{field} (`{key}`) is missing, and the action requires it")]
    Missing {
        /// The field as Segment shows it.
        field: &'static str,
        /// Its key in the mapping.
        key: &'static str,
    },
    /// A field has another type than the action's.
    #[error("{field} (`{key}`) must be {expected}, and is {found}")]
    WrongType {
        /// The field as Segment shows it.
        field: &'static str,
        /// Its key in the mapping.
        key: &'static str,
        /// What it should be.
        expected: Kind,
        /// What it is.
        found: Kind,
    },
}

/// The fields of a mapping, compiled.
#[derive(Debug, Clone)]
pub struct Fields {
    mapping: FieldMapping,
    /// The fields that it says something of; all others take their defaults.
    mapped: Vec<String>,
}

/// Compiles the fields of a mapping; none where all take their defaults.
pub fn compile(
    action: Action,
    written: serde_json::Map<String, serde_json::Value>,
) -> Result<Option<Fields>, Vec<FieldProblem>> {
    if written.is_empty() {
        return Ok(None);
    }
    let mapped = written.keys().cloned().collect();
    let own: &[&str] = match action {
        Action::IdentifyVisitor => &["traits"],
        Action::TrackEvent => &["event", "properties"],
    };
    let known = |field: &str| field == ROOT_DIRECTIVE || own.contains(&field) || SHARED_FIELDS.contains(&field);
    let mut problems: Vec<FieldProblem> = written
        .keys()
        .filter(|field| !known(field))
        .map(|field| FieldProblem {
            path: format!("fields.{field}"),
            message: format!(
                "is no field of {action}; its fields are {}, {}",
                own.join(", "),
                SHARED_FIELDS.join(", ")
            ),
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
            if problems.is_empty() { Ok(Some(Fields { mapping, mapped })) } else { Err(problems) }
        }
        Err(found) => {
            problems.extend(found.into_iter().map(below_fields));
            Err(problems)
        }
    }
}

/// The fields of an action for an event: what the mapping gives, or the action's default where it says nothing.
pub fn map<'a>(
    action: Action,
    fields: Option<&'a Fields>,
    event: &'a Object<'_>,
) -> Result<MappedEvent<'a>, MappingProblem> {
    let mut rendered = match fields {
        Some(fields) => match fields.mapping.render(&Value::Event(event))?.opened() {
            Value::Object(rendered) => rendered,
            _ => Vec::new(),
        },
        None => Vec::new(),
    };
    // A field that is mapped to nothing is not there, and does not fall back to its default.
    let mut take = |key: &str| {
        let at = rendered.iter().position(|(name, _)| name == key);
        let is_mapped = fields.is_some_and(|fields| fields.mapped.iter().any(|mapped| mapped == key));
        match at {
            Some(at) => Some(rendered.swap_remove(at).1),
            None => is_mapped.then_some(Value::Undefined),
        }
    };
    let mut own = |key: &str| take(key).unwrap_or_else(|| event.get(key).map_or(Value::Undefined, Value::Raw));
    let action = match action {
        Action::IdentifyVisitor => {
            let traits = typed("Traits", "traits", Kind::Object, own("traits"))?;
            MappedAction::Identify { traits: traits.ok_or(MappingProblem::Missing { field: "Traits", key: "traits" })? }
        }
        Action::TrackEvent => {
            let missing = MappingProblem::Missing { field: "Event Name", key: "event" };
            let name = typed("Event Name", "event", Kind::String, own("event"))?.and_then(|name| name.as_text());
            let name = name.filter(|name| !name.trim().is_empty()).ok_or(missing)?;
            MappedAction::Track {
                name,
                properties: typed("Event Properties", "properties", Kind::Object, own("properties"))?,
            }
        }
    };
    let mut text = |field, key| -> Result<_, MappingProblem> {
        Ok(match take(key) {
            None => Given::Default,
            Some(value) => Given::Mapped(typed(field, key, Kind::String, value)?.and_then(|value| value.as_text())),
        })
    };
    Ok(MappedEvent {
        action,
        email: text("Email", "email")?,
        profile_id: text("Profile ID", "profile_id")?,
        ip: text("IP Address", "ip")?,
        message_id: text("Message ID", "message_id")?,
        sent_at: text("Sent At", "sent_at")?,
        context: match take("context") {
            None => Given::Default,
            Some(value) => Given::Mapped(typed("Context", "context", Kind::Object, value)?),
        },
    })
}

/// A value of a type; undefined and null are none.
fn typed<'a>(
    field: &'static str,
    key: &'static str,
    expected: Kind,
    value: Value<'a>,
) -> Result<Option<Value<'a>>, MappingProblem> {
    match value.kind() {
        None | Some(Kind::Null) => Ok(None),
        Some(kind) if kind == expected => Ok(Some(value)),
        Some(found) => Err(MappingProblem::WrongType { field, key, expected, found }),
    }
}
