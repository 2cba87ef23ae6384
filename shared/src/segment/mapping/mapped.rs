//! An event under a mapping → the fields of its action, each of its type.

use std::borrow::Cow;

use thiserror::Error;

use super::coerce;
use super::fields::{self, ActionField, CompiledFields};
use crate::json::{Kind, Object};
use crate::segment::value::Value;
use crate::segment::{Action, RenderError};

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

/// The fields of the actions.
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
    /// *Page View*.
    Page(Box<MappedPage<'a>>),
    /// *Identify Account*.
    Account(MappedAccount<'a>),
}

/// The fields of *Page View*, as <https://segment.com/docs/connections/spec/page/> names them.
#[derive(Debug, Clone)]
pub struct MappedPage<'a> {
    /// Page Name.
    pub name: Option<Cow<'a, str>>,
    /// The full URL.
    pub url: Option<Cow<'a, str>>,
    /// The URL's path.
    pub path: Option<Cow<'a, str>>,
    /// The page's title.
    pub title: Option<Cow<'a, str>>,
    /// The URL of the page before.
    pub referrer: Option<Cow<'a, str>>,
    /// The URL's query.
    pub search: Option<Cow<'a, str>>,
    /// Page Properties, an object.
    pub properties: Option<Value<'a>>,
}

/// The fields of *Identify Account*, as <https://segment.com/docs/connections/spec/group/> names them; at least one of the
/// first three is there.
#[derive(Debug, Clone)]
pub struct MappedAccount<'a> {
    /// Segment's id of the company.
    pub group_id: Option<Cow<'a, str>>,
    /// Its domain, or a URL of its site.
    pub domain: Option<Cow<'a, str>>,
    /// Its name.
    pub name: Option<Cow<'a, str>>,
    /// What is known of it, an object.
    pub traits: Option<Value<'a>>,
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
    /// Nothing says which company it is.
    #[error(
        "Group ID (`group_id`), Domain (`domain`) and Account Name (`name`) are missing, and the action requires one"
    )]
    NoAccount,
    /// A field has another type than the action's, and cannot be coerced to it.
    #[error("{field} (`{key}`) must be {expected}, not {found}")]
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

/// The fields of an action for an event: what the mapping gives, or the action's default where it says nothing.
pub fn map<'a>(
    action: Action,
    mapping: Option<&'a CompiledFields>,
    event: &'a Object<'_>,
) -> Result<MappedEvent<'a>, MappingProblem> {
    let mut fields = Rendered::of(mapping, event)?;
    let action = match action {
        Action::IdentifyVisitor => {
            let traits = fields.object(fields::TRAITS, &[&["traits"]])?;
            // An alias, or an identify that names no traits, says which ids are one person's, and nothing else.
            let says_ids_alone = matches!(event.get_str("type").as_deref(), Some("alias" | "identify"));
            let none = || (says_ids_alone && event.get("traits").is_none()).then(|| Value::Object(Vec::new()));
            MappedAction::Identify { traits: traits.or_else(none).ok_or_else(|| missing(fields::TRAITS))? }
        }
        Action::TrackEvent => {
            let name = fields.text(fields::EVENT, &[&["event"]])?;
            let name = name.filter(|name| !name.trim().is_empty()).ok_or_else(|| missing(fields::EVENT))?;
            MappedAction::Track { name, properties: fields.object(fields::PROPERTIES, &[&["properties"]])? }
        }
        Action::PageView => MappedAction::Page(Box::new(page(&mut fields)?)),
        Action::IdentifyAccount => MappedAction::Account(account(&mut fields)?),
    };
    Ok(MappedEvent {
        action,
        email: fields.given(fields::EMAIL)?,
        profile_id: fields.given(fields::PROFILE_ID)?,
        ip: fields.given(fields::IP)?,
        message_id: fields.given(fields::MESSAGE_ID)?,
        sent_at: fields.given(fields::SENT_AT)?,
        context: match fields.take(fields::CONTEXT) {
            None => Given::Default,
            Some(value) => Given::Mapped(as_object(fields::CONTEXT, value)?),
        },
    })
}

