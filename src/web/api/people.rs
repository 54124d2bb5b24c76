//! What people ask for themselves: who they are here, networks, connections, logins, channels; and sessions.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answers::{Connection, Empty, Joined, fault_of};
use super::asking::{Body, By, Caller, Named, channel, is_line, word, words};
use super::fault::{Fault, bad};
use super::hands::{Hands, InRoom, Kept, May};
use super::sessions::SESSION_AGE;
use super::{Client, Desk};
use crate::bridge::errand::{Errand, Report};
use crate::ids::{ChannelName, RoomId, UserId};
use crate::secret::Secret;
use crate::text::casemap::CaseMap;

pub(super) type At<H> = State<Arc<Desk<H>>>;
pub(super) type Answer<T> = Result<Json<T>, Fault>;

/// The longest key of a channel, and the longest reason, in letters.
pub(super) const KEY_CHARS_MAX: usize = 300;
pub(super) const REASON_CHARS_MAX: usize = 300;
const ACCESS_TOKEN_BYTES_MAX: usize = 4_096;
const SERVER_BYTES_MAX: usize = 255;
/// In how many rooms it is looked whether somebody is there, for one answer.
const ROOMS_SEEN_MAX: usize = 20;

#[derive(Deserialize)]
pub(super) struct OpenIdBody {
    access_token: String,
    matrix_server_name: String,
    token_type: Option<String>,
    expires_in: Option<serde_json::Number>,
}

#[derive(Serialize)]
pub(super) struct Begun {
    token: String,
    user_id: String,
    expires_in_ms: u64,
}

pub(super) async fn openid<H: Hands>(
    State(desk): At<H>,
    client: Client,
    Body(body): Body<OpenIdBody>,
) -> Answer<Begun> {
    if body.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(bad("token_type is \"Bearer\" in what clients get"));
    }
    // Homeservers say how long it is good; whether it is good now they are asked.
    let _ = body.expires_in;
    let (token, user) = desk.sign_in(client, &body.matrix_server_name, &body.access_token).await?;
    let expires_in_ms = u64::try_from(SESSION_AGE.as_millis()).unwrap_or(u64::MAX);
    Ok(Json(Begun { token: token.expose().to_owned(), user_id: user.to_string(), expires_in_ms }))
}

impl<H: Hands> Desk<H> {
    /// A session for an OpenID token.
    pub(super) async fn sign_in(
        &self,
        client: Client,
        server: &str,
        token: &str,
    ) -> Result<(Secret, UserId), Fault> {
        self.limits.exchange(client)?;
        if token.is_empty() || token.len() > ACCESS_TOKEN_BYTES_MAX || !is_line(token) {
            return Err(bad("this is no OpenID token"));
        }
        if server.is_empty() || server.len() > SERVER_BYTES_MAX || !is_line(server) {
            return Err(bad("this is no name of a server"));
        }
        let user = self.openid.user(server, token).await?;
        if self.hands.may(&user) < May::User {
            return Err(Fault::Forbidden("They may not use this bridge.".to_owned()));
        }
        Ok((self.sessions.begin(user.clone()), user))
    }

    /// Gives an errand.
    pub(super) async fn give(&self, network: &str, caller: &UserId, errand: Errand) -> Result<Report, Fault> {
        let network = self.network(network)?;
        Ok(self.hands.errand(&network.id, caller, errand).await)
    }

    /// Whether they may be told of a room: tokens of the configuration and admins of all, others of those they are in.
    pub(super) async fn may_see(&self, caller: &Caller, room: &RoomId) -> Result<bool, Fault> {
        if caller.by.token_name().is_some() || caller.may >= May::Admin {
            return Ok(true);
        }
        Ok(self.hands.presence(room, &caller.user).await? == InRoom::In)
    }
}

pub(super) async fn end_session<H: Hands>(State(desk): At<H>, by: By) -> Answer<Empty> {
    match by {
        By::Session { token, .. } => {
            desk.sessions.end(token.expose());
            Ok(Json(Empty {}))
        }
        By::Token { .. } => {
            Err(Fault::Forbidden("A token of the configuration is no session; it ends there.".to_owned()))
        }
    }
}

pub(super) async fn whoami<H: Hands>(caller: Caller, _: At<H>) -> Answer<Value> {
    let kind = match caller.by {
        By::Session { .. } => "session",
        By::Token { .. } => "token",
    };
    Ok(Json(json!({ "user_id": caller.user.as_str(), "permission": caller.may, "kind": kind })))
}

