//! A page over a store in a folder of its own, and a pipeline that says what a test gives it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use koala_collector::exclude::Exclude;
use koala_collector::intent::IntentRule;
use koala_collector::protocol::keys::{Keys, KeysUnavailable};
use koala_collector::store::Store;
use koala_collector::store::deletion::{Departed, Forgotten, Retention};
use koala_collector::store::sqlite::SqliteStore;
use koala_collector::web::{
    Access, Install, Pipeline, PipelineError, Presentation, QueueCounts, RejectedEvent, RequestTally, SettingsProblem,
    StoredDeadLetter, Tallies, TestEvent, WebhookAddress,
};
use koala_collector::{CollectorOptions, Extras};
use koala_destination::koala::CollectorKind;
use koala_destination::preview::Preview;
use koala_destination::segment::{Function, Mapping};
use serde_json::Value;
use tower::ServiceExt;

pub const KEY: &str = "pk";

/// What the pipeline says.
#[derive(Debug, Clone)]
pub struct Said {
    pub counts: QueueCounts,
    pub received: RequestTally,
    pub tallies: Tallies,
    pub install: Install,
    pub rejected: Vec<RejectedEvent>,
    pub dead_letters: Vec<StoredDeadLetter>,
    pub problems: Vec<SettingsProblem>,
    pub mappings: Vec<Mapping>,
    pub test: TestEvent,
}

impl Default for Said {
    fn default() -> Self {
        let install = Install {
            webhook: WebhookAddress::Beside("/v1/segment"),
            public_api_key: "pk_…3f9a".to_owned(),
            credentials: vec!["webhook-secret"],
            delivers_to: None,
            received: Vec::new(),
        };
        Self {
            counts: QueueCounts::default(),
            received: RequestTally::default(),
            tallies: Tallies::new(),
            install,
            rejected: Vec::new(),
            dead_letters: Vec::new(),
            problems: Vec::new(),
            mappings: Mapping::presets(CollectorKind::Own).to_vec(),
            test: TestEvent::Accepted { message_id: "koala-test-1".to_owned() },
        }
    }
}

struct FakePipeline(Arc<Mutex<Said>>);

