//! Why something was not done, once for both families of routes: each has its own codes for it.
//!
//! Words are for people who read them in a program: what, and the way out. Never what was sent in a token or a key.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::bridge::errand::plumbing::Unplumbable;

/// How long to wait where operators are asked too much, in milliseconds.
pub(super) const BUSY_MS: u64 = 60_000;

/// Why there is no other answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    NoToken,
    UnknownToken,
    /// They may not, with the reason.
    Forbidden(String),
    /// What is asked cannot be read, with what is wrong.
    Bad(String),
    TooLarge,
    TooMany {
        wait_ms: u64,
    },
    /// There is nothing at this path.
    NotFound,
    /// There is, but not for this method.
    NoMethod,
    UnknownNetwork(String),
    /// By the network, its server, or a rule of the bridge's: the code and the words of whoever refused.
    Refused {
        code: String,
        words: String,
    },
    /// Nobody knows whether it was done.
    Unknown,
    /// Why a room and a channel are not linked.
    Unlinkable(Unplumbable),
    /// A Matrix OpenID token is not good, or its server could not be asked.
    OpenId(String),
    /// It is not offered here.
    Off(String),
    /// Not now.
    Busy,
    /// Something is wrong here; the log tells.
    Broken,
}

/// An answer in the making: status, code, words, and further facts.
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) words: String,
    pub(super) more: Value,
}

impl Told {
    pub(super) fn new(status: StatusCode, code: &str, words: impl Into<String>, more: Value) -> Self {
        Self { status, code: code.to_owned(), words: words.into(), more }
    }

    pub(super) fn response(self) -> Response {
        let mut body = match self.more {
            Value::Object(more) => more,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::new()
            }
        };
        let wait_ms = body.get("retry_after_ms").and_then(Value::as_u64);
        body.insert("errcode".to_owned(), self.code.into());
        body.insert("error".to_owned(), self.words.into());
        let mut answer = (self.status, Json(body)).into_response();
        if let Some(wait_ms) = wait_ms {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1_000).max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        self.told().response()
    }
}

