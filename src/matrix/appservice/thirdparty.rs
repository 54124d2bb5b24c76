//! What clients may look up of IRC (application service API, "Third-party networks"): the networks there are, channels and
//! people by name, and back from alias and ghost.
//!
//! Fields are read as far as they are needed and no further; a question that makes no sense finds nothing, and nothing
//! here says more than the homeserver's question for an alias is answered.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::{ASK_TIMEOUT, Host, Refusal, Shared};
use crate::bridge::effect::Found;
use crate::bridge::input::LookUp;
use crate::ids::{RoomAlias, UserId};
use crate::text::percent;

/// The only protocol there is here.
const PROTOCOL: &str = "irc";
/// The longest query read, in bytes.
const QUERY_BYTES_MAX: usize = 4_096;
/// The longest field taken, in bytes: no channel or nick is longer.
const FIELD_BYTES_MAX: usize = 512;

/// A network that can be looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its name among ours.
    pub network: String,
    /// What people call it.
    pub name: String,
    /// The name by which its channels and people are asked for.
    pub domain: String,
}

/// Something that was found, and on which network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    pub domain: String,
    pub found: Found,
}

pub(super) fn routes<H: Host>() -> Router<Arc<Shared<H>>> {
    Router::new()
        .route("/_matrix/app/v1/thirdparty/protocol/{protocol}", get(protocol::<H>))
        .route("/_matrix/app/v1/thirdparty/location/{protocol}", get(location::<H>))
        .route("/_matrix/app/v1/thirdparty/user/{protocol}", get(user::<H>))
        .route("/_matrix/app/v1/thirdparty/location", get(by_alias::<H>))
        .route("/_matrix/app/v1/thirdparty/user", get(by_user::<H>))
}

type Answer = Result<Json, Refusal>;

async fn protocol<H: Host>(
    State(shared): State<Arc<Shared<H>>>,
    protocol: Result<Path<String>, PathRejection>,
) -> Answer {
    is_irc(protocol)?;
    Ok(Json(protocol_of(&shared.host.instances())))
}

async fn location<H: Host>(
    State(shared): State<Arc<Shared<H>>>,
    protocol: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Answer {
    is_irc(protocol)?;
    let channel = field(query.as_deref(), "channel").map(LookUp::Channel);
    find(&shared, field(query.as_deref(), "domain"), channel).await
}

async fn user<H: Host>(
    State(shared): State<Arc<Shared<H>>>,
    protocol: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Answer {
    is_irc(protocol)?;
    let nick = field(query.as_deref(), "nick").map(LookUp::Nick);
    find(&shared, field(query.as_deref(), "domain"), nick).await
}

async fn by_alias<H: Host>(State(shared): State<Arc<Shared<H>>>, RawQuery(query): RawQuery) -> Answer {
    let alias = field(query.as_deref(), "alias").and_then(|alias| RoomAlias::new(&alias));
    find(&shared, None, alias.map(LookUp::Alias)).await
}

async fn by_user<H: Host>(State(shared): State<Arc<Shared<H>>>, RawQuery(query): RawQuery) -> Answer {
    let user = field(query.as_deref(), "userid").and_then(|user| UserId::new(&user));
    find(&shared, None, user.map(LookUp::Ghost)).await
}

fn is_irc(protocol: Result<Path<String>, PathRejection>) -> Result<(), Refusal> {
    protocol.is_ok_and(|Path(protocol)| protocol == PROTOCOL).then_some(()).ok_or(Refusal::Absent)
}

/// Without a name to look for nothing is found: nobody gets a list of what there is.
async fn find<H: Host>(shared: &Shared<H>, domain: Option<String>, what: Option<LookUp>) -> Answer {
    let Some(what) = what else { return Ok(Json(json!([]))) };
    let _place = shared.questions.try_acquire().map_err(|_| Refusal::Busy)?;
    let hits = timeout(ASK_TIMEOUT, shared.host.look_up(domain, what)).await.map_err(|_| Refusal::Busy)?;
    Ok(Json(hits.iter().map(hit).collect()))
}

/// A field of the query, decoded; `None` where it is empty, is no text or too long.
fn field(query: Option<&str>, name: &str) -> Option<String> {
    let query = query.filter(|query| query.len() <= QUERY_BYTES_MAX)?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let text = String::from_utf8(percent::decode_form(value)).ok()?;
    (!text.is_empty() && text.len() <= FIELD_BYTES_MAX).then_some(text)
}

fn hit(hit: &Hit) -> Value {
    let (name, value, mut fields) = match &hit.found {
        Found::Place { alias, channel } => ("alias", alias.as_str(), json!({ "channel": channel })),
        Found::Person { user, nick } => ("userid", user.as_str(), json!({ "nick": nick })),
    };
    fields["domain"] = json!(hit.domain);
    json!({ name: value, "protocol": PROTOCOL, "fields": fields })
}

fn protocol_of(instances: &[Instance]) -> Value {
    let instance = |instance: &Instance| {
        let Instance { network, name, domain } = instance;
        json!({ "network_id": network, "desc": name, "fields": { "domain": domain } })
    };
    let field = |regexp: &str, placeholder: &str| json!({ "regexp": regexp, "placeholder": placeholder });
    let mut types = Map::new();
    types.insert("domain".to_owned(), field(r"[^\s/]+", "irc.example.org"));
    types.insert("channel".to_owned(), field(r"[#&+!][^\s,\x07]+", "#example"));
    types.insert("nick".to_owned(), field(r"[^\s#&!@:,]+", "nick"));
    json!({
        "user_fields": ["domain", "nick"],
        "location_fields": ["domain", "channel"],
        "icon": "",
        "field_types": types,
        "instances": instances.iter().map(instance).collect::<Vec<Value>>(),
    })
}

struct Json(Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], self.0.to_string()).into_response()
    }
}
