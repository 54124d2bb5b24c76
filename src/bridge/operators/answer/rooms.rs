//! What is said to operators of the rooms that people want to bridge with their channel: the question, and the answers.
//!
//! A room is named by its id, which nobody can choose to mislead: names and aliases are what people write.

use super::super::rules::wish::{Reply, Wish};
use crate::ids::{RoomId, UserId};

/// Rooms that are named in one answer.
const ROOMS_MAX: usize = 3;
/// How long a room's people wait for an answer, in words.
pub const WAITS: &str = "7 days";

/// See the file's head. Channels are as the operator wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomAnswer {
    /// Not an answer: the question whether the room may be bridged.
    Asked {
        channel: String,
        room: RoomId,
        user: UserId,
        server: String,
    },
    Admitted {
        channel: String,
        room: RoomId,
    },
    AdmittedBefore {
        channel: String,
        room: RoomId,
    },
    Refused {
        channel: String,
        room: RoomId,
    },
    /// It was bridged.
    Ended {
        channel: String,
        room: RoomId,
    },
    /// Nobody has asked for it.
    Unknown {
        channel: String,
        room: RoomId,
    },
    /// The configuration has it.
    Configured {
        channel: String,
        room: RoomId,
    },
    /// Which of them is meant.
    Which {
        channel: String,
        rooms: Vec<RoomId>,
    },
}

impl RoomAnswer {
    pub(super) fn sentence(&self, bot: &str) -> String {
        match self {
            Self::Asked { channel, room, user, server } => format!(
                "{user} of Matrix asks to bridge their room {room} with {channel}, through me, the bridge of {server}: who is in \
                 it would read and speak here, each with an IRC user of their own. Operators of {channel} decide, within \
                 {WAITS}: /msg {bot} allow {channel} {room} or /msg {bot} deny {channel} {room} (then I do not ask again). You \
                 can take it back at any time; /msg {bot} help says more."
            ),
            Self::Admitted { channel, room } => format!(
                "Thank you. The people of {room} are told, and come into {channel}. To undo it: /msg {bot} dismiss {channel} \
                 {room}"
            ),
            Self::AdmittedBefore { channel, room } => {
                format!("{room} is allowed already. To undo it: /msg {bot} dismiss {channel} {room}")
            }
            Self::Refused { channel, room } => format!(
                "I do not bridge {room} with {channel}; its people are told. Undo it: /msg {bot} allow {channel} {room}"
            ),
            Self::Ended { channel, room } => format!(
                "{room} is not bridged with {channel} any more: its people leave, and are told why. They may come again only when an \
                 operator says /msg {bot} allow {channel} {room}"
            ),
            Self::Unknown { channel, room } => {
                format!(
                    "Nobody asks to bridge {room} with {channel}. /msg {bot} status {channel} shows what is."
                )
            }
            Self::Configured { channel, room } => format!(
                "{room} was bridged by who runs the bridge (/msg {bot} help says who). /msg {bot} dismiss {channel} sends me out \
                 of the channel."
            ),
            Self::Which { channel, rooms } => {
                let one = |room: &RoomId| format!("/msg {bot} allow {channel} {room}");
                let named: Vec<String> = rooms.iter().take(ROOMS_MAX).map(one).collect();
                let more = if rooms.len() > ROOMS_MAX { " …" } else { "" };
                format!("Say which room you mean: {}{more}", named.join(" or "))
            }
        }
    }
}

/// A wish in a list of what is set for a channel. `by`: who answered.
pub(super) fn wish_words(wish: &Wish, by: &str) -> String {
    let Wish { room, user, reply } = wish;
    match reply {
        Reply::None => format!("{user} asks to bridge {room}, and nobody has answered"),
        Reply::Allowed => format!("{room} is allowed (by {by}, for {user})"),
        Reply::Refused => format!("{room} is refused (by {by}, to {user})"),
    }
}