/// analytics.js says the same of a page in the properties and in the context; a server says it in either.
fn page<'a>(fields: &mut Rendered<'a, '_>) -> Result<MappedPage<'a>, MappingProblem> {
    let mut of_page =
        |field: ActionField| fields.text(field, &[&["properties", field.key], &["context", "page", field.key]]);
    let (url, path, title) = (of_page(fields::URL)?, of_page(fields::PATH)?, of_page(fields::TITLE)?);
    let (referrer, search) = (of_page(fields::REFERRER)?, of_page(fields::SEARCH)?);
    Ok(MappedPage {
        name: fields.text(fields::PAGE_NAME, &[&["name"], &["properties", "name"]])?,
        url,
        path,
        title,
        referrer,
        search,
        properties: fields.object(fields::PAGE_PROPERTIES, &[&["properties"]])?,
    })
}

fn account<'a>(fields: &mut Rendered<'a, '_>) -> Result<MappedAccount<'a>, MappingProblem> {
    let account = MappedAccount {
        group_id: fields.text(fields::GROUP_ID, &[&["groupId"]])?,
        domain: fields.text(fields::DOMAIN, &[&["traits", "domain"], &["traits", "website"]])?,
        name: fields.text(fields::ACCOUNT_NAME, &[&["traits", "name"]])?,
        traits: fields.object(fields::TRAITS, &[&["traits"]])?,
    };
    let says = |field: &Option<Cow<'_, str>>| field.as_ref().is_some_and(|text| !text.trim().is_empty());
    let is_named = says(&account.group_id) || says(&account.domain) || says(&account.name);
    if is_named { Ok(account) } else { Err(MappingProblem::NoAccount) }
}

/// What a mapping gives for an event.
struct Rendered<'a, 'e> {
    event: &'a Object<'e>,
    mapping: Option<&'a CompiledFields>,
    values: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a, 'e> Rendered<'a, 'e> {
    fn of(mapping: Option<&'a CompiledFields>, event: &'a Object<'e>) -> Result<Self, MappingProblem> {
        let values = match mapping {
            Some(fields) => match fields.mapping.render(&Value::Event(event))?.opened() {
                Value::Object(rendered) => rendered,
                _ => Vec::new(),
            },
            None => Vec::new(),
        };
        Ok(Self { event, mapping, values })
    }

    /// What the mapping gives for a field; nothing where it does not speak of it. A field that is mapped to nothing is not
    /// there, and does not fall back to its default.
    fn take(&mut self, field: ActionField) -> Option<Value<'a>> {
        let is_mapped = || self.mapping.is_some_and(|fields| fields.mapped.iter().any(|mapped| mapped == field.key));
        match self.values.iter().position(|(name, _)| name == field.key) {
            Some(at) => Some(self.values.swap_remove(at).1),
            None => is_mapped().then_some(Value::Undefined),
        }
    }

    /// A field's value: the mapping's, or what the event has at the first of the paths where there is something.
    fn value(&mut self, field: ActionField, default: &[&[&str]]) -> Value<'a> {
        let event = self.event;
        self.take(field)
            .unwrap_or_else(|| default.iter().find_map(|path| at(event, path)).map_or(Value::Undefined, |value| value))
    }

    fn text(&mut self, field: ActionField, default: &[&[&str]]) -> Result<Option<Cow<'a, str>>, MappingProblem> {
        let value = self.value(field, default);
        as_text(field, value)
    }

    fn object(&mut self, field: ActionField, default: &[&[&str]]) -> Result<Option<Value<'a>>, MappingProblem> {
        let value = self.value(field, default);
        as_object(field, value)
    }

    fn given(&mut self, field: ActionField) -> Result<Given<Cow<'a, str>>, MappingProblem> {
        Ok(match self.take(field) {
            None => Given::Default,
            Some(value) => Given::Mapped(as_text(field, value)?),
        })
    }
}

/// What an event has at a path of keys, where it is not null.
fn at<'a>(event: &'a Object<'_>, path: &[&str]) -> Option<Value<'a>> {
    let (last, above) = path.split_last()?;
    let object = above.iter().try_fold(event, |object, key| object.get_object(key))?;
    object.get_present(last).map(Value::Raw)
}

fn as_text(field: ActionField, value: Value<'_>) -> Result<Option<Cow<'_, str>>, MappingProblem> {
    coerce::text(value).map_err(|found| wrong_type(field, found))
}

fn as_object(field: ActionField, value: Value<'_>) -> Result<Option<Value<'_>>, MappingProblem> {
    coerce::object(value).map_err(|found| wrong_type(field, found))
}

fn wrong_type(field: ActionField, found: Kind) -> MappingProblem {
    MappingProblem::WrongType { field: field.label, key: field.key, expected: field.kind, found }
}

fn missing(field: ActionField) -> MappingProblem {
    MappingProblem::Missing { field: field.label, key: field.key }
}
