//! Companies behind addresses: a guess about visitors of whom nothing else is known, from the request to the ranking.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "helpers/place.rs"]
mod place;
#[path = "helpers/postgres.rs"]
mod postgres_server;

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::get;
use koala_collector::intent::IntentRule;
use koala_collector::networks::{NetworkOptions, Networks};
use koala_collector::protocol::keys::{Keys, KeysUnavailable};
use koala_collector::protocol::routes;
use koala_collector::store::Store;
use koala_collector::store::company::{Company, CompanySource};
use koala_collector::store::filter::{CompanyFilter, Filter};
use koala_destination::clock;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

use self::place::{Place, on_each_engine};

on_each_engine! {
    three_anonymous_visitors_get_the_right_label_or_none_and_no_address_is_kept,
    a_guess_goes_when_the_person_says_who_they_are_and_ranks_below_what_is_said,
    a_guess_beside_what_is_said_never_renames_the_company_and_counts_half,
}

struct AnyKey;

#[async_trait]
impl Keys for AnyKey {
    async fn knows(&self, _: &str) -> Result<bool, KeysUnavailable> {
        Ok(true)
    }
}

struct Collector {
    store: Arc<dyn Store>,
    networks: Arc<Networks>,
    _until_the_end: Place,
}

impl Collector {
    async fn new(place: Place) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/networks/ranges.mmdb");
        Self::asking(place, NetworkOptions::of(file)).await
    }

    async fn asking(place: Place, networks: NetworkOptions) -> Self {
        let store: Arc<dyn Store> = place.open().await;
        let rule = r#"{"trigger":"type = \"track\"","score":8}"#;
        let rule = IntentRule::parse("any", rule).unwrap().unwrap();
        store.follow_intent_rules(&[rule]).await.unwrap();
        let networks = Arc::new(Networks::open(networks).unwrap());
        Self { store, networks, _until_the_end: place }
    }

    async fn send(&self, body: &Value) {
        let router =
            routes::router_with(Arc::clone(&self.store), Arc::new(AnyKey), false, Some(Arc::clone(&self.networks)));
        let request = Request::post("/web/projects/pk/batch").header("user-agent", "test");
        let answer = router.oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    async fn companies(&self) -> Vec<Company> {
        self.store.list_companies(CompanyFilter::default(), 0, 100).await.unwrap().0
    }

    /// Each company with its points and by what its visitors are of it.
    async fn ranked(&self) -> Vec<(String, f64, CompanySource)> {
        self.companies().await.into_iter().map(|it| (it.key, it.intent, it.company_source)).collect()
    }
}

fn event(ids: Value, id: &str, address: &str) -> Value {
    let mut body = ids;
    body["events"] = json!([{"type": "track", "event": "Looks", "message_id": id, "sent_at": clock::now(),
                             "context": {"ip": address}}]);
    body
}

async fn three_anonymous_visitors_get_the_right_label_or_none_and_no_address_is_kept(place: Place) {
    let collector = Collector::new(place).await;
    for (device, address) in
        [("d-1", "192.0.2.1"), ("d-2", "198.51.100.7"), ("d-3", "203.0.113.7"), ("d-4", "192.0.2.65")]
    {
        collector.send(&event(json!({"anonymous_id": device}), device, address)).await;
    }
    // Half of a day's eight points each.
    let guess = |domain: &str| (domain.to_owned(), 4.0, CompanySource::Network);
    let mut ranked = collector.ranked().await;
    ranked.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    assert_eq!(ranked, [guess("difference.example"), guess("northwind.example")]);
    let (visitors, _) = collector.store.list_visitors(Filter::default(), 0, 10).await.unwrap();
    let of = |device: &str| {
        let visitor = visitors.iter().find(|it| it.anonymous_ids == [device]).unwrap();
        (visitor.account.as_deref(), visitor.company_source)
    };
    assert_eq!(of("d-1"), (Some("northwind.example"), Some(CompanySource::Network)));
    assert_eq!((of("d-2"), of("d-3")), ((None, None), (None, None)));
    let page = collector.store.show_company("northwind.example", 10).await.unwrap().unwrap();
    assert!((page.company.intent - 4.0).abs() < 1e-9 && page.company.name.is_none(), "{page:?}");
    let (_, timeline) = collector.store.show_visitor(&visitors[0].id, 10).await.unwrap().unwrap();
    assert!(!timeline[0].entry.get().contains("192.0.2"), "{}", timeline[0].entry);
    assert_eq!(json!(visitors[0])["company_source"].as_str(), Some("network"));
}

