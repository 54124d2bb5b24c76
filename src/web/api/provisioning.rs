//! The routes by which integration managers and widgets link rooms with another bridge, with its codes: so that they need no change.
//!
//! The person stands in the body or the query (`user_id`, `userId`) where a token of the configuration asks. What a network is
//! called there (`remote_room_server`) may be its id here or the name of one of its servers; answers have the id.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answers::{Empty, fault_of};
use super::asking::{self, Asked, By, Caller, Named, channel, room, word};
use super::fault::{BUSY_MS, Fault, Told, bad};
use super::hands::{Hands, May};
use super::links::NICK_CHARS_MAX;
use super::people::{At, key};
use super::{Client, Desk};
use crate::bridge::errand::plumbing::{LinkState, Plumbing, Unplumbable};
use crate::bridge::errand::{Errand, Report};
use crate::ids::UserId;

/// A fault with the codes of these routes.
pub(super) struct Refused {
    fault: Fault,
    about: About,
}

/// What it was about, where the fault alone does not say.
#[derive(Clone, Copy)]
enum About {
    Channel,
    Room,
}

type Answer<T> = Result<Json<T>, Refused>;

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self { fault, about: About::Channel }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let words = self.fault.words();
        let (status, code, more) = code(self.fault, self.about, &words);
        Told::new(status, code, words, more).response()
    }
}

/// Exactly the codes and statuses that those who ask here know.
fn code(fault: Fault, about: About, words: &str) -> (StatusCode, &'static str, Value) {
    use StatusCode as S;
    let unknown = match about {
        About::Channel => "IRC_UNKNOWN_CHANNEL",
        About::Room => "IRC_UNKNOWN_ROOM",
    };
    match fault {
        Fault::NoToken | Fault::UnknownToken => (S::UNAUTHORIZED, "M_AS_BAD_TOKEN", Value::Null),
        Fault::Forbidden(_) | Fault::NotFound | Fault::NoMethod => {
            (S::BAD_REQUEST, "M_AS_UNSUPPORTED_OPERATION", Value::Null)
        }
        Fault::Bad(_) | Fault::TooLarge => {
            (S::BAD_REQUEST, "M_AS_BAD_VALUE", json!({ "errors": [{ "message": words }] }))
        }
        Fault::TooMany { wait_ms } => limited(wait_ms),
        Fault::UnknownNetwork(_) => (S::NOT_FOUND, "IRC_UNKNOWN_NETWORK", Value::Null),
        Fault::Refused { .. } => (S::NOT_FOUND, unknown, Value::Null),
        Fault::Unlinkable(why) => unlinkable(&why),
        Fault::OpenId(_) => (S::INTERNAL_SERVER_ERROR, "M_AS_BAD_OPENID", Value::Null),
        Fault::Off(_) => (S::INTERNAL_SERVER_ERROR, "M_AS_DISABLED_FEATURE", Value::Null),
        Fault::Unknown | Fault::Busy | Fault::Broken => {
            (S::INTERNAL_SERVER_ERROR, "M_AS_UNKNOWN", Value::Null)
        }
    }
}

fn limited(wait_ms: u64) -> (StatusCode, &'static str, Value) {
    let more = json!({ "retry_after_ms": wait_ms });
    (StatusCode::TOO_MANY_REQUESTS, "M_AS_LIMIT_EXCEEDED", more)
}

fn unlinkable(why: &Unplumbable) -> (StatusCode, &'static str, Value) {
    use StatusCode as S;
    match why {
        Unplumbable::Excluded => (S::NOT_FOUND, "IRC_UNKNOWN_CHANNEL", Value::Null),
        Unplumbable::RoomTaken { .. } | Unplumbable::ChannelTaken { .. } => {
            (S::CONFLICT, "IRC_EXISTING_MAPPING", json!({ "origin": "provision" }))
        }
        Unplumbable::Waiting { by, .. } => {
            let bridger = by.as_ref().map(UserId::as_str);
            (S::CONFLICT, "IRC_EXISTING_REQUEST", json!({ "status": "pending", "bridger": bridger }))
        }
        Unplumbable::Declined => {
            (S::CONFLICT, "IRC_EXISTING_REQUEST", json!({ "status": "failure", "bridger": null }))
        }
        Unplumbable::OtherBridge { .. } => (S::CONFLICT, "IRC_DOUBLE_BRIDGE", Value::Null),
        Unplumbable::NoPower { required } => {
            (S::FORBIDDEN, "IRC_NOT_ENOUGH_POWER", json!({ "requiredPower": required }))
        }
        Unplumbable::NotInRoom | Unplumbable::NoRoom => (S::NOT_FOUND, "IRC_UNKNOWN_ROOM", Value::Null),
        Unplumbable::Unfit { .. } => (S::BAD_REQUEST, "M_AS_UNSUPPORTED_OPERATION", Value::Null),
        Unplumbable::NoOperator { .. } | Unplumbable::NoOperators => {
            (S::BAD_REQUEST, "IRC_BAD_OPERATOR_TARGET", Value::Null)
        }
        Unplumbable::Full { .. } => (S::INTERNAL_SERVER_ERROR, "IRC_BRIDGE_AT_LIMIT", Value::Null),
        Unplumbable::Busy => limited(BUSY_MS),
    }
}

