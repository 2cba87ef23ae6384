//! Deletions of people by the API, as Koala documents it (`POST /api/v1/deletion-requests`, up to 50 addresses, and
//! `GET …/{id}` for how far it is), and by user ids as well.

use std::collections::BTreeSet;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use koala_destination::ids::{Id, IdKind};
use serde::Deserialize;
use serde_json::json;

use super::access::Caller;
use super::api_error::ApiError;
use super::state::Web;
use crate::store::deletion::{DeletionId, Person};

/// The most addresses of one request, as Koala has it, and the most user ids.
const MOST_IDS: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeletionRequest {
    #[serde(default)]
    emails: Vec<String>,
    #[serde(default)]
    user_ids: Vec<String>,
}

impl DeletionRequest {
    fn people(&self) -> Result<Vec<Person>, String> {
        for (name, ids) in [("emails", &self.emails), ("user_ids", &self.user_ids)] {
            if ids.len() > MOST_IDS {
                return Err(format!("{name}: {} of them, and {MOST_IDS} is the most", ids.len()));
            }
        }
        let mut people = Vec::new();
        for (at, email) in self.emails.iter().enumerate() {
            let id = Id::parse(IdKind::Email, email).ok_or_else(|| format!("emails[{at}] must be an email address"))?;
            // A role's address that is sent as a user id is one.
            people.extend(Id::parse(IdKind::User, id.value()).filter(|_| id.is_role_mailbox()).map(Person::Id));
            let other = other_spelling(id.value()).and_then(|other| Id::parse(IdKind::Email, &other));
            // Who took it for the id of a device as well, in these letters or as it is written here.
            let devices: BTreeSet<Id> =
                [email.as_str(), id.value()].into_iter().filter_map(|text| Id::parse(IdKind::Device, text)).collect();
            people.push(Person::Id(id));
            people.extend(other.map(Person::Id));
            people.extend(devices.into_iter().map(Person::Id));
        }
        for (at, user) in self.user_ids.iter().enumerate() {
            let id = Id::parse(IdKind::User, user).ok_or_else(|| format!("user_ids[{at}] is not a valid user id"))?;
            // A user id that is an address counts as that address.
            people.extend(Id::parse(IdKind::Email, user).filter(|email| !email.is_role_mailbox()).map(Person::Id));
            people.push(Person::Id(id));
        }
        if people.is_empty() { Err("emails or user_ids is required".to_owned()) } else { Ok(people) }
    }
}

/// `POST /api/v1/deletion-requests`. Only as JSON, which a page of another origin cannot send without being asked about first.
pub async fn request(
    State(web): State<Web>,
    Extension(caller): Extension<Caller>,
    body: Result<axum::Json<DeletionRequest>, JsonRejection>,
) -> Result<Response, ApiError> {
    let axum::Json(request) = body.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let people = request.people().map_err(ApiError::BadRequest)?;
    let id = web.store.request_deletion_by(&people, caller.actor()).await?;
    // Ids are never refused, known or not: who asks learns nothing by it.
    let id = id.ok_or_else(|| ApiError::BadRequest("emails or user_ids is required".to_owned()))?;
    Ok(axum::Json(json!({"deletion_request_id": id})).into_response())
}

/// `GET /api/v1/deletion-requests/{id}`
pub async fn show(State(web): State<Web>, Path(id): Path<DeletionId>) -> Result<Response, ApiError> {
    match web.store.deletion(&id).await? {
        Some(deletion) => Ok(axum::Json(deletion).into_response()),
        None => Err(ApiError::NoSuchDeletion(id)),
    }
}

/// The same mailbox with its domain in the other letters: `bücher.example` and `xn--bcher-kva.example` are one.
fn other_spelling(email: &str) -> Option<String> {
    let (mailbox, domain) = email.rsplit_once('@')?;
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let other = if ascii == domain { idna::domain_to_unicode(domain).0 } else { ascii };
    (other != domain).then(|| format!("{mailbox}@{other}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(body: &str) -> Result<Vec<(IdKind, String)>, String> {
        let request: DeletionRequest = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let id = |person| match person {
            Person::Id(id) => (id.kind(), id.value().to_owned()),
            Person::Visitor(_) => panic!("nobody asked for a visitor"),
        };
        Ok(request.people()?.into_iter().map(id).collect())
    }

    #[test]
    fn a_request_names_at_most_50_addresses_and_50_user_ids() {
        let many = |key: &str, count| {
            let ids: Vec<String> = (0..count).map(|n| format!("a{n}@acme.com")).collect();
            people(&json!({key: ids}).to_string())
        };
        assert_eq!(many("emails", 50).map(|people| people.len()), Ok(100), "each also as a device's");
        for key in ["emails", "user_ids"] {
            assert!(many(key, 51).is_err_and(|why| why.contains(key) && why.contains("50 is the most")));
        }
        for nobody in
            ["{}", r#"{"emails":[]}"#, r#"{"emails":["nobody"]}"#, r#"{"user_ids":["null"]}"#, r#"{"email":"a@b"}"#]
        {
            assert!(people(nobody).is_err(), "{nobody}");
        }
    }

    #[test]
    fn a_mailbox_is_asked_for_in_both_spellings_of_its_domain() {
        for (asked, other) in
            [("ada@bücher.example", "ada@xn--bcher-kva.example"), ("ada@xn--bcher-kva.example", "ada@bücher.example")]
        {
            let ids = people(&json!({"emails": [asked]}).to_string()).expect("people");
            let emails: Vec<_> =
                ids.iter().filter(|(kind, _)| *kind == IdKind::Email).map(|(_, id)| id.as_str()).collect();
            assert_eq!(emails, [asked, other]);
        }
        assert_eq!(other_spelling("ada@acme.com"), None);
    }

    #[test]
    fn a_user_id_that_is_an_address_is_that_address_as_well() {
        let ids = people(r#"{"user_ids":["Ada@Acme.com"]}"#).expect("people");
        assert_eq!(ids, [(IdKind::Email, "ada@acme.com".to_owned()), (IdKind::User, "Ada@Acme.com".to_owned())]);
        let ids = people(r#"{"emails":["Info@Acme.com"]}"#).expect("people");
        let as_asked = [
            (IdKind::User, "info@acme.com"),
            (IdKind::Email, "info@acme.com"),
            (IdKind::Device, "Info@Acme.com"),
            (IdKind::Device, "info@acme.com"),
        ];
        assert_eq!(ids, as_asked.map(|(kind, id)| (kind, id.to_owned())));
    }
}
