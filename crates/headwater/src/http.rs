//! `GET /health`, `GET /ready` and `GET /metrics`: a router to mount, or a server of its own. Knows what to answer, not how
//! figures are collected.

mod probe;
mod server;

use std::sync::Arc;

pub use axum;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mongodb::bson::{Document, doc};
use parking_lot::RwLock;

use self::probe::Probe;
pub use self::server::MonitorServer;
use crate::connector::Headwater;
use crate::error::Error;
use crate::json::{JsonMode, ToJson};
use crate::resilience::breaker::CircuitState;

/// Tells the outside how a connector is: health, readiness, figures. Clones tell the same.
///
/// It uses the application's connector, opens no connection for itself, and keeps that connector alive.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main]
/// # async fn main() -> headwater::Result<()> {
/// use headwater::Headwater;
/// use headwater::http::{Monitor, axum};
///
/// let headwater = Headwater::open_in_memory().await?;
/// let monitor = Monitor::new(headwater);
/// let application: axum::Router = axum::Router::new()
///     .route("/", axum::routing::get(|| async { "Hello" }))
///     .merge(monitor.router());
/// assert!(monitor.health().await.is_ok());
/// # drop(application);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone)]
pub struct Monitor {
    subject: Arc<RwLock<Subject>>,
}

/// What is watched.
#[derive(Debug)]
enum Subject {
    Starting,
    Refused(String),
    Connected(Arc<Probe>),
}

impl Monitor {
    /// Watches a connector.
    pub fn new(headwater: Headwater) -> Monitor {
        Monitor::of(Subject::Connected(Arc::new(Probe::new(headwater))))
    }

    /// Answers before there is a connector: neither healthy nor ready. Tell it what becomes of the start by
    /// [`Monitor::connected`] or [`Monitor::refused`].
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() {
    /// use headwater::Config;
    /// use headwater::http::Monitor;
    ///
    /// let monitor = Monitor::starting();
    /// if let Err(error) = Config::builder().uri("nonsense").build() {
    ///     monitor.refused(&error);
    /// }
    /// let reasons = monitor.readiness().await.unwrap_err();
    /// assert!(reasons[0].starts_with("the configuration is not valid: "));
    /// # }
    /// ```
    pub fn starting() -> Monitor {
        Monitor::of(Subject::Starting)
    }

    fn of(subject: Subject) -> Monitor {
        Monitor { subject: Arc::new(RwLock::new(subject)) }
    }

    /// From now on watches this connector.
    pub fn connected(&self, headwater: Headwater) {
        *self.subject.write() = Subject::Connected(Arc::new(Probe::new(headwater)));
    }

    /// There is no connector because of this error, most likely of the configuration.
    pub fn refused(&self, error: &Error) {
        *self.subject.write() = Subject::Refused(error.to_string());
    }

    /// `GET /health`, `GET /ready` and `GET /metrics`, to be merged or nested into the application's router.
    ///
    /// None of them asks who is there; what they tell holds no secret, but names servers.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self.clone())
    }

    /// Whether the database answers within 2 s, and the text of `detail` in the reply of `GET /health` if not.
    ///
    /// # Errors
    /// The reason, without secrets.
    pub async fn health(&self) -> Result<(), String> {
        let probe = match &*self.subject.read() {
            Subject::Starting => return Err("Database connection failed".to_owned()),
            Subject::Refused(reason) => return Err(failed(reason)),
            Subject::Connected(probe) => Arc::clone(probe),
        };
        probe.ping().await.map_err(|reason| failed(&reason))
    }

    /// Whether calls can be expected to succeed: the configuration is valid, the circuit is closed, and a ping has passed
    /// within the last 10 s and none has failed since.
    ///
    /// # Errors
    /// Why not; several reasons may hold.
    pub async fn readiness(&self) -> Result<(), Vec<String>> {
        let probe = match &*self.subject.read() {
            Subject::Starting => return Err(vec!["there is no connector yet".to_owned()]),
            Subject::Refused(reason) => {
                return Err(vec![format!("the configuration is not valid: {reason}")]);
            }
            Subject::Connected(probe) => Arc::clone(probe),
        };
        let mut reasons = Vec::new();
        match probe.headwater().circuit_state() {
            _ if probe.headwater().0.resilience.is_closing() => {
                reasons.push("the connector is shutting down".to_owned());
            }
            CircuitState::Closed => {}
            CircuitState::HalfOpen => reasons.push("the circuit is half-open".to_owned()),
            CircuitState::Open => reasons.push("the circuit is open".to_owned()),
        }
        if let Err(reason) = probe.recent_ping().await {
            reasons.push(format!("no ping has passed in the last 10 s: {reason}"));
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// The figures, as `GET /metrics` gives them; empty before there is a connector.
    pub fn metrics_text(&self) -> String {
        match &*self.subject.read() {
            Subject::Connected(probe) => probe.headwater().metrics_text(),
            Subject::Starting | Subject::Refused(_) => String::new(),
        }
    }
}

fn failed(reason: &str) -> String {
    format!("Health check failed: {reason}")
}

async fn health(State(monitor): State<Monitor>) -> Response {
    match monitor.health().await {
        Ok(()) => json(StatusCode::OK, doc! { "status": "healthy", "database": "connected" }),
        Err(detail) => json(
            StatusCode::SERVICE_UNAVAILABLE,
            doc! { "status": "unhealthy", "database": "disconnected", "detail": detail },
        ),
    }
}

async fn ready(State(monitor): State<Monitor>) -> Response {
    match monitor.readiness().await {
        Ok(()) => json(StatusCode::OK, doc! { "status": "ready" }),
        Err(reasons) => json(
            StatusCode::SERVICE_UNAVAILABLE,
            doc! { "status": "not ready", "reasons": reasons },
        ),
    }
}

async fn metrics(State(monitor): State<Monitor>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], monitor.metrics_text()).into_response()
}

fn json(status: StatusCode, body: Document) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_json(JsonMode::Plain)).into_response()
}
