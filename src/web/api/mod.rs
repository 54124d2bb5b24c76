//! The API: what people ask of the bridge in the admin room, asked by programs; and by whoever runs it.
//!
//! ```text
//!   request ─▶ too many at once? ─▶ token, person, how often (asking, limits) ─▶ a route ─▶ [Hands] ─▶ report ─▶ answer
//! ```
//!
//! Routes decide nothing: they read what is asked, give an errand, and tell what its report says, as facts. What they take and give
//! is written in `openapi.json`, which is served too and which docs/API.md is made from. Nobody's token is logged, and no text of
//! theirs. No cookies: who has no token gets nothing, so any page may ask (CORS), and none can ask in somebody's name.
//!
//! | bound | number | when full |
//! |---|---|---|
//! | connections of a listener | [`CONNECTIONS_MAX`](super::media::CONNECTIONS_MAX) | wait to be accepted |
//! | requests at once | [`REQUESTS_MAX`] | 503 |
//! | a request in all | [`REQUEST_WAIT`] | 504 |
//! | a body | 16 KiB, 10 s | 413, 400 |
//! | requests a minute of a person, a token, an address | `requests_per_minute` | 429 |
//! | OpenID tokens looked at for an address | 20 a minute | 429 |

mod admin;
mod answers;
mod asking;
mod fault;
mod hands;
mod limits;
mod links;
mod openid;
mod people;
mod provisioning;
mod sessions;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use fault::Fault;
pub use hands::{Hands, InRoom, Kept, Login, May, Network, Tallied};
pub use openid::{Homeservers, Others};
pub use sessions::{OF_ONE_MAX, SESSION_AGE, SESSIONS_MAX};

use self::limits::Limits;
use self::openid::OpenId;
use self::sessions::Sessions;
use super::media::{Block, Client};
use crate::secret::Secret;

/// What the routes take and give (OpenAPI 3.1).
pub const OPENAPI: &str = include_str!("openapi.json");

/// Where people's routes begin.
const BASE: &str = "/_bunraku/api/v1";
const ADMIN_BASE: &str = "/_bunraku/admin/v1";
/// Those that integration managers know, by both their names.
const PROVISIONING: [&str; 2] = ["/_matrix/provision/v1", "/_matrix/provision"];
/// Requests that are worked on at once, of each listener.
pub const REQUESTS_MAX: usize = 512;
/// How long a request may take: longer than an errand.
pub const REQUEST_WAIT: Duration = Duration::from_secs(150);

/// What is let in, and how much of it.
#[derive(Clone, Debug)]
pub struct Settings {
    pub tokens: Vec<Token>,
    /// Of a person, and of an address without a token.
    pub requests_per_minute: NonZeroU32,
    /// Proxies whose word for who is asking is taken.
    pub trusted_proxies: Vec<Block>,
    pub homeservers: Homeservers,
    /// The setup widget, with headers of its own; `None`: there is none.
    pub widget: Option<Router>,
}

/// A token of the configuration.
#[derive(Clone, Debug)]
pub struct Token {
    /// For counting, never secret.
    pub name: String,
    pub secret: Secret,
    pub may: TokenMay,
}

/// Where a token of the configuration is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenMay {
    /// For people's routes, on behalf of whom it names.
    Plain,
    /// For admins' too.
    Admin,
}

/// Whoever answers, on both listeners.
struct Desk<H> {
    hands: Arc<H>,
    tokens: Vec<Token>,
    proxies: Vec<Block>,
    limits: Limits,
    sessions: Sessions,
    openid: OpenId,
    places: Semaphore,
}

/// The routes of both listeners: people's, and admins'. To be served with [`Peer`](super::media::Peer) as the connection's
/// information.
pub fn routers<H: Hands>(hands: Arc<H>, settings: Settings) -> (Router, Router) {
    let desk = Arc::new(Desk {
        hands,
        tokens: settings.tokens,
        proxies: settings.trusted_proxies,
        limits: Limits::new(settings.requests_per_minute),
        sessions: Sessions::default(),
        openid: OpenId::new(settings.homeservers),
        places: Semaphore::new(REQUESTS_MAX),
    });
    let mut everybody = people::<H>();
    for base in PROVISIONING {
        everybody = everybody.nest(base, provisioning::<H>());
    }
    let admins = Router::new().nest(ADMIN_BASE, admins::<H>());
    let bounded = |router: Router<Arc<Desk<H>>>| {
        router
            .fallback(|| async { Fault::NotFound })
            .method_not_allowed_fallback(|| async { Fault::NoMethod })
            .layer(from_fn_with_state(Arc::clone(&desk), bound::<H>))
            .layer(from_fn(harden))
    };
    let everybody = bounded(everybody).layer(from_fn(share)).with_state(Arc::clone(&desk));
    (everybody.merge(settings.widget.unwrap_or_default()), bounded(admins).with_state(desk))
}

