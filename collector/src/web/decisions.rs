//! What people decide of ids, by the API: that one is somebody else's, that one is nobody's, that one is another's.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use koala_destination::ids::{Id, IdKind};
use serde::Deserialize;
use serde_json::json;

use super::access::Caller;
use super::api_error::ApiError;
use super::state::Web;
use crate::store::decision::{Decision, Undone};
use crate::store::visitor::VisitorId;

/// An id as a request writes it: `{"kind":"email","value":"ada@acme.com"}`, or `["email","ada@acme.com"]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenId {
    Named { kind: String, value: String },
    Pair(String, String),
}

impl WrittenId {
    fn read(&self) -> Result<Id, ApiError> {
        let (Self::Named { kind, value } | Self::Pair(kind, value)) = self;
        read_id(kind, value).ok_or_else(|| {
            ApiError::BadRequest("an id is a kind (user, email or device) and a value of that kind".to_owned())
        })
    }
}

/// The id of a kind as the API or a form names it.
pub fn read_id(kind: &str, value: &str) -> Option<Id> {
    let kind = match kind {
        "user_id" => IdKind::User,
        "anonymous_id" | "profile_id" => IdKind::Device,
        kind => IdKind::of(kind)?,
    };
    // As it is kept, where it is kept; else as it would be.
    Id::parse(kind, value)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Of {
    Id { id: WrittenId },
    Plain(WrittenId),
}

impl Of {
    fn read(&self) -> Result<Id, ApiError> {
        let (Self::Id { id } | Self::Plain(id)) = self;
        id.read()
    }
}

#[derive(Deserialize)]
pub struct Attach {
    id: WrittenId,
    to: WrittenId,
}

/// A body that was read, or why not. Only as JSON, which a page of another origin cannot send without being asked about first.
type Body<T> = Result<axum::Json<T>, JsonRejection>;

fn read<T>(body: Body<T>) -> Result<T, ApiError> {
    body.map(|axum::Json(body)| body).map_err(|error| ApiError::BadRequest(error.body_text()))
}

/// `POST /api/identities/split`: the id, and with it all that is its own, is somebody else's.
pub async fn split(
    State(web): State<Web>,
    Extension(caller): Extension<Caller>,
    body: Body<serde_json::Value>,
) -> Result<Response, ApiError> {
    decided(&web, caller, Decision::Detach { id: one(body)? }).await
}

/// `POST /api/identities/block`: the id is nobody's. What was filed under it stays there, and nothing joins by it.
pub async fn block(
    State(web): State<Web>,
    Extension(caller): Extension<Caller>,
    body: Body<serde_json::Value>,
) -> Result<Response, ApiError> {
    decided(&web, caller, Decision::Block { id: one(body)? }).await
}

/// `POST /api/identities/attach`: the id, and with it all that is its own, is of whom the other one is.
pub async fn attach(
    State(web): State<Web>,
    Extension(caller): Extension<Caller>,
    body: Body<Attach>,
) -> Result<Response, ApiError> {
    let Attach { id, to } = read(body)?;
    decided(&web, caller, Decision::Attach { id: id.read()?, to: to.read()? }).await
}

fn one(body: Body<serde_json::Value>) -> Result<Id, ApiError> {
    let form = |_| ApiError::BadRequest("the body is {\"kind\":\"user\"|\"email\"|\"device\",\"value\":…}".to_owned());
    serde_json::from_value::<Of>(read(body)?).map_err(form)?.read()
}

async fn decided(web: &Web, caller: Caller, decision: Decision) -> Result<Response, ApiError> {
    let visitor_id: VisitorId =
        web.store.decide_by(&decision, caller.actor()).await?.map_err(|undone| match undone {
            Undone::Unknown => ApiError::NoSuchIdentity,
            Undone::Refused(refused) => ApiError::Refused(refused),
        })?;
    let id = decision.id();
    Ok(axum::Json(json!({"kind": id.kind().name(), "value": id.value(), "visitor_id": visitor_id})).into_response())
}
