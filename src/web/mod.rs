//! What may be asked over HTTP: by watchers `/metrics` (figures, as Prometheus reads them) and `/health`, by the world
//! what [`media`] gives out, on a listener of its own.
//!
//! Knows no other adapter: the figures come from a [`Source`]. It asks nobody for a password and therefore tells
//! nothing about persons, rooms or nicks. Both answers are made once for everybody who asks within a moment, so
//! that a curious client costs the bridge nothing; both have an end, also when the bridge hangs.

pub mod api;
mod health;
pub mod media;
mod metrics;
mod timing;
pub mod widget;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

pub use health::Health;
pub use metrics::{
    Bridge, DutyMoves, Errands, Figures, Gate, Ghosts, Limited, Messages, Network, PolicyLists, Puppets,
};
pub use timing::{Meter, timed};

/// How long an answer is good for others who ask.
const RECENT: Duration = Duration::from_secs(1);
/// How long an answer may take to be made.
const MAKING_MAX: Duration = Duration::from_secs(8);

/// OpenMetrics 1.0, which Prometheus reads.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const WORDS_TYPE: &str = "text/plain; charset=utf-8";

/// Where the answers come from.
pub trait Source: Send + Sync + 'static {
    /// Everything that is counted, now.
    fn figures(&self) -> impl Future<Output = Figures> + Send;
    /// Whether the bridge and those it needs answer.
    fn health(&self) -> impl Future<Output = Health> + Send;
}

/// The two pages.
pub fn router<S: Source>(source: Arc<S>) -> Router {
    let desk = Arc::new(Desk { source, figures: Mutex::default(), health: Mutex::default() });
    Router::new().route("/metrics", get(metrics::<S>)).route("/health", get(health::<S>)).with_state(desk)
}

struct Desk<S> {
    source: Arc<S>,
    figures: Recent,
    health: Recent,
}

/// The last answer; whoever asks while it is made waits for it.
type Recent = Mutex<Option<(Instant, (StatusCode, String))>>;

async fn metrics<S: Source>(State(desk): State<Arc<Desk<S>>>) -> Response {
    let making = async { (StatusCode::OK, metrics::render(&desk.source.figures().await)) };
    answer(&desk.figures, METRICS_TYPE, making).await
}

async fn health<S: Source>(State(desk): State<Arc<Desk<S>>>) -> Response {
    let making = async { desk.source.health().await.answer() };
    answer(&desk.health, WORDS_TYPE, making).await
}

async fn answer(
    recent: &Recent,
    content_type: &'static str,
    making: impl Future<Output = (StatusCode, String)>,
) -> Response {
    let mut last = recent.lock().await;
    let good = last.as_ref().filter(|(made, _)| made.elapsed() < RECENT).map(|(_, answer)| answer.clone());
    let (status, body) = match good {
        Some(answer) => answer,
        None => {
            let late = (StatusCode::SERVICE_UNAVAILABLE, "the bridge does not answer\n".to_owned());
            let fresh = timeout(MAKING_MAX, making).await.unwrap_or(late);
            *last = Some((Instant::now(), fresh.clone()));
            fresh
        }
    };
    let content_type = if status == StatusCode::OK { content_type } else { WORDS_TYPE };
    (status, [(CONTENT_TYPE, content_type)], body).into_response()
}

#[cfg(test)]
mod tests;