fn people<H: Hands>() -> Router<Arc<Desk<H>>> {
    let own = Router::new()
        .route("/openapi.json", get(|| async { Json(answers::document()) }))
        .route("/openid", post(people::openid::<H>))
        .route("/session", delete(people::end_session::<H>))
        .route("/whoami", get(people::whoami::<H>))
        .route("/networks", get(people::networks::<H>))
        .route("/networks/{network}/connection", get(people::connection::<H>))
        .route("/networks/{network}/login", get(people::login::<H>))
        .route("/networks/{network}/channels/{channel}", get(people::look::<H>))
        .route("/networks/{network}/channels/{channel}/join", post(people::join::<H>))
        .route("/networks/{network}/channels/{channel}/part", post(people::part::<H>))
        .route("/rooms/{room_id}/links", get(links::list::<H>))
        .route("/rooms/{room_id}/links/{network}/{channel}", put(links::link::<H>).delete(links::unlink::<H>))
        .route("/limits", get(links::limits::<H>));
    Router::new().nest(BASE, own)
}

fn provisioning<H: Hands>() -> Router<Arc<Desk<H>>> {
    Router::new()
        .route("/link", post(provisioning::link::<H>))
        .route("/unlink", post(provisioning::unlink::<H>))
        .route("/listlinks/{room_id}", get(provisioning::listlinks::<H>))
        .route("/querylink", post(provisioning::querylink::<H>))
        .route("/querynetworks", get(provisioning::querynetworks::<H>))
        .route("/limits", get(provisioning::limits::<H>))
        .route("/session", get(provisioning::session::<H>).delete(provisioning::end_session::<H>))
        .route("/session/all", delete(provisioning::end_sessions::<H>))
        .route("/exchange_openid", post(provisioning::exchange_openid::<H>))
        .route("/health", get(provisioning::health))
}

fn admins<H: Hands>() -> Router<Arc<Desk<H>>> {
    Router::new()
        .route("/networks/{network}/users", get(admin::users::<H>))
        .route("/networks/{network}/users/{user_id}/kill", post(admin::kill::<H>))
        .route("/networks/{network}/reap", post(admin::reap::<H>))
        .route("/reload", post(admin::reload::<H>))
        .route("/audit", get(admin::audit::<H>))
}

impl<H: Hands> Desk<H> {
    /// A network by its id.
    fn network(&self, id: &str) -> Result<&Network, Fault> {
        let named = self.hands.networks().iter().find(|network| network.id.as_str() == id);
        named.ok_or_else(|| {
            let shown: String = id.chars().filter(|c| !c.is_control()).take(64).collect();
            Fault::UnknownNetwork(shown)
        })
    }
}

/// So many at once, each with an end.
async fn bound<H: Hands>(State(desk): State<Arc<Desk<H>>>, request: Request, next: Next) -> Response {
    let Ok(_place) = desk.places.try_acquire() else { return Fault::Busy.into_response() };
    match timeout(REQUEST_WAIT, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => Fault::Unknown.into_response(),
    }
}

/// Any page may ask and read, with a token in its own hands; there are no cookies to ask with.
async fn share(request: Request, next: Next) -> Response {
    let mut answer = if *request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let fixed = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, bunraku-channel-key"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "retry-after"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    set(&mut answer, &fixed);
    answer
}

/// What every answer has: nobody keeps it, nothing in it acts.
async fn harden(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    let headers = answer.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let fixed = [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "no-referrer")];
    set(&mut answer, &fixed);
    answer
}

fn set(answer: &mut Response, fixed: &[(HeaderName, &'static str)]) {
    for (name, value) in fixed {
        answer.headers_mut().insert(name.clone(), HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests;
