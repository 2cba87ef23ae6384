//! Signing in: a token for a cookie, which ends after a while, and signing out.

use axum::Form;
use axum::extract::{Extension, State};
use axum::http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::layout;
use crate::web::access::{Access, ClientAddress};
use crate::web::destination::Destination;
use crate::web::origin;

/// What the form sends.
#[derive(Deserialize)]
pub struct SignIn {
    token: SecretString,
    #[serde(default)]
    next: String,
}

/// Where the browser goes then.
#[derive(Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// `GET /sign-in`
pub async fn form(
    State(access): State<Access>,
    headers: HeaderMap,
    axum::extract::Query(Next { next }): axum::extract::Query<Next>,
) -> Response {
    asked(&access, &headers, &Destination::parse(&next))
}

/// `POST /sign-in`. From the form alone: another site's page could sign a browser in as somebody else.
pub async fn sign_in(
    State(access): State<Access>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    Form(SignIn { token, next }): Form<SignIn>,
) -> Response {
    let next = Destination::parse(&next);
    let address = address.map(|Extension(ClientAddress(address))| address);
    if let Err(wait) = access.throttle().begin(address) {
        let seconds = wait.as_secs().max(1);
        let words = format!("Too many attempts. Try again in {seconds} s.");
        let form = form_of(&access, &headers, &next, Some(&words));
        return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds.to_string())], form).into_response();
    }
    let Some(cookie) = access.sign_in(token.expose_secret().trim(), &headers) else {
        tracing::warn!("a sign-in to the page was refused: no token of the parameter page-token");
        let form = form_of(&access, &headers, &next, Some("Invalid token."));
        return (StatusCode::UNAUTHORIZED, form).into_response();
    };
    access.throttle().succeeded(address);
    (StatusCode::SEE_OTHER, [(SET_COOKIE, cookie)], [(LOCATION, next.header())]).into_response()
}

/// `POST /sign-out`
pub async fn sign_out(State(access): State<Access>, headers: HeaderMap) -> Response {
    (StatusCode::SEE_OTHER, [(SET_COOKIE, access.sign_out(&headers))], [(LOCATION, "/sign-in")]).into_response()
}

/// The form, in place of a page that asks for a token.
pub fn asked(access: &Access, headers: &HeaderMap, next: &Destination) -> Response {
    form_of(access, headers, next, None).into_response()
}

/// Why there is no page here.
pub fn refused(title: &str, words: &str) -> Response {
    Html(layout::bare(title, &html! { p { (words) } }).into_string()).into_response()
}

fn form_of(access: &Access, headers: &HeaderMap, next: &Destination, error: Option<&str>) -> Html<String> {
    let markup = if !access.asks_for_token() {
        html! { p { "No token is set here." } }
    } else if access.can_sign_in() {
        fields(access, headers, next, error)
    } else {
        html! {
            p role="alert" {
                "Sign-in is not possible: the parameter " code { "session-key" } " of the collector is not set. "
                code { "openssl rand -hex 32" } " prints one."
            }
        }
    };
    Html(layout::bare("Sign in", &markup).into_string())
}

fn fields(access: &Access, headers: &HeaderMap, next: &Destination, error: Option<&str>) -> Markup {
    let is_open_on_the_way = !access.is_https(headers) && !origin::names_this_machine(headers);
    html! {
        @if is_open_on_the_way {
            p.bad role="alert" {
                "This page was loaded over plain HTTP: the token can be read on the network. Put a proxy with HTTPS in front of it."
            }
        }
        form.sign-in method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next.as_str());
            label for="token" { "Token" }
            input #token type="password" name="token" autocomplete="current-password" required autofocus
                aria-describedby=(if error.is_some() { "error hint" } else { "hint" }) aria-invalid=[error.map(|_| "true")];
            @if let Some(error) = error { p #error .bad role="alert" { (error) } }
            p #hint .soft { "A line of the collector's parameter " code { "page-token" } ", or what " code { "--token" } " says." }
            button { "Sign in" }
        }
    }
}
