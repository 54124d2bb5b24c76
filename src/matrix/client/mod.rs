//! What the bridge asks of the homeserver (client-server API), as its bot or as one of its ghosts.
//!
//! One [`Client`] is shared by all; it holds a pool of connections and no queue. Each method is one request
//! (rarely two), bounded by [`CONNECT_TIMEOUT`] and [`REQUEST_TIMEOUT`], and nothing is tried again here: that
//! is the caller's choice, who knows what the request is worth. Sending a message takes a transaction id and is
//! safe to repeat with the same id; so is everything else but [`Client::create_room`].
//!
//! The token goes out in one header and nowhere else: not in a URL, an error, a log line or a `Debug`.

mod bridges;
mod error;
mod history;
mod lifeline;
mod media;
mod policy;
mod queries;
mod request;
mod rooms;
mod send;
mod state;
mod users;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::{Notify, OnceCell};

pub use error::ClientError;
pub use history::Page;
pub use lifeline::Lifeline;
pub use media::{Download, DownloadError};
pub use queries::CreateQuery;
pub use rooms::{CreateRoom, Federation};
pub use send::{As, DeviceUse};
pub use state::Creation;
pub use users::Registered;

use super::Secret;
use crate::ids::UserId;

/// How long making a connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request may take from its start to the last byte of its answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Connections kept open while nobody needs them; more are made when more requests are in flight.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// What the client must know, all of it from the registration and the configuration.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// For example `http://localhost:8008`; a path after it is kept, a slash at its end is not.
    pub homeserver_url: String,
    pub as_token: Secret,
    /// The `id` of the registration.
    pub appservice_id: String,
    /// The homeserver's name: the server part of its users and aliases.
    pub server_name: String,
    /// The user of `sender_localpart`.
    pub bot: UserId,
    /// The device that bot and ghosts send with, so that the homeserver knows their transactions over its
    /// own restart.
    pub device: String,
}

/// Why no client could be made: the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("homeserver URL {0:?} is not an http or https URL of a server")]
    Url(String),
    #[error("the as_token is empty or holds characters that no HTTP header can")]
    Token,
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// A handle to the homeserver; clones share connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    /// Host and port of the same.
    address: (String, u16),
    config: ClientConfig,
    /// Rung when a request went without an answer.
    missed: Notify,
    /// The room version the homeserver makes when none is named; asked once.
    room_version: OnceCell<String>,
}

impl Client {
    /// Makes a client; speaks to nobody yet. Proxies of the environment are not used and redirects not
    /// followed: the token goes to the configured homeserver only.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let base = config.homeserver_url.trim_end_matches('/').to_owned();
        let url = reqwest::Url::parse(&base).map_err(|_| ConfigError::Url(config.homeserver_url.clone()))?;
        let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !bare {
            return Err(ConfigError::Url(config.homeserver_url.clone()));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let address = (host, url.port_or_known_default().unwrap_or_default());
        // Whoever installed a provider first wins; it is the same one everywhere in this program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .default_headers(headers(&config.as_token)?)
            .user_agent(concat!("bunraku/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy();
        if url.scheme() == "http" {
            // Plain HTTP must work on a machine without any certificate authorities.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| ConfigError::Tls(format!("{error:?}")))?;
        let (missed, room_version) = (Notify::new(), OnceCell::new());
        Ok(Self { inner: Arc::new(Inner { http, base, address, config, missed, room_version }) })
    }

    /// Where the homeserver is asked, without a slash at the end. Holds no secret.
    pub fn homeserver_url(&self) -> &str {
        &self.inner.base
    }

    /// The bridge's own user.
    pub fn bot(&self) -> &UserId {
        &self.inner.config.bot
    }

    /// The server part of this homeserver's users and aliases.
    pub fn server_name(&self) -> &str {
        &self.inner.config.server_name
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.inner.base)
            .field("bot", self.bot())
            .finish_non_exhaustive()
    }
}

fn headers(as_token: &Secret) -> Result<HeaderMap, ConfigError> {
    if as_token.expose().is_empty() {
        return Err(ConfigError::Token);
    }
    let bearer = format!("Bearer {}", as_token.expose());
    let mut bearer = HeaderValue::try_from(bearer).map_err(|_| ConfigError::Token)?;
    bearer.set_sensitive(true);
    let json = HeaderValue::from_static("application/json");
    Ok(HeaderMap::from_iter([(AUTHORIZATION, bearer), (CONTENT_TYPE, json)]))
}

#[cfg(test)]
mod tests;