async fn a_guess_goes_when_the_person_says_who_they_are_and_ranks_below_what_is_said(place: Place) {
    let collector = Collector::new(place).await;
    collector.send(&event(json!({"anonymous_id": "d-1"}), "e-1", "192.0.2.1")).await;
    assert_eq!(collector.ranked().await, [("northwind.example".to_owned(), 4.0, CompanySource::Network)]);
    // An address of free mail says nothing of a company, and who the person is all the same.
    let known = json!({"anonymous_id": "d-1", "user_id": "u-1", "email": "ada@gmail.com"});
    collector.send(&event(known, "e-2", "192.0.2.1")).await;
    assert_eq!(collector.ranked().await, []);
    collector.send(&event(json!({"anonymous_id": "d-2", "email": "bob@acme.example"}), "e-3", "192.0.2.1")).await;
    assert_eq!(collector.ranked().await, [("acme.example".to_owned(), 8.0, CompanySource::Said)]);
}

async fn a_guess_beside_what_is_said_never_renames_the_company_and_counts_half(place: Place) {
    let collector = Collector::new(place).await;
    let company = json!({"name": "Northwind & Sons", "domain": "northwind.example"});
    let mut said = event(json!({"user_id": "u-1", "email": "ada@northwind.example"}), "e-1", "198.51.100.7");
    said["identifies"] =
        json!([{"type": "identify", "message_id": "i-1", "sent_at": clock::now(), "traits": {"company": company}}]);
    collector.send(&said).await;
    collector.send(&event(json!({"anonymous_id": "d-1"}), "e-2", "192.0.2.1")).await;
    let companies = collector.companies().await;
    assert_eq!(companies.len(), 1, "{companies:?}");
    assert_eq!(companies[0].name.as_deref(), Some("Northwind & Sons"));
    assert_eq!((companies[0].visitors, companies[0].company_source), (2, CompanySource::Said));
    assert!((companies[0].intent - 12.0).abs() < 1e-9, "{companies:?}");
}

/// What a vendor answers in place of a company.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Status(u16),
    Hangs,
    NotJson,
    Huge,
    Redirects,
}

