//! What is answered: the facts of reports as JSON, as the document has them.

use serde::Serialize;
use serde_json::Value;

use super::fault::Fault;
use crate::bridge::effect::{CommandAnswer, Verdict};
use crate::bridge::errand::plumbing::{Link, LinkState, Plumbing};
use crate::bridge::errand::{self, InChannel, Report, RoomDoor, Status, UserFact};
use crate::ids::NetworkId;

/// `{}`: it is done.
#[derive(Serialize)]
pub(super) struct Empty {}

/// How somebody is on a network.
#[derive(Default, Serialize)]
pub(super) struct Connection {
    #[serde(flatten)]
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    nick: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    modes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_ms: Option<u64>,
    queued_lines: usize,
    waiting_messages: usize,
    channels: Vec<Place>,
    queries: usize,
}

#[derive(Default, Serialize)]
struct State {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Place {
    channel: String,
    standing: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    rooms: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<String>,
}

impl From<errand::Connection> for State {
    fn from(connection: errand::Connection) -> Self {
        let plain = |state| Self { state, ..Self::default() };
        match connection {
            errand::Connection::Ready { since } => {
                Self { since_ms: since.map(|since| since.0), ..plain("ready") }
            }
            errand::Connection::Connecting => plain("connecting"),
            errand::Connection::Waiting { until, why } => {
                Self { until_ms: Some(until.0), reason: why, ..plain("waiting") }
            }
            errand::Connection::Held(why) => Self { reason: Some(why), ..plain("held") },
            errand::Connection::Asleep => plain("asleep"),
            errand::Connection::None => plain("none"),
        }
    }
}

impl From<Status> for Connection {
    fn from(status: Status) -> Self {
        let place = |place: errand::Place| Place {
            channel: place.channel,
            standing: match place.standing {
                InChannel::In => "in",
                InChannel::Joining => "joining",
                InChannel::Leaving => "leaving",
                InChannel::Out => "out",
            },
            refused: place.refused,
            rooms: place.rooms.iter().map(ToString::to_string).collect(),
            carrier: place.carrier,
        };
        Self {
            state: status.connection.into(),
            nick: status.nick,
            account: status.account,
            modes: status.modes,
            server: status.server,
            lag_ms: status.lag_ms,
            queued_lines: status.queued_lines,
            waiting_messages: status.waiting_messages,
            channels: status.channels.into_iter().map(place).collect(),
            queries: status.queries,
        }
    }
}

/// A channel they are in.
#[derive(Serialize)]
pub(super) struct Joined {
    channel: String,
    room_id: String,
    door: &'static str,
}

impl From<errand::Joined> for Joined {
    fn from(joined: errand::Joined) -> Self {
        let door = match joined.door {
            RoomDoor::Inside => "inside",
            RoomDoor::Invited => "invited",
        };
        Self { channel: joined.channel, room_id: joined.room.to_string(), door }
    }
}

/// What a room is linked with.
#[derive(Serialize)]
pub(super) struct Linked {
    network: String,
    channel: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

impl Linked {
    pub(super) fn new(network: &NetworkId, link: Link) -> Self {
        let (state, since_ms) = match link.state {
            LinkState::Linked => ("linked", None),
            LinkState::Asked(since) => ("asked", Some(since.0)),
        };
        let by = link.by.map(|user| user.to_string());
        Self { network: network.to_string(), channel: link.channel, state, since_ms, by }
    }
}

/// Somebody who has a puppet.
#[derive(Serialize)]
pub(super) struct User {
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nick: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_ms: Option<u64>,
    channels: usize,
}

impl From<UserFact> for User {
    fn from(fact: UserFact) -> Self {
        Self {
            user_id: fact.user.to_string(),
            nick: fact.nick,
            state: State::from(fact.connection).state,
            active_ms: fact.active.map(|active| active.0),
            channels: fact.channels,
        }
    }
}

/// Why a report is not the one that was waited for.
pub(super) fn fault_of(report: Report) -> Fault {
    match report {
        Report::Refused(refusal)
        | Report::Line(CommandAnswer {
            verdict: Verdict::Refused(refusal) | Verdict::Doubtful(refusal),
            ..
        }) => Fault::Refused { code: refusal.code, words: refusal.words },
        Report::Unknown | Report::Line(CommandAnswer { verdict: Verdict::Unknown, .. }) => Fault::Unknown,
        Report::Plumbing(Plumbing::Refused(why)) => Fault::Unlinkable(why),
        report => {
            tracing::error!(?report, "an errand ended in a report of another kind");
            debug_assert!(false, "a report of another kind");
            Fault::Broken
        }
    }
}

/// The document itself.
pub(super) fn document() -> Value {
    serde_json::from_str(super::OPENAPI).expect("a test reads it")
}
