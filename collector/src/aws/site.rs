//! A router as a function: the same routes as on one machine, over a store that may be away for a while.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use koala_destination::lambda::span::invocation;
use koala_destination::metrics::Metrics;
use lambda_http::request::RequestContext;
use lambda_http::{Body as LambdaBody, Error, RequestExt, service_fn};
use serde_json::json;
use tower::ServiceExt;
use tracing::Instrument;

use super::database::{Database, DatabaseUnavailable};
use super::doorbell::Doorbell;
use super::environment::CollectorEnvironment;
use super::figures::Requested;
use super::parameters::SharedCollectorSettings;
use crate::store::postgres::PostgresStore;
use crate::web::ClientAddress;

/// When a client may come again that found no database.
const COME_AGAIN_SECONDS: &str = "5";

/// Makes the routes over a store.
type Routes = Box<dyn Fn(Arc<PostgresStore>) -> Router + Send + Sync>;

/// Follows the collector's settings.
type Follow = Box<dyn Fn(&crate::settings::CollectorSettings) + Send + Sync>;

/// A router, and what it works with.
pub struct Site {
    settings: SharedCollectorSettings,
    database: Database,
    routes: Routes,
    router: RwLock<Option<Router>>,
    metrics: Metrics,
    follow: Follow,
    doorbell: Option<Doorbell>,
}

impl Site {
    /// That of a function of this name.
    pub fn new(
        function: &'static str,
        environment: &CollectorEnvironment,
        settings: SharedCollectorSettings,
        database: Database,
        routes: impl Fn(Arc<PostgresStore>) -> Router + Send + Sync + 'static,
    ) -> Self {
        let metrics = Metrics::new(function, &environment.function.metric_namespace);
        Self {
            settings,
            database,
            routes: Box::new(routes),
            router: RwLock::default(),
            metrics,
            follow: Box::new(|_| {}),
            doorbell: None,
        }
    }

    /// Before each request the settings are handed to `follow`.
    #[must_use]
    pub fn before_each(self, follow: impl Fn(&crate::settings::CollectorSettings) + Send + Sync + 'static) -> Self {
        Self { follow: Box::new(follow), ..self }
    }

    /// After each request that was taken the bell is rung.
    #[must_use]
    pub fn with_doorbell(self, doorbell: Option<Doorbell>) -> Self {
        Self { doorbell, ..self }
    }

    /// Connects before the first event; what fails is left to it.
    pub async fn connect(&self) {
        if let Err(error) = self.router().await {
            tracing::error!(%error, "no database at init; retrying with the first event");
        }
    }

    /// Answers requests for ever.
    ///
    /// # Errors
    /// When the runtime ends.
    pub async fn serve(self) -> Result<(), Error> {
        lambda_http::run(service_fn(async |request: lambda_http::Request| {
            let id = request.lambda_context_ref().map(|context| context.request_id.clone()).unwrap_or_default();
            let answered = async {
                let response = self.answer(request).await;
                if let Some(doorbell) = self.doorbell.as_ref().filter(|_| response.status().is_success()) {
                    doorbell.ring().await;
                }
                response
            };
            let response = answered.instrument(invocation(&id)).await;
            let is_unavailable = response.status() == StatusCode::SERVICE_UNAVAILABLE;
            self.metrics.write(&Requested { is_unavailable }, &id, self.settings.freshness());
            Ok::<_, Error>(response)
        }))
        .await
    }

    async fn answer(&self, request: lambda_http::Request) -> Response<Body> {
        match self.router().await {
            Ok(router) => router.oneshot(of_lambda(request)).await.unwrap_or_else(|never| match never {}),
            Err(error) => {
                tracing::error!(%error, "the database cannot be reached");
                unavailable()
            }
        }
    }

    async fn router(&self) -> Result<Router, DatabaseUnavailable> {
        let (store, is_new) = self.database.store().await?;
        (self.follow)(&*self.settings.current().await?);
        let made = self.router.read().unwrap_or_else(PoisonError::into_inner).clone();
        match made {
            Some(router) if !is_new => Ok(router),
            _ => {
                let router = (self.routes)(Arc::new(store));
                *self.router.write().unwrap_or_else(PoisonError::into_inner) = Some(router.clone());
                Ok(router)
            }
        }
    }
}

fn of_lambda(request: lambda_http::Request) -> Request<Body> {
    // The path as it was sent: below the stage, and not decoded.
    let uri = request.uri().clone();
    let client = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_ref().and_then(|ip| ip.parse().ok()),
        _ => None,
    };
    let mut request = request.map(|body| match body {
        LambdaBody::Text(text) => Body::from(text),
        LambdaBody::Binary(bytes) => Body::from(bytes),
        _ => Body::empty(),
    });
    *request.uri_mut() = uri;
    // API Gateway says whom a request comes from, and no header does.
    if let Some(client) = client {
        request.extensions_mut().insert(ClientAddress(client));
    }
    request
}

fn unavailable() -> Response<Body> {
    let body = json!({"error": "the database cannot be reached now", "code": "unavailable"});
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static(COME_AGAIN_SECONDS));
    response
}
