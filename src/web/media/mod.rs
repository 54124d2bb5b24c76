//! What links on IRC lead to: files that people on Matrix sent, and messages that are too long for IRC.
//!
//! ```text
//!   GET /kR3v0TqLx7Zb24c92 ──▶ who asks? ──▶ too often? ──▶ [Shelf::find] ──┬─▶ a page
//!                              (client)      (limits)                       └─▶ [Shelf::fetch] ──▶ a file (file)
//! ```
//!
//! It is open to the world, so it gives out only what was published to IRC and is not over: there is no other way to
//! a file than a link of ours, and links that are forged, expired or redacted have one and the same answer. It asks
//! for no password, runs no script, sets no cookie, names no third party, and keeps nothing. TLS is a proxy's to do.
//!
//! | bound | number | when full |
//! |---|---|---|
//! | connections | [`CONNECTIONS_MAX`] | wait to be accepted |
//! | a connection on which nothing moves | 90 s; 40 minutes in all | closed |
//! | files at once; of one address | `transfers_max`; a quarter of that | 503 |
//! | requests, bytes of one address | `requests_per_minute`, `bytes_per_hour` | 429 |
//! | addresses counted | 10,000 | those who are new get 429 |
//! | a file | `size_bytes_max` | 403; broken off where its size was not told |

mod client;
mod door;
mod file;
mod kind;
mod limits;
mod page;
mod range;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, ETAG, IF_NONE_MATCH, RETRY_AFTER, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

pub use client::Block;
pub(super) use client::{Client, of as client_of};
pub use door::{CONNECTIONS_MAX, Door, Peer};
use limits::{Limits, Refused};

use super::metrics::Labels;
use crate::bridge::media::{Media, MediaSource, PageText};
use crate::ids::Time;

/// What is served, and how much of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Proxies whose word for who is asking is taken.
    pub trusted_proxies: Vec<Block>,
    pub size_bytes_max: u64,
    /// Of one address.
    pub requests_per_minute: u32,
    /// Of one address.
    pub bytes_per_hour: u64,
    /// Of all.
    pub transfers_max: usize,
}

/// Where links lead. The bridge has one; tests have their own.
pub trait Shelf: Send + Sync + 'static {
    type File: File;

    /// What a link leads to and until when, by what stands behind its last slash. `None`: nothing, whatever the
    /// reason.
    fn find(&self, token: &str) -> impl Future<Output = Result<Option<(Item, Time)>, String>> + Send;

    /// Begins to fetch a file.
    fn fetch(&self, source: &MediaSource) -> impl Future<Output = Result<Self::File, Trouble>> + Send;
}

/// A file on its way, in pieces.
pub trait File: Send + 'static {
    /// How long it is, where that is known before its end.
    fn size_bytes(&self) -> Option<u64>;
    /// The next piece; `None` at the end. After an error nothing of the rest is given out.
    fn piece(&mut self) -> impl Future<Output = Result<Option<Bytes>, String>> + Send;
}

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Media(Media),
    Text(PageText),
}

/// Why a file cannot be fetched. The words are for the log: strangers are told less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The homeserver has it no longer.
    Missing,
    /// The homeserver asks to wait.
    Busy,
    /// It, or the one where the file lies, cannot be reached.
    Away(String),
}

/// What was answered so far. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Served {
    pub(super) answers: Family<Labels, Counter>,
    pub(super) bytes: Counter,
}

impl Served {
    fn note(&self, status: StatusCode) {
        let answer = match status.as_u16() {
            200 | 206 | 304 => "given",
            404 => "nothing_there",
            429 => "too_many",
            502..=504 => "unavailable",
            _ => "refused",
        };
        self.answers.get_or_create(&vec![("answer", answer.to_owned())]).inc();
    }
}

/// Everything below `public_url`. To be served with [`Peer`] as the connection's information.
pub fn router<S: Shelf>(shelf: Arc<S>, settings: Settings, served: Served) -> Router {
    let limits = Arc::new(Limits::new(&settings));
    let desk = Arc::new(Desk { shelf, limits, settings, served });
    Router::new().fallback(serve::<S>).with_state(desk)
}

