//! What the homeserver asks of us (application service API): it pushes transactions of events, asks whether
//! users and aliases of ours exist, and pings.
//!
//! The router decides nothing about events: it proves that the homeserver is calling, takes the transaction
//! apart, gives each event's text unchanged to the [`Host`], and answers 200 only when the host has it for good.
//! Of what is not kept only typing is looked at, and only of a transaction that was taken; receipts and presence are left
//! unread. It must be quick: Synapse sends one transaction at a time, and forgets what it still holds in memory when it
//! restarts. "No" is better than "later": a 503 makes it keep the transaction on its disk and try again.
//!
//! Every request is bounded: its body in size and in time, all of them in number. Refusals say nothing but their
//! Matrix error code.

mod auth;
mod ephemeral;
pub mod thirdparty;
mod transaction;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use ephemeral::RoomTyping;
use thirdparty::{Hit, Instance};
pub use transaction::RawEvent;

use super::Secret;
use crate::bridge::effect::Existence;
use crate::bridge::input::LookUp;
use crate::ids::{RoomAlias, UserId};
use auth::Gate;
use transaction::{Broken, Transaction};

/// The largest request body taken, in bytes: 100 events of 64 KiB and as many ephemeral ones fit twice.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// How long the homeserver may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the host may take to accept a transaction before the homeserver is told to try again.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the host may take to say whether something exists. Synapse gives up after 60 s.
const ASK_TIMEOUT: Duration = Duration::from_secs(50);

/// Transactions handled at once; more are told to come again. A homeserver sends one, or two when it lost patience.
const TRANSACTIONS_MAX: usize = 8;

/// Questions handled at once; more are told to come again, which a homeserver takes for "no". Each is little
/// more than a waiting connection, and a popular alias brings many together.
const QUESTIONS_MAX: usize = 1024;

/// The longest transaction id taken, in bytes.
const TXN_BYTES_MAX: usize = 1024;

/// Who the router serves: the bridge behind it.
pub trait Host: Send + Sync + 'static {
    /// Takes a transaction's events for good. The same transaction, or the same event in another one, may come
    /// again at any time, even while this runs.
    fn accept(&self, txn: &str, events: Vec<RawEvent>) -> impl Future<Output = Accepted> + Send;

    /// Whether this alias exists; it must by the time this says so.
    fn alias_exists(&self, alias: RoomAlias) -> impl Future<Output = Existence> + Send;

    /// Whether this user exists; it must by the time this says so.
    fn user_exists(&self, user: UserId) -> impl Future<Output = Existence> + Send;

    /// The networks that can be looked into.
    fn instances(&self) -> Vec<Instance>;

    /// What is known under a name, on the network of that domain or on all.
    fn look_up(&self, domain: Option<String>, what: LookUp) -> impl Future<Output = Vec<Hit>> + Send;

    /// Who types in these rooms, as a transaction that was taken has it. To be dropped rather than waited for.
    fn typing(&self, _rooms: Vec<RoomTyping>) {}

    /// So many events of a transaction were nonsense and are gone. For the metrics.
    fn skipped(&self, _events: usize) {}
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is kept for good.
    Done,
    /// It is not kept: the homeserver shall try again.
    Busy,
}

struct Shared<H> {
    host: Arc<H>,
    transactions: Semaphore,
    questions: Semaphore,
}

/// The application service, to be served at the `url` of the registration.
pub fn router<H: Host>(host: Arc<H>, hs_token: Secret) -> Router {
    let shared = Shared {
        host,
        transactions: Semaphore::new(TRANSACTIONS_MAX),
        questions: Semaphore::new(QUESTIONS_MAX),
    };
    let gate = Arc::new(Gate::new(hs_token));
    // Synapse escapes an id in these paths but leaves its slashes: an id may be several segments.
    Router::new()
        .route("/_matrix/app/v1/transactions/{txn}", put(transaction::<H>))
        .route("/_matrix/app/v1/users/{*user}", get(user::<H>))
        .route("/_matrix/app/v1/rooms/{*alias}", get(alias::<H>))
        .route("/_matrix/app/v1/ping", post(ping))
        .merge(thirdparty::routes::<H>())
        .route_layer(axum::middleware::from_fn_with_state(gate, auth::check))
        .method_not_allowed_fallback(async || Refusal::WrongMethod)
        .fallback(async || Refusal::Unknown)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(shared))
}