/// What all bodies and queries may have.
#[derive(Default, Deserialize)]
struct Whom {
    user_id: Option<String>,
    #[serde(rename = "userId")]
    user_id_camel: Option<String>,
}

impl Whom {
    fn named(&self) -> Option<&str> {
        self.user_id.as_deref().or(self.user_id_camel.as_deref())
    }
}

/// By what somebody is let in, and whom the query names.
pub(super) struct Bearer {
    by: By,
    in_query: Whom,
}

impl<H: Hands> FromRequestParts<Arc<Desk<H>>> for Bearer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk<H>>) -> Result<Self, Refused> {
        let by = desk.by(parts)?;
        let Asked(in_query) = Asked::from_request_parts(parts, desk).await?;
        Ok(Self { by, in_query })
    }
}

impl<H: Hands> Desk<H> {
    fn person(&self, bearer: Bearer, in_body: Option<&Whom>) -> Result<Caller, Fault> {
        let named = in_body.and_then(Whom::named).or(bearer.in_query.named());
        self.caller(bearer.by, named)
    }

    /// For what is the same for everybody, a token needs to name nobody: in whose name it is asked then.
    fn reader(&self, bearer: Bearer) -> Result<(UserId, Option<Caller>), Fault> {
        let is_anonymous = bearer.by.token_name().is_some() && bearer.in_query.named().is_none();
        if is_anonymous {
            return Ok((self.hands.bot().clone(), None));
        }
        let caller = self.person(bearer, None)?;
        Ok((caller.user.clone(), Some(caller)))
    }

    /// A network by its id, or by a server of it.
    fn remote(&self, name: &str) -> Result<&super::Network, Fault> {
        let by_host =
            |network: &&super::Network| network.hosts.iter().any(|host| host.eq_ignore_ascii_case(name));
        self.network(name).or_else(|fault| self.hands.networks().iter().find(by_host).ok_or(fault))
    }
}

#[derive(Deserialize)]
pub(super) struct Body {
    remote_room_channel: String,
    remote_room_server: String,
    matrix_room_id: Option<String>,
    op_nick: Option<String>,
    key: Option<String>,
    #[serde(flatten)]
    whom: Whom,
}

impl Body {
    fn room(&self) -> Result<crate::ids::RoomId, Fault> {
        room(self.matrix_room_id.as_deref().ok_or_else(|| bad("the body: missing field `matrix_room_id`"))?)
    }
}

/// Reads a body, in which the person may stand.
async fn asked<T: DeserializeOwned>(request: Request) -> Result<T, Refused> {
    asking::read(request).await.map_err(Refused::from)
}

pub(super) async fn link<H: Hands>(State(desk): At<H>, bearer: Bearer, request: Request) -> Answer<Empty> {
    let body: Body = asked(request).await?;
    let caller = desk.person(bearer, Some(&body.whom))?;
    caller.needs(May::Plumber)?;
    let network = desk.remote(&body.remote_room_server)?;
    let errand = Errand::Plumb {
        room: body.room()?,
        channel: channel(body.remote_room_channel)?,
        key: key(body.key.filter(|key| !key.is_empty()))?,
        operator: word("op_nick", body.op_nick.filter(|nick| !nick.is_empty()), NICK_CHARS_MAX)?,
    };
    match desk.hands.errand(&network.id, &caller.user, errand).await {
        Report::Plumbing(Plumbing::Linked { .. } | Plumbing::Asked { .. }) => Ok(Json(Empty {})),
        report => Err(fault_of(report).into()),
    }
}

pub(super) async fn unlink<H: Hands>(State(desk): At<H>, bearer: Bearer, request: Request) -> Answer<Empty> {
    let body: Body = asked(request).await?;
    let caller = desk.person(bearer, Some(&body.whom))?;
    caller.needs(May::Plumber)?;
    let network = desk.remote(&body.remote_room_server)?;
    let errand = Errand::Unplumb { room: body.room()?, channel: Some(channel(body.remote_room_channel)?) };
    match desk.hands.errand(&network.id, &caller.user, errand).await {
        Report::Done => Ok(Json(Empty {})),
        report => Err(Refused { fault: fault_of(report), about: About::Room }),
    }
}