pub(super) async fn networks<H: Hands>(State(desk): At<H>, _: Caller) -> Answer<Value> {
    let bot = desk.hands.bot().as_str();
    let network = |network: &super::hands::Network| json!({ "id": network.id.as_str(), "name": network.name, "bot_user_id": bot });
    let networks: Vec<Value> = desk.hands.networks().iter().map(network).collect();
    Ok(Json(json!({ "networks": networks })))
}

pub(super) async fn connection<H: Hands>(
    State(desk): At<H>,
    caller: Caller,
    Named(network): Named<String>,
) -> Answer<Connection> {
    match desk.give(&network, &caller.user, Errand::Status).await? {
        Report::Status(status) => Ok(Json((*status).into())),
        report => Err(fault_of(report)),
    }
}

pub(super) async fn login<H: Hands>(
    State(desk): At<H>,
    caller: Caller,
    Named(network): Named<String>,
) -> Answer<Value> {
    let network = desk.network(&network)?;
    let login = desk.hands.login(&network.id, &caller.user).await?;
    let mut answer = json!({ "flows": ["password", "certificate"], "has_password": false });
    if let Some(login) = login {
        answer["account"] = login.account.into();
        answer["has_password"] = (login.password == Kept::Yes).into();
        if let Some(fingerprint) = login.fingerprint {
            answer["fingerprint"] = fingerprint.into();
        }
    }
    Ok(Json(answer))
}

/// Of a channel, with what opens it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinBody {
    key: Option<String>,
}

pub(super) async fn join<H: Hands>(
    State(desk): At<H>,
    caller: Caller,
    Named((network, name)): Named<(String, String)>,
    Body(body): Body<JoinBody>,
) -> Answer<Joined> {
    let errand = Errand::Join { channel: channel(name)?, key: key(body.key)? };
    match desk.give(&network, &caller.user, errand).await? {
        Report::Joined(joined) => Ok(Json(joined.into())),
        report => Err(fault_of(report)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonBody {
    pub(super) reason: Option<String>,
}

pub(super) async fn part<H: Hands>(
    State(desk): At<H>,
    caller: Caller,
    Named((network, name)): Named<(String, String)>,
    Body(body): Body<ReasonBody>,
) -> Answer<Empty> {
    let reason = words("reason", body.reason, REASON_CHARS_MAX)?;
    let errand = Errand::Part { channel: channel(name)?, reason };
    match desk.give(&network, &caller.user, errand).await? {
        Report::Done => Ok(Json(Empty {})),
        report => Err(fault_of(report)),
    }
}

pub(super) const KEY_HEADER: &str = "bunraku-channel-key";

pub(super) async fn look<H: Hands>(
    State(desk): At<H>,
    caller: Caller,
    Named((network, name)): Named<(String, String)>,
    headers: HeaderMap,
) -> Answer<Value> {
    caller.needs(May::Plumber)?;
    let name = channel(name)?;
    let given = headers.get(KEY_HEADER).map(|value| value.to_str().map(str::to_owned));
    let given =
        given.transpose().map_err(|_| bad("the channel's key has letters that no header can have"))?;
    let key = key(given.filter(|text| !text.is_empty()))?;
    let errand = Errand::Operators { channel: name.clone(), key };
    let operators = match desk.give(&network, &caller.user, errand).await? {
        Report::Operators(operators) => operators,
        report => return Err(fault_of(report)),
    };
    let links = match desk.give(&network, &caller.user, Errand::Links { room: None }).await? {
        Report::Links(links) => links,
        report => return Err(fault_of(report)),
    };
    let mut rooms = Vec::new();
    let here = links.into_iter().filter(|link| is_same(&link.channel, &name));
    for link in here.take(ROOMS_SEEN_MAX) {
        if desk.may_see(&caller, &link.room).await? {
            rooms.push(link.room.to_string());
        }
    }
    Ok(Json(json!({ "channel": name, "operators": operators, "links": rooms })))
}

/// A key of a channel.
pub(super) fn key(text: Option<String>) -> Result<Option<Secret>, Fault> {
    Ok(word("key", text, KEY_CHARS_MAX)?.map(Secret::from))
}

/// Whether two names are of one channel, as most networks see it.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let folded = |name: &str| ChannelName::new(name, CaseMap::default()).map(|name| name.folded().to_owned());
    folded(one).is_some_and(|one| folded(other) == Some(one))
}