/// A vendor's API on loopback: the documentation of `IPinfo` has the form of its answers (<https://ipinfo.io/developers/data-types>).
struct Vendor {
    url: String,
    fault: Arc<Mutex<Fault>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Vendor {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/{{ip}}?token=hunter2", listener.local_addr().unwrap());
        let vendor = Self { url, fault: Arc::new(Mutex::new(Fault::None)), asked: Arc::default() };
        let (fault, asked) = (Arc::clone(&vendor.fault), Arc::clone(&vendor.asked));
        let answer = move |axum::extract::Path(address): axum::extract::Path<String>| async move {
            asked.lock().unwrap().push(address.clone());
            let fault = *fault.lock().unwrap();
            let company = |name: &str, domain: &str, kind: &str| {
                json!({"ip": address, "company": {"name": name, "domain": domain, "type": kind}}).to_string()
            };
            let body = match address.as_str() {
                "8.8.4.4" => company("Northwind Traders", "www.northwind.example", "business"),
                "1.1.1.1" => company("Home Fibre", "fibre.example", "isp"),
                "9.9.9.9" => company("Cloud of Clouds", "clouds.example", "hosting"),
                _ => json!({"ip": address, "bogon": true}).to_string(),
            };
            match fault {
                Fault::None => (StatusCode::OK, HeaderMap::new(), body),
                Fault::Status(status) => (StatusCode::from_u16(status).unwrap(), HeaderMap::new(), body),
                Fault::NotJson => (StatusCode::OK, HeaderMap::new(), "<html>".to_owned()),
                Fault::Huge => (StatusCode::OK, HeaderMap::new(), format!("{}{body}", " ".repeat(1 << 20))),
                Fault::Redirects => {
                    let to = HeaderMap::from_iter([(LOCATION, "/v1/8.8.4.4".parse().unwrap())]);
                    (StatusCode::FOUND, to, String::new())
                }
                Fault::Hangs => std::future::pending().await,
            }
        };
        let router = Router::new().route("/v1/{address}", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        vendor
    }

    fn options(&self, per_minute: &str) -> NetworkOptions {
        let set = |name: &str| match name {
            "IP_LOOKUP_URL" => Some(self.url.clone()),
            "IP_LOOKUP_PER_MINUTE" => Some(per_minute.to_owned()),
            _ => None,
        };
        koala_destination::environment::read(set, NetworkOptions::read).unwrap().unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn look(device: &str, message: &str, address: &str) -> Value {
    event(json!({"anonymous_id": device}), message, address)
}

#[tokio::test]
async fn a_vendor_s_api_is_asked_once_a_day_for_each_network_and_never_of_private_ones() {
    let vendor = Vendor::start().await;
    let collector = Collector::asking(Place::file(), vendor.options("60")).await;
    for (device, address) in [("d-1", "8.8.4.4"), ("d-2", "1.1.1.1"), ("d-3", "9.9.9.9"), ("d-4", "8.8.8.8")] {
        for again in 0..2 {
            collector.send(&look(device, &format!("{device}-{again}"), address)).await;
        }
    }
    for (device, address) in [("d-5", "127.0.0.1"), ("d-6", "169.254.169.254"), ("d-7", "10.0.0.1"), ("d-8", "::1")] {
        collector.send(&look(device, device, address)).await;
    }
    assert_eq!(vendor.asked(), ["8.8.4.4", "1.1.1.1", "9.9.9.9", "8.8.8.8"]);
    // Half of the eight points that a rule gives once a day.
    assert_eq!(collector.ranked().await, [("northwind.example".to_owned(), 4.0, CompanySource::Network)]);
}

#[tokio::test]
async fn an_api_that_is_asked_enough_is_left_alone_until_later() {
    let vendor = Vendor::start().await;
    let collector = Collector::asking(Place::file(), vendor.options("2")).await;
    for (number, address) in ["1.1.1.1", "9.9.9.9", "8.8.4.4"].into_iter().enumerate() {
        collector.send(&look(&format!("d-{number}"), &format!("e-{number}"), address)).await;
    }
    assert_eq!(vendor.asked(), ["1.1.1.1", "9.9.9.9"]);
    assert_eq!(collector.ranked().await, []);
}

#[tokio::test]
async fn an_outage_of_the_api_costs_nothing_but_the_guess() {
    for fault in [
        Fault::Status(500),
        Fault::Status(429),
        Fault::Status(401),
        Fault::Hangs,
        Fault::NotJson,
        Fault::Huge,
        Fault::Redirects,
    ] {
        let vendor = Vendor::start().await;
        *vendor.fault.lock().unwrap() = fault;
        let collector = Collector::asking(Place::file(), vendor.options("60")).await;
        // Every event is taken, and after the first one that failed the API is left alone.
        for number in 0..5 {
            collector.send(&look(&format!("d-{number}"), &format!("e-{number}"), "8.8.4.4")).await;
        }
        assert_eq!((vendor.asked().len(), collector.ranked().await.len()), (1, 0));
        let (visitors, _) = collector.store.list_visitors(Filter::default(), 0, 10).await.unwrap();
        assert_eq!(visitors.len(), 5);
    }
}
