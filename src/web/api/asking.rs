//! Who asks and what: tokens, people, paths, queries, bodies. What cannot be read is refused before anybody acts on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::fault::{Fault, bad};
use super::hands::{Hands, May};
use super::{Client, Desk, TokenMay};
use crate::ids::{ChannelName, RoomId, UserId};
use crate::secret::Secret;
use crate::text::casemap::CaseMap;
use crate::web::media::{Peer, client_of};

/// The longest body that is read.
pub(super) const BODY_BYTES_MAX: usize = 16 * 1024;
/// How long a body may take to come.
const BODY_WAIT: Duration = Duration::from_secs(10);
/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 512;

/// By what somebody is let in.
#[derive(Clone)]
pub(super) enum By {
    /// A session of this person's, by this token.
    Session { user: UserId, token: Secret },
    /// A token of the configuration, by its name.
    Token { name: String, may: TokenMay },
}

/// Somebody on whose behalf something is asked, and who may use the bridge.
pub(super) struct Caller {
    pub(super) user: UserId,
    pub(super) may: May,
    pub(super) by: By,
}

impl By {
    /// The name of a token of the configuration.
    pub(super) fn token_name(&self) -> Option<&str> {
        match self {
            Self::Session { .. } => None,
            Self::Token { name, .. } => Some(name),
        }
    }
}

impl Caller {
    /// Refuses those who may do less.
    pub(super) fn needs(&self, least: May) -> Result<(), Fault> {
        if self.may >= least {
            return Ok(());
        }
        let words = match least {
            May::Blocked | May::User => "They may not use this bridge.",
            May::Plumber => "They may not link rooms: the configuration has to make them plumber.",
            May::Admin => "This is for admins of the bridge.",
        };
        Err(Fault::Forbidden(words.to_owned()))
    }
}

impl<H: Hands> Desk<H> {
    /// By what this request is let in; who has nothing good is counted by address.
    pub(super) fn by(&self, parts: &Parts) -> Result<By, Fault> {
        let Some(token) = bearer(parts) else {
            self.limits.stranger(self.client(parts))?;
            return Err(Fault::NoToken);
        };
        // All are compared, so that the time tells nothing of which are there.
        let mut known = None;
        for kept in &self.tokens {
            if kept.secret.matches(token.as_bytes()) {
                known = Some(By::Token { name: kept.name.clone(), may: kept.may });
            }
        }
        let session = || Some(By::Session { user: self.sessions.of(token)?, token: Secret::new(token) });
        let Some(by) = known.or_else(session) else {
            self.limits.stranger(self.client(parts))?;
            return Err(Fault::UnknownToken);
        };
        match &by {
            By::Session { user, .. } => self.limits.person(None, user)?,
            By::Token { name, .. } => self.limits.token(name)?,
        }
        Ok(by)
    }

    /// On whose behalf: of a session its person, of a token whom it names.
    pub(super) fn caller(&self, by: By, named: Option<&str>) -> Result<Caller, Fault> {
        let named = named.map(|text| UserId::new(text).ok_or_else(|| bad("user_id is no Matrix user id")));
        let named = named.transpose()?;
        let user = match (&by, named) {
            (By::Session { user, .. }, Some(named)) if *user != named => {
                return Err(Fault::Forbidden("A session speaks for its own person only.".to_owned()));
            }
            (By::Session { user, .. }, _) => user.clone(),
            (By::Token { name, .. }, Some(named)) => {
                self.limits.person(Some(name), &named)?;
                named
            }
            (By::Token { .. }, None) => {
                return Err(bad("user_id is needed with this token: for whom is it asked?"));
            }
        };
        let caller = Caller { may: self.hands.may(&user), user, by };
        caller.needs(May::User)?;
        Ok(caller)
    }

    /// Where a request comes from.
    pub(super) fn client(&self, parts: &Parts) -> Client {
        // Both listeners tell it; who were not told of would all be one.
        let nobody = Peer(SocketAddr::from(([0, 0, 0, 0], 0)));
        let Peer(peer) =
            parts.extensions.get::<ConnectInfo<Peer>>().map_or(nobody, |ConnectInfo(peer)| *peer);
        client_of(peer, &parts.headers, &self.proxies)
    }
}