impl FakePipeline {
    fn said(&self) -> Said {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Pipeline for FakePipeline {
    async fn counts(&self) -> Result<QueueCounts, PipelineError> {
        Ok(self.said().counts)
    }

    async fn tallies(&self) -> Result<(RequestTally, Tallies), PipelineError> {
        Ok((self.said().received, self.said().tallies))
    }

    async fn dead_letters(&self, most: u32) -> Result<Vec<StoredDeadLetter>, PipelineError> {
        Ok(self.said().dead_letters.into_iter().take(most as usize).collect())
    }

    async fn rejected_events(&self, most: u32) -> Result<Vec<RejectedEvent>, PipelineError> {
        Ok(self.said().rejected.into_iter().take(most as usize).collect())
    }

    async fn install(&self) -> Result<Install, PipelineError> {
        Ok(self.said().install)
    }

    async fn send_test_event(&self) -> Result<TestEvent, PipelineError> {
        Ok(self.said().test)
    }

    async fn settings_problems(&self) -> Vec<SettingsProblem> {
        self.said().problems
    }

    async fn redrive(&self, _: Option<Function>) -> Result<u64, PipelineError> {
        Ok(0)
    }

    async fn forget(&self, _: Departed, _: &dyn Store) -> Result<Forgotten, PipelineError> {
        Ok(Forgotten { messages: 0, is_all: true, ids: 0 })
    }

    async fn mappings(&self) -> Result<Vec<Mapping>, PipelineError> {
        Ok(self.said().mappings)
    }

    async fn preview(&self, _: &str) -> Result<Preview, PipelineError> {
        Ok(Preview::Rejected { reason: "not tried".to_owned() })
    }
}

struct OneKey;

#[async_trait]
impl Keys for OneKey {
    async fn knows(&self, key: &str) -> Result<bool, KeysUnavailable> {
        Ok(key == KEY)
    }

    async fn is_of_own_handlers(&self, _: &str) -> Result<bool, KeysUnavailable> {
        Ok(false)
    }
}

pub struct Site {
    pub said: Arc<Mutex<Said>>,
    store: Arc<dyn Store>,
    router: Router,
    _folder: Option<tempfile::TempDir>,
}

impl Site {
    pub fn new() -> Self {
        Self::with_access(Access::of_set(Ipv4Addr::LOCALHOST.into()))
    }

    /// One that this opens.
    pub fn with_access(access: Access) -> Self {
        Self::with(access, Presentation::default())
    }

    /// One that this opens, and that can do so much.
    pub fn with(access: Access, presentation: Presentation) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("koala.db")).unwrap());
        Self { _folder: Some(folder), ..Self::over_with(store, access, presentation) }
    }

    /// One over a store that is there.
    #[allow(dead_code)] // not every test brings its own
    pub fn over(store: Arc<dyn Store>) -> Self {
        Self::over_with(store, Access::of_set(Ipv4Addr::LOCALHOST.into()), Presentation::default())
    }

    fn over_with(store: Arc<dyn Store>, access: Access, presentation: Presentation) -> Self {
        let said: Arc<Mutex<Said>> = Arc::default();
        let options = CollectorOptions { retention: Retention::of_days(400), keep_ip: false };
        let pipeline = Arc::new(FakePipeline(Arc::clone(&said)));
        let extras = Extras { presentation, ..Extras::default() };
        let router =
            koala_collector::router_with(Arc::clone(&store), pipeline, Arc::new(OneKey), access, options, extras);
        Self { said, store, router, _folder: None }
    }

    /// The store below it.
    #[allow(dead_code)] // not every test looks below
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// What the API answers to a request with this body, or to one without.
    #[allow(dead_code)] // not every test asks it
    pub async fn api(&self, path: &str, body: Option<&Value>) -> (u16, String) {
        let request = match body {
            None => Request::get(path).body(Body::empty()),
            Some(body) => Request::post(path)
                .header("content-type", "application/json")
                .header("sec-fetch-site", "same-origin")
                .body(Body::from(body.to_string())),
        };
        let mut request = request.unwrap();
        for (name, value) in [("host", "localhost"), ("user-agent", "test")] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let (status, said, _) = self.answer(request).await;
        (status.as_u16(), said)
    }

    /// Has the preset intent rules followed, as a collector without parameters of its own does.
    pub async fn follow_presets(&self) {
        self.store.follow_intent_rules(&IntentRule::presets()).await.unwrap();
    }

    /// Keeps out of the ranking whom the parameter `exclude` names, and looks at all who are there.
    pub async fn exclude(&self, parameter: &Value) {
        self.store.follow_exclude(&Exclude::parse(&parameter.to_string()).unwrap()).await.unwrap();
        while self.store.look_back().await.unwrap() {}
    }

    pub fn says(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.said.lock().unwrap());
    }

    async fn answer(&self, request: Request<Body>) -> (StatusCode, String, Option<String>) {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let location = answer.headers().get("location").map(|it| it.to_str().unwrap().to_owned());
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap(), location)
    }

    /// The whole answer to a request.
    pub async fn ask(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// The HTML at an address.
    pub async fn page(&self, path: &str) -> String {
        let (status, html, _) =
            self.answer(Request::get(path).header("host", "localhost:8787").body(Body::empty()).unwrap()).await;
        assert_eq!(status, 200, "{path}: {html}");
        html
    }

    /// The status of an address, and what is said there.
    pub async fn refused(&self, path: &str) -> (u16, String) {
        let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
        let (status, html, _) = self.answer(request).await;
        (status.as_u16(), html)
    }

    /// What a button of the page does; where it leads, or what is shown.
    pub async fn press(&self, path: &str) -> String {
        let request = Request::post(path).header("host", "localhost").header("sec-fetch-site", "same-origin");
        let (_, html, location) = self.answer(request.body(Body::empty()).unwrap()).await;
        location.unwrap_or(html)
    }

    /// The status of what a page of another site sends.
    pub async fn forge(&self, path: &str) -> u16 {
        let request = Request::post(path).header("host", "localhost").header("sec-fetch-site", "cross-site");
        self.answer(request.body(Body::empty()).unwrap()).await.0.as_u16()
    }

    /// Sends a batch to the collector.
    pub async fn collect(&self, batch: Value) {
        let request = Request::post(format!("/web/projects/{KEY}/batch")).header("user-agent", "test");
        let (status, said, _) = self.answer(request.body(Body::from(batch.to_string())).unwrap()).await;
        assert_eq!(status, 200, "{said}");
    }
}

/// The body of an answer.
pub async fn body(answer: Response) -> String {
    String::from_utf8(to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

/// The text of a page: without tags, white space as one space.
pub fn text(html: &str) -> String {
    let html = html.split_once("<main").map_or(html, |(_, main)| main);
    let mut text = String::new();
    let mut is_tag = true;
    for character in html.chars() {
        match character {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                text.push(' ');
            }
            _ if is_tag => {}
            _ => text.push(character),
        }
    }
    let text = text.replace("&quot;", "\"").replace("&amp;", "&");
    let text: Vec<&str> = text.split_whitespace().collect();
    text.join(" ")
}
