//! Who may see the page and the API, through the router of a function behind HTTPS and of a set on plain HTTP.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use koala_collector::settings::CollectorSettings;
use koala_collector::web::{Access, ClientAddress};
use koala_destination::settings::Parameter;

use crate::site::{Site, body};

const TOKEN: &str = "the-first-token-0123456789-abcdefgh";
const OTHER: &str = "the-other-token-0123456789-abcdefgh";
const KEY: &str = "the-first-key-0123456789-abcdefghijk";
const OTHER_KEY: &str = "the-other-key-0123456789-abcdefghijk";

fn settings(parameters: &[(&str, &str)]) -> CollectorSettings {
    let parameter = |(name, value): &(&str, &str)| Parameter::new(*name, *value);
    CollectorSettings::read(&parameters.iter().map(parameter).collect::<Vec<_>>())
}

/// A function's access with these parameters, and a site that it opens.
fn function(parameters: &[(&str, &str)]) -> (Access, Site) {
    let access = Access::of_function();
    access.follow(&settings(parameters));
    (access.clone(), Site::with_access(access))
}

const BOTH: [(&str, &str); 2] = [("page-token", TOKEN), ("session-key", KEY)];

fn form(token: &str, next: &str) -> Body {
    let mut form = form_urlencoded::Serializer::new(String::new());
    Body::from(form.append_pair("token", token).append_pair("next", next).finish())
}