impl Fault {
    /// With the codes of Matrix and our own.
    fn told(self) -> Told {
        let words = self.words();
        let told = |status, code: &str, more| Told::new(status, code, words.clone(), more);
        match self {
            Self::NoToken => told(StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN", Value::Null),
            Self::UnknownToken => told(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN", Value::Null),
            Self::Forbidden(_) => told(StatusCode::FORBIDDEN, "M_FORBIDDEN", Value::Null),
            Self::Bad(_) => told(StatusCode::BAD_REQUEST, "M_INVALID_PARAM", Value::Null),
            Self::TooLarge => told(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", Value::Null),
            Self::TooMany { wait_ms } => {
                told(StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED", json!({ "retry_after_ms": wait_ms }))
            }
            Self::NotFound => told(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", Value::Null),
            Self::NoMethod => told(StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED", Value::Null),
            Self::UnknownNetwork(_) => told(StatusCode::NOT_FOUND, "BUNRAKU_UNKNOWN_NETWORK", Value::Null),
            Self::Refused { code, .. } => {
                told(StatusCode::CONFLICT, "BUNRAKU_REFUSED", json!({ "code": code }))
            }
            Self::Unknown => told(StatusCode::GATEWAY_TIMEOUT, "BUNRAKU_NO_ANSWER", Value::Null),
            Self::Unlinkable(why) => unlinkable(&why, words),
            Self::OpenId(_) => told(StatusCode::FORBIDDEN, "BUNRAKU_BAD_OPENID", Value::Null),
            Self::Off(_) => told(StatusCode::FORBIDDEN, "M_FORBIDDEN", Value::Null),
            Self::Busy => {
                told(StatusCode::SERVICE_UNAVAILABLE, "BUNRAKU_BUSY", json!({ "retry_after_ms": 5_000 }))
            }
            Self::Broken => told(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", Value::Null),
        }
    }

    /// The same for both families.
    pub(super) fn words(&self) -> String {
        match self {
            Self::NoToken => "A token is needed: \"Authorization: Bearer TOKEN\".".to_owned(),
            Self::UnknownToken => "This token is not known, or is over. Get another one.".to_owned(),
            Self::Forbidden(words) | Self::Bad(words) | Self::OpenId(words) | Self::Off(words) => {
                words.clone()
            }
            Self::TooLarge => "The body is too large.".to_owned(),
            Self::TooMany { .. } => "Too much is asked; wait for retry_after_ms.".to_owned(),
            Self::NotFound => "There is nothing at this path.".to_owned(),
            Self::NoMethod => "This path is there, but not for this method.".to_owned(),
            Self::UnknownNetwork(name) => {
                format!("There is no network \"{name}\" here; ask for the list of networks.")
            }
            Self::Refused { words, .. } => words.clone(),
            Self::Unknown => {
                "The network has not answered in time. Nobody knows whether it was done: look, and ask again."
                    .to_owned()
            }
            Self::Unlinkable(why) => why_not(why),
            Self::Busy => "The bridge has too much to do; ask again in a moment.".to_owned(),
            Self::Broken => "Something is wrong with the bridge; its log tells what.".to_owned(),
        }
    }
}

fn unlinkable(why: &Unplumbable, words: String) -> Told {
    use StatusCode as S;
    let (status, code, more) = match why {
        Unplumbable::Excluded => (S::FORBIDDEN, "BUNRAKU_EXCLUDED", Value::Null),
        Unplumbable::RoomTaken { channel } => {
            (S::CONFLICT, "BUNRAKU_ROOM_TAKEN", json!({ "channel": channel }))
        }
        Unplumbable::ChannelTaken { rooms } => {
            (S::CONFLICT, "BUNRAKU_CHANNEL_TAKEN", json!({ "rooms": rooms.len() }))
        }
        Unplumbable::Waiting { since, by } => {
            let by = by.as_ref().map(|user| user.as_str());
            (S::CONFLICT, "BUNRAKU_WAITING", json!({ "since_ms": since.0, "by": by }))
        }
        Unplumbable::Declined => (S::FORBIDDEN, "BUNRAKU_DECLINED", Value::Null),
        Unplumbable::OtherBridge { name } => (S::CONFLICT, "BUNRAKU_OTHER_BRIDGE", json!({ "bridge": name })),
        Unplumbable::NoPower { required } => {
            (S::FORBIDDEN, "BUNRAKU_NO_POWER", json!({ "required": required }))
        }
        Unplumbable::NotInRoom => (S::FORBIDDEN, "BUNRAKU_NOT_IN_ROOM", Value::Null),
        Unplumbable::NoRoom => (S::CONFLICT, "BUNRAKU_NO_ROOM", Value::Null),
        Unplumbable::Unfit { .. } => (S::CONFLICT, "BUNRAKU_UNFIT", Value::Null),
        Unplumbable::NoOperator { nick } => (S::CONFLICT, "BUNRAKU_NO_OPERATOR", json!({ "nick": nick })),
        Unplumbable::NoOperators => (S::CONFLICT, "BUNRAKU_NO_OPERATORS", Value::Null),
        Unplumbable::Full { rooms_max } => (S::CONFLICT, "BUNRAKU_FULL", json!({ "links_max": rooms_max })),
        Unplumbable::Busy => {
            (S::TOO_MANY_REQUESTS, "BUNRAKU_OPERATORS_BUSY", json!({ "retry_after_ms": BUSY_MS }))
        }
    };
    Told::new(status, code, words, more)
}

/// In words, for whoever is at the other end of a program.
fn why_not(why: &Unplumbable) -> String {
    match why {
        Unplumbable::Excluded => "This channel is not linked with people's rooms here.".to_owned(),
        Unplumbable::RoomTaken { channel } => format!("The room is linked with {channel} already."),
        Unplumbable::ChannelTaken { .. } => "The channel has as many rooms as it may.".to_owned(),
        Unplumbable::Waiting { .. } => {
            "It was asked for, and its operators have not answered yet.".to_owned()
        }
        Unplumbable::Declined => "The operators of the channel have said no.".to_owned(),
        Unplumbable::OtherBridge { name } => {
            format!("Another bridge is in the room: {name}. Two would repeat each other.")
        }
        Unplumbable::NoPower { required } => {
            format!("This needs the power level {required} in the room, and they have less.")
        }
        Unplumbable::NotInRoom => "They are not in the room.".to_owned(),
        Unplumbable::NoRoom => "The bot cannot get into the room: invite it there.".to_owned(),
        Unplumbable::Unfit { words } => words.clone(),
        Unplumbable::NoOperator { nick } => format!("{nick} is no operator of the channel."),
        Unplumbable::NoOperators => "Nobody who could say so is in the channel.".to_owned(),
        Unplumbable::Full { rooms_max } => {
            format!("People have linked {rooms_max} rooms, which is as many as may be.")
        }
        Unplumbable::Busy => "Too much is asked of the channel's operators; ask again later.".to_owned(),
    }
}

/// In the words of whoever sent a wrong path, query or body.
pub(super) fn bad(words: impl Into<String>) -> Fault {
    Fault::Bad(words.into())
}