pub(super) async fn listlinks<H: Hands>(
    State(desk): At<H>,
    bearer: Bearer,
    named: Result<Named<String>, Fault>,
) -> Answer<Vec<Value>> {
    let Named(text) = named?;
    let room = room(&text)?;
    let (user, caller) = desk.reader(bearer)?;
    if let Some(caller) = &caller {
        caller.needs(May::Plumber)?;
        if !desk.may_see(caller, &room).await? {
            return Err(Fault::Unlinkable(Unplumbable::NotInRoom).into());
        }
    }
    let links = desk.links(&user, Some(&room)).await?;
    let linked = links.into_iter().filter(|(_, link)| link.state == LinkState::Linked);
    let rows = linked.map(|(network, link)| {
        json!({
            "matrix_room_id": link.room.as_str(),
            "remote_room_channel": link.channel,
            "remote_room_server": network.as_str(),
        })
    });
    Ok(Json(rows.collect()))
}

pub(super) async fn querylink<H: Hands>(
    State(desk): At<H>,
    bearer: Bearer,
    request: Request,
) -> Answer<Value> {
    let body: Body = asked(request).await?;
    let caller = desk.person(bearer, Some(&body.whom))?;
    caller.needs(May::Plumber)?;
    let network = desk.remote(&body.remote_room_server)?;
    let key = key(body.key.filter(|key| !key.is_empty()))?;
    let errand = Errand::Operators { channel: channel(body.remote_room_channel)?, key };
    match desk.hands.errand(&network.id, &caller.user, errand).await {
        Report::Operators(operators) => Ok(Json(json!({ "operators": operators }))),
        report => Err(fault_of(report).into()),
    }
}

pub(super) async fn querynetworks<H: Hands>(State(desk): At<H>, bearer: Bearer) -> Answer<Value> {
    desk.reader(bearer)?;
    let bot = desk.hands.bot().as_str();
    let row = |network: &super::Network| {
        json!({
            "network_id": network.id.as_str(),
            "bot_user_id": bot,
            "desc": network.name,
            "fields": { "domain": network.id.as_str() },
        })
    };
    let servers: Vec<Value> = desk.hands.networks().iter().map(row).collect();
    Ok(Json(json!({ "servers": servers })))
}

pub(super) async fn limits<H: Hands>(State(desk): At<H>, bearer: Bearer) -> Answer<Value> {
    desk.reader(bearer)?;
    let count = desk.linked_count().await?;
    let limit = desk.hands.links_max().map_or(Value::Bool(false), Value::from);
    Ok(Json(json!({ "count": count, "limit": limit })))
}

pub(super) async fn session<H: Hands>(State(desk): At<H>, bearer: Bearer) -> Answer<Value> {
    let caller = desk.person(bearer, None)?;
    let kind = match caller.by {
        By::Session { .. } => "widget",
        By::Token { .. } => "provisioner",
    };
    Ok(Json(json!({ "userId": caller.user.as_str(), "type": kind })))
}

pub(super) async fn end_session<H: Hands>(State(desk): At<H>, bearer: Bearer) -> Answer<Value> {
    let By::Session { token, .. } = bearer.by else { return Err(no_session()) };
    desk.sessions.end(token.expose());
    Ok(Json(json!({ "ok": true })))
}

pub(super) async fn end_sessions<H: Hands>(State(desk): At<H>, bearer: Bearer) -> Answer<Value> {
    let By::Session { user, .. } = bearer.by else { return Err(no_session()) };
    desk.sessions.end_all(&user);
    Ok(Json(json!({ "ok": true })))
}

fn no_session() -> Refused {
    Fault::Forbidden("A token of the configuration is no session; it ends there.".to_owned()).into()
}

#[derive(Deserialize)]
struct OpenIdBody {
    #[serde(rename = "openIdToken")]
    token: String,
    #[serde(rename = "matrixServer")]
    server: String,
}

pub(super) async fn exchange_openid<H: Hands>(
    State(desk): At<H>,
    client: Client,
    request: Request,
) -> Answer<Value> {
    let body: OpenIdBody = asked(request).await?;
    let (token, user) = desk.sign_in(client, &body.server, &body.token).await?;
    Ok(Json(json!({ "token": token.expose(), "userId": user.as_str() })))
}

pub(super) async fn health() -> Json<Value> {
    Json(json!({ "ok": true }))
}
