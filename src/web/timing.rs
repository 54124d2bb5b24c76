//! How long the homeserver waits for the answers to its transactions.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::time::Instant;

use super::metrics::Labels;

/// Times of transactions, by the status of their answer. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Meter(pub(super) Family<Labels, Histogram, fn() -> Histogram>);

impl Default for Meter {
    fn default() -> Self {
        Self(Family::new_with_constructor(histogram))
    }
}

/// Half a millisecond, doubled up to sixteen seconds.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

/// The router with its transactions timed.
pub fn timed(router: Router, meter: &Meter) -> Router {
    router.layer(from_fn_with_state(meter.clone(), time))
}

async fn time(State(meter): State<Meter>, request: Request, next: Next) -> Response {
    if !request.uri().path().contains("/transactions/") {
        return next.run(request).await;
    }
    let begun = Instant::now();
    let response = next.run(request).await;
    let labels = vec![("status", response.status().as_u16().to_string())];
    meter.0.get_or_create(&labels).observe(begun.elapsed().as_secs_f64());
    response
}