/// Whoever answers.
struct Desk<S> {
    shelf: Arc<S>,
    limits: Arc<Limits>,
    settings: Settings,
    served: Served,
}

async fn serve<S: Shelf>(
    State(desk): State<Arc<Desk<S>>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (head, _) = request.into_parts();
    let mut answer = desk.answer(peer, &head).await;
    desk.served.note(answer.status());
    let headers = answer.headers_mut();
    harden(headers);
    if head.method == Method::HEAD {
        let length = answer.body().size_hint().exact().map(HeaderValue::from);
        if let Some(length) = length {
            answer.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length);
        }
        *answer.body_mut() = Body::empty();
    }
    answer
}

impl<S: Shelf> Desk<S> {
    async fn answer(&self, peer: SocketAddr, head: &Parts) -> Response {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let page = page::problem("Only for reading", "Nothing can be sent to this address.");
            return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")], page).into_response();
        }
        let client = client::of(peer, &head.headers, &self.settings.trusted_proxies);
        if let Err(Refused { wait_s }) = self.limits.request(client) {
            return too_many(wait_s);
        }
        let token = head.uri.path().rsplit('/').next().unwrap_or_default();
        if token == "robots.txt" {
            return "User-agent: *\nDisallow: /\n".into_response();
        }
        match self.shelf.find(token).await {
            Ok(None) => nothing_there(),
            Ok(Some((Item::Text(text), until))) => text_answer(&text, until, token, head),
            Ok(Some((Item::Media(media), _))) => file::answer(self, client, &media, token, head).await,
            Err(words) => {
                tracing::warn!(words, "a link could not be looked up");
                let page = page::problem("Not now", "Something is wrong here; try again later.");
                (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "60")], page).into_response()
            }
        }
    }
}

/// One answer for links that were never there, are expired, or whose message is redacted: whoever asks learns
/// nothing of what there was.
fn nothing_there() -> Response {
    let words = "Links like this one end after some time, and when the message they belong to is removed.";
    (StatusCode::NOT_FOUND, page::problem("There is nothing here", words)).into_response()
}

fn too_many(wait_s: u64) -> Response {
    let page = page::problem("Too much at once", "So much was asked from your address that it has to wait.");
    let wait = HeaderValue::from(wait_s.max(1));
    (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, wait)], page).into_response()
}

fn text_answer(text: &PageText, until: Time, token: &str, head: &Parts) -> Response {
    let is_plain = head.uri.query() == Some("raw") || wants_plain(&head.headers);
    let etag = format!("\"{token}{}\"", if is_plain { "-raw" } else { "" });
    if is_known(&head.headers, &etag) {
        return not_modified(&etag);
    }
    let mut answer = if is_plain {
        (page::headers("text/plain; charset=utf-8"), text.plain.clone()).into_response()
    } else {
        page::text(text, until).into_response()
    };
    let headers = answer.headers_mut();
    set(headers, ETAG, &etag);
    set(headers, VARY, "accept");
    answer
}

/// Whoever takes plain text and does not say that HTML will do. What takes anything gets the page.
fn wants_plain(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("text/plain") && !accept.contains("text/html")
}

/// Whether the one who asks has it already (RFC 9110 section 13.1.2).
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let listed = |value: &HeaderValue| {
        let tags = value.to_str().unwrap_or_default();
        tags.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == etag || tag == "*")
    };
    headers.get_all(IF_NONE_MATCH).iter().any(listed)
}

fn not_modified(etag: &str) -> Response {
    let mut answer = StatusCode::NOT_MODIFIED.into_response();
    set(answer.headers_mut(), ETAG, etag);
    answer
}

/// What every answer has: nobody keeps it without asking again, so that a redaction holds at once; nobody takes it
/// for anything else than it says; nothing in it acts, and nobody learns from where somebody came.
fn harden(headers: &mut HeaderMap) {
    let fixed = [
        (CACHE_CONTROL, "private, no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow, noarchive"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    let nobody_else = HeaderValue::from_static("same-origin");
    headers.entry(HeaderName::from_static("cross-origin-resource-policy")).or_insert(nobody_else);
}

/// Sets a header to text of ours; text that no header can be leaves it out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