/// What the form of our own page sends.
fn sign_in() -> Builder {
    Request::post("/sign-in")
        .header("host", "koala.example")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

/// The cookie of an answer, as a browser sends it back.
fn cookie(answer: &Response) -> String {
    header(answer.headers(), "set-cookie").split(';').next().unwrap().to_owned()
}

async fn signed_in(site: &Site, token: &str) -> String {
    let answer = site.ask(sign_in().body(form(token, "/")).unwrap()).await;
    assert_eq!(answer.status(), 303);
    cookie(&answer)
}

async fn status_with(site: &Site, cookie: &str) -> u16 {
    let request = Request::get("/visitors").header("host", "koala.example").header("cookie", cookie);
    site.ask(request.body(Body::empty()).unwrap()).await.status().as_u16()
}

#[tokio::test]
async fn a_token_is_exchanged_for_a_cookie_that_only_this_host_can_set_and_no_script_can_read() {
    let (_, site) = function(&BOTH);
    let answer = site.ask(sign_in().body(form(TOKEN, "/visitors?q=ada")).unwrap()).await;
    assert_eq!((answer.status().as_u16(), header(answer.headers(), "location")), (303, "/visitors?q=ada"));
    let set = header(answer.headers(), "set-cookie");
    let mut attributes: Vec<&str> = set.split("; ").skip(1).collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Lax", "Secure"], "{set}");
    assert!(set.starts_with("__Host-koala_session=") && !set.contains(TOKEN), "{set}");
    assert_eq!(status_with(&site, &cookie(&answer)).await, 200);
    // The same without the prefix may be another host's.
    assert_eq!(status_with(&site, cookie(&answer).trim_start_matches("__Host-")).await, 401);
}

#[tokio::test]
async fn on_plain_http_the_cookie_has_no_prefix_and_the_form_warns_unless_it_is_this_machine_s() {
    let access = Access::of_set(Ipv4Addr::UNSPECIFIED.into());
    access.follow(&settings(&BOTH));
    let site = Site::with_access(access);
    let answer = site.ask(sign_in().body(form(TOKEN, "/")).unwrap()).await;
    let set = header(answer.headers(), "set-cookie");
    assert!(set.starts_with("koala_session=") && !set.contains("Secure"), "{set}");
    assert_eq!(status_with(&site, &cookie(&answer)).await, 200);
    // Behind a proxy with HTTPS it has.
    let answer = site.ask(sign_in().header("x-forwarded-proto", "https").body(form(TOKEN, "/")).unwrap()).await;
    assert!(header(answer.headers(), "set-cookie").starts_with("__Host-koala_session="));
    for (host, proto, warns) in
        [("koala.example", "http", true), ("koala.example", "https", false), ("localhost:8787", "http", false)]
    {
        let request = Request::get("/sign-in").header("host", host).header("x-forwarded-proto", proto);
        let html = body(site.ask(request.body(Body::empty()).unwrap()).await).await;
        assert_eq!(html.contains("plain HTTP"), warns, "{host} {proto}");
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_shown_but_the_form() {
    let (_, site) = function(&BOTH);
    site.says(|said| {
        said.problems = vec![koala_collector::web::SettingsProblem { parameter: "p".into(), message: "is-bad".into() }];
    });
    for path in
        ["/", "/visitors?q=%22%3E%3Cscript%3E", "/companies/acme.example", "/live", "/assets/live.js", "/nowhere"]
    {
        let answer = site.ask(Request::get(path).body(Body::empty()).unwrap()).await;
        if path == "/nowhere" && answer.status() == 404 {
            continue;
        }
        assert_eq!(answer.status(), 401, "{path}");
        assert_eq!(header(answer.headers(), "www-authenticate"), "Bearer realm=\"koala\"", "{path}");
        let html = body(answer).await;
        assert!(html.contains("<h1>Sign in</h1>") && !html.contains("<script") && !html.contains("is-bad"), "{html}");
        assert!(!html.contains("<nav"), "{html}");
    }
    for path in ["/sign-in", "/assets/style.css"] {
        assert_eq!(site.ask(Request::get(path).body(Body::empty()).unwrap()).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn programs_are_refused_in_json_and_admitted_by_the_header() {
    let (_, site) = function(&BOTH);
    let get = |authorization: &'static str| {
        let request = Request::get("/api/visitors").header("authorization", authorization);
        site.ask(request.body(Body::empty()).unwrap())
    };
    let answer = get("Bearer the-first-token-0123456789-abcdefgx").await;
    assert_eq!(
        (answer.status().as_u16(), header(answer.headers(), "www-authenticate")),
        (401, "Bearer realm=\"koala\"")
    );
    let refused: serde_json::Value = serde_json::from_str(&body(answer).await).unwrap();
    assert_eq!(refused["error"]["code"], "unauthorized");
    assert!(refused["error"]["message"].as_str().unwrap().contains("page-token"), "{refused}");
    assert_eq!(get("Bearer the-first-token-0123456789-abcdefgh").await.status(), 200);
    assert_eq!(get("bearer  the-first-token-0123456789-abcdefgh").await.status(), 200);
    assert_eq!(get("Basic the-first-token-0123456789-abcdefgh").await.status(), 401);
}

#[tokio::test]
async fn no_token_in_an_address_opens_anything() {
    let (_, site) = function(&BOTH);
    for path in [format!("/?token={TOKEN}"), format!("/api/visitors?token={TOKEN}"), format!("/sign-in?token={TOKEN}")]
    {
        let answer = site.ask(Request::get(&path).body(Body::empty()).unwrap()).await;
        assert!(!answer.headers().contains_key("set-cookie"), "{path}");
        assert_ne!(answer.status(), 303, "{path}");
        assert!(!body(answer).await.contains(TOKEN), "{path}");
    }
}

#[tokio::test]
async fn a_token_that_is_removed_ends_its_sessions_and_the_others_go_on() {
    let two = format!("{TOKEN}\n{OTHER}\n");
    let (access, site) = function(&[("page-token", &two), ("session-key", KEY)]);
    let [first, other] = [signed_in(&site, TOKEN).await, signed_in(&site, OTHER).await];
    assert_eq!([status_with(&site, &first).await, status_with(&site, &other).await], [200, 200]);
    access.follow(&settings(&[("page-token", OTHER), ("session-key", KEY)]));
    assert_eq!([status_with(&site, &first).await, status_with(&site, &other).await], [401, 200]);
    // One that cannot be used closes and opens nothing.
    access.follow(&settings(&[("page-token", "short"), ("session-key", "short")]));
    assert_eq!([status_with(&site, &first).await, status_with(&site, &other).await], [401, 200]);
    access.follow(&settings(&[("session-key", KEY)]));
    assert_eq!([status_with(&site, &first).await, status_with(&site, &other).await], [403, 403]);
}

#[tokio::test]
async fn a_key_is_rotated_without_a_gap_and_one_that_is_removed_ends_its_sessions() {
    let (access, site) = function(&BOTH);
    let session = signed_in(&site, TOKEN).await;
    access.follow(&settings(&[("page-token", TOKEN), ("session-key", &format!("{OTHER_KEY}\n{KEY}"))]));
    assert_eq!(status_with(&site, &session).await, 200);
    access.follow(&settings(&[("page-token", TOKEN), ("session-key", OTHER_KEY)]));
    assert_eq!(status_with(&site, &session).await, 401);
    // Without a key nobody signs in, and the form says so; programs go on.
    access.follow(&settings(&[("page-token", TOKEN)]));
    let answer = site.ask(Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), 401);
    assert!(body(answer).await.contains("session-key"));
    assert_eq!(site.ask(sign_in().body(form(TOKEN, "/")).unwrap()).await.status(), 401);
    let bearer = Request::get("/api/visitors").header("authorization", format!("Bearer {TOKEN}"));
    assert_eq!(site.ask(bearer.body(Body::empty()).unwrap()).await.status(), 200);
}

#[tokio::test]
async fn a_session_with_a_byte_changed_or_of_another_installation_opens_nothing() {
    let (_, site) = function(&BOTH);
    let session = signed_in(&site, TOKEN).await;
    let value_at = session.find('=').unwrap() + 1;
    for at in value_at..session.len() {
        let mut bytes = session.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(status_with(&site, &String::from_utf8(bytes).unwrap()).await, 401, "{at}");
    }
    let (_, another) = function(&[("page-token", TOKEN), ("session-key", OTHER_KEY)]);
    assert_eq!(status_with(&another, &session).await, 401);
    assert_eq!(status_with(&site, "__Host-koala_session=").await, 401);
    // The token itself is no session.
    assert_eq!(status_with(&site, &format!("__Host-koala_session={TOKEN}")).await, 401);
    assert_eq!(status_with(&site, &format!("koala_token={TOKEN}")).await, 401);
}

#[tokio::test]
async fn nobody_is_signed_in_or_out_by_another_site_or_by_what_says_nothing_of_itself() {
    let (_, site) = function(&BOTH);
    for path in ["/sign-in", "/sign-out"] {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("x-nothing", ""),
        ] {
            let request = Request::post(path).header("host", "koala.example").header(name, value);
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            let answer = site.ask(request.body(form(TOKEN, "/")).unwrap()).await;
            assert_eq!(answer.status(), 403, "{path} {name}: {value}");
            assert!(!answer.headers().contains_key("set-cookie"), "{path} {name}: {value}");
        }
    }
    // An older browser says where the form is from by `Origin`.
    let request = Request::post("/sign-in").header("host", "koala.example").header("origin", "https://koala.example");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(site.ask(request.body(form(TOKEN, "/")).unwrap()).await.status(), 303);
}

#[tokio::test]
async fn who_has_signed_in_is_led_to_a_page_of_ours_whatever_the_form_says() {
    let (_, site) = function(&BOTH);
    for (next, location) in [
        ("/companies/acme.example", "/companies/acme.example"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ] {
        let answer = site.ask(sign_in().body(form(TOKEN, next)).unwrap()).await;
        assert_eq!((answer.status().as_u16(), header(answer.headers(), "location")), (303, location), "{next:?}");
        assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 1, "{next:?}");
    }
    let asked = Request::get("/sign-in?next=%22%3E%3Cimg%20src%3Dx%3E").body(Body::empty()).unwrap();
    assert!(!body(site.ask(asked).await).await.contains("<img"));
}

#[tokio::test]
async fn an_address_that_has_failed_ten_times_waits_and_the_others_do_not() {
    let (_, site) = function(&BOTH);
    let try_from = async |address: [u8; 4], token: &str| {
        let mut request = sign_in().body(form(token, "/")).unwrap();
        request.extensions_mut().insert(ClientAddress(IpAddr::from(address)));
        site.ask(request).await
    };
    for _ in 0..10 {
        assert_eq!(try_from([203, 0, 113, 7], "no-token").await.status(), 401);
    }
    let answer = try_from([203, 0, 113, 7], TOKEN).await;
    assert_eq!(answer.status(), 429);
    let seconds: u64 = header(answer.headers(), "retry-after").parse().unwrap();
    assert!((1..=300).contains(&seconds), "{seconds}");
    assert!(!answer.headers().contains_key("set-cookie"));
    assert_eq!(try_from([203, 0, 113, 8], TOKEN).await.status(), 303);
}

#[tokio::test]
async fn who_signs_out_has_no_cookie_any_more_and_only_who_is_signed_in_can() {
    let (_, site) = function(&BOTH);
    let session = signed_in(&site, TOKEN).await;
    let page = async |name: &'static str, value: String| {
        let request = Request::get("/visitors").header("host", "koala.example").header(name, value);
        body(site.ask(request.body(Body::empty()).unwrap()).await).await
    };
    assert!(page("cookie", session.clone()).await.contains("action=\"/sign-out\""));
    assert!(!page("authorization", format!("Bearer {TOKEN}")).await.contains("/sign-out"));
    let request = Request::post("/sign-out").header("sec-fetch-site", "same-origin").header("cookie", session);
    let answer = site.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status().as_u16(), header(answer.headers(), "location")), (303, "/sign-in"));
    let set = header(answer.headers(), "set-cookie");
    assert!(set.starts_with("__Host-koala_session=; ") && set.contains("Path=/; Max-Age=0"), "{set}");
}

#[tokio::test]
async fn tokens_of_the_command_line_are_not_replaced_by_the_parameter() {
    let tokens = koala_collector::credentials::PageTokens::parse(OTHER).unwrap();
    let keys = koala_collector::credentials::SessionKeys::parse(OTHER_KEY).unwrap();
    let access = Access::of_set(Ipv4Addr::LOCALHOST.into()).with_session_keys(keys).with_tokens(tokens);
    access.follow(&settings(&[("page-token", TOKEN)]));
    let site = Site::with_access(access);
    assert_eq!(site.ask(sign_in().body(form(TOKEN, "/")).unwrap()).await.status(), 401);
    let session = signed_in(&site, OTHER).await;
    assert_eq!(status_with(&site, &session).await, 200);
}

#[tokio::test]
async fn a_form_that_is_too_long_is_not_read() {
    let (_, site) = function(&BOTH);
    let answer = site.ask(sign_in().body(form(&"a".repeat(20_000), "/")).unwrap()).await;
    assert_eq!(answer.status(), 413);
}