async fn transaction<H: Host>(
    State(shared): State<Arc<Shared<H>>>,
    txn: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Empty, Refusal> {
    let Ok(Path(txn)) = txn else { return Err(Refusal::Unknown) };
    if txn.len() > TXN_BYTES_MAX {
        return Err(Refusal::Unknown);
    }
    let _place = shared.transactions.try_acquire().map_err(|_| Refusal::Busy)?;
    let body = read(request).await?;
    let Transaction { events, skipped, typing } =
        transaction::parse(&body).map_err(|broken| refused(&txn, &broken))?;
    if skipped > 0 {
        tracing::warn!(txn, skipped, "events without usable ids in a transaction");
        shared.host.skipped(skipped);
    }
    match timeout(ACCEPT_TIMEOUT, shared.host.accept(&txn, events)).await {
        Ok(Accepted::Done) => {
            shared.host.typing(typing);
            Ok(Empty)
        }
        Ok(Accepted::Busy) | Err(_) => Err(Refusal::Busy),
    }
}

/// The homeserver will send the same bytes for ever, so somebody has to hear of it.
fn refused(txn: &str, broken: &Broken) -> Refusal {
    tracing::error!(txn, %broken, "the homeserver sent a transaction that cannot be read");
    match broken {
        Broken::NotJson(_) => Refusal::NotJson,
        Broken::BadJson(_) => Refusal::BadJson,
    }
}

async fn user<H: Host>(
    State(shared): State<Arc<Shared<H>>>,
    user: Result<Path<String>, PathRejection>,
) -> Result<Empty, Refusal> {
    let user = user.ok().and_then(|Path(user)| UserId::new(&user)).ok_or(Refusal::Absent)?;
    answer(&shared.questions, shared.host.user_exists(user)).await
}

async fn alias<H: Host>(
    State(shared): State<Arc<Shared<H>>>,
    alias: Result<Path<String>, PathRejection>,
) -> Result<Empty, Refusal> {
    let alias = alias.ok().and_then(|Path(alias)| RoomAlias::new(&alias)).ok_or(Refusal::Absent)?;
    answer(&shared.questions, shared.host.alias_exists(alias)).await
}

async fn answer(places: &Semaphore, asked: impl Future<Output = Existence>) -> Result<Empty, Refusal> {
    let _place = places.try_acquire().map_err(|_| Refusal::Busy)?;
    match timeout(ASK_TIMEOUT, asked).await {
        Ok(Existence::Exists) => Ok(Empty),
        Ok(Existence::Absent) => Err(Refusal::Absent),
        Err(_) => Err(Refusal::Busy),
    }
}

/// That it came through both ways with the right token is all there is to a ping.
async fn ping(request: Request) -> Result<Empty, Refusal> {
    read(request).await.map(|_| Empty)
}

/// The whole body. A length that is announced too large is refused before a byte of it is read.
async fn read(request: Request) -> Result<Bytes, Refusal> {
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        return Err(Refusal::TooLarge);
    }
    match timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Refusal::TooLarge),
        Ok(Err(_)) => Err(Refusal::NotJson),
        Err(_) => Err(Refusal::TooSlow),
    }
}

/// The answer to everything that went well: `{}`.
struct Empty;

impl IntoResponse for Empty {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], "{}").into_response()
    }
}

/// Why a request was not done, without detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NoToken,
    WrongToken,
    Unknown,
    WrongMethod,
    TooLarge,
    TooSlow,
    NotJson,
    BadJson,
    Absent,
    Busy,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, errcode) = match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED"),
            Self::WrongToken => (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
            Self::Unknown => (StatusCode::NOT_FOUND, "M_UNRECOGNIZED"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN"),
            Self::NotJson => (StatusCode::BAD_REQUEST, "M_NOT_JSON"),
            Self::BadJson => (StatusCode::BAD_REQUEST, "M_BAD_JSON"),
            Self::Absent => (StatusCode::NOT_FOUND, "M_NOT_FOUND"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN"),
        };
        (status, [(CONTENT_TYPE, "application/json")], format!(r#"{{"errcode":"{errcode}"}}"#))
            .into_response()
    }
}

#[cfg(test)]
mod tests;