/// What follows `Bearer `, whose case is free (RFC 9110 section 11.1).
fn bearer(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    let is_token =
        scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX;
    is_token.then_some(token)
}

#[derive(serde::Deserialize)]
struct OnBehalf {
    user_id: Option<String>,
}

impl<H: Hands> FromRequestParts<Arc<Desk<H>>> for Caller {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk<H>>) -> Result<Self, Fault> {
        let by = desk.by(parts)?;
        let Asked(OnBehalf { user_id }) = Asked::from_request_parts(parts, desk).await?;
        desk.caller(by, user_id.as_deref())
    }
}

impl<H: Hands> FromRequestParts<Arc<Desk<H>>> for By {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk<H>>) -> Result<Self, Fault> {
        desk.by(parts)
    }
}

impl<H: Hands> FromRequestParts<Arc<Desk<H>>> for Client {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk<H>>) -> Result<Self, Fault> {
        Ok(desk.client(parts))
    }
}

/// Names in the path, as text.
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        read.map(|Path(names)| Self(names)).map_err(|_| bad("the path holds what is no text of UTF-8"))
    }
}

/// The query.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Asked<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(asked)| Self(asked)).map_err(|_| bad("the query cannot be read"))
    }
}

/// The body, as JSON; one that is not there is `{}`.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequest<S> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &S) -> Result<Self, Fault> {
        read(request).await.map(Self)
    }
}

/// Reads a body.
pub(super) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Fault> {
    let reading = timeout(BODY_WAIT, to_bytes(request.into_body(), BODY_BYTES_MAX)).await;
    let body = match reading {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(Fault::TooLarge),
        Err(_) => return Err(bad("the body did not come in time")),
    };
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let words = error.inner().to_string();
        // What else serde says repeats the value, which may be a secret.
        let is_about_names = words.starts_with("missing field") || words.starts_with("unknown field");
        match error.path().to_string() {
            _ if is_about_names => bad(format!("the body: {words}")),
            path => bad(format!("the body is not as it should be at \"{path}\"")),
        }
    })?;
    json.end().map_err(|_| bad("there is more in the body than one value"))?;
    Ok(value)
}

/// A room, by its id.
pub(super) fn room(text: &str) -> Result<RoomId, Fault> {
    RoomId::new(text).filter(|_| is_line(text)).ok_or_else(|| bad("this is no id of a room (\"!…\")"))
}

/// Somebody, by their id.
pub(super) fn user(text: &str) -> Result<UserId, Fault> {
    UserId::new(text).filter(|_| is_line(text)).ok_or_else(|| bad("this is no Matrix user id"))
}

/// A channel, as it was written.
pub(super) fn channel(text: String) -> Result<String, Fault> {
    let is_channel = is_line(&text) && ChannelName::new(&text, CaseMap::default()).is_some();
    if is_channel { Ok(text) } else { Err(bad("this is no name of a channel (\"#…\")")) }
}

/// A word that goes into a line of IRC as one parameter.
pub(super) fn word(name: &str, text: Option<String>, chars_max: usize) -> Result<Option<String>, Fault> {
    let is_word = |text: &String| {
        is_line(text)
            && !text.is_empty()
            && text.chars().count() <= chars_max
            && !text.contains([' ', ','])
            && !text.starts_with(':')
    };
    match text {
        Some(text) if !is_word(&text) => {
            Err(bad(format!("{name} has to be one word, {chars_max} letters at most")))
        }
        text => Ok(text),
    }
}

/// Words that end a line of IRC.
pub(super) fn words(name: &str, text: Option<String>, chars_max: usize) -> Result<Option<String>, Fault> {
    match text {
        Some(text) if !is_line(&text) || text.chars().count() > chars_max => {
            Err(bad(format!("{name} has to be one line, {chars_max} letters at most")))
        }
        text => Ok(text.filter(|text| !text.is_empty())),
    }
}

/// True for text that is one line, and stays one wherever it is put.
pub(super) fn is_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}
