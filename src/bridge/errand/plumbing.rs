//! What is reported of people's own rooms that are bridged, or are to be.

use crate::ids::{RoomId, Time, UserId};

/// What became of `Errand::Plumb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plumbing {
    /// The room and the channel are one conversation now.
    Linked {
        channel: String,
    },
    /// The channel's operators are asked; who of them, by nick. Their answer is told in the room.
    Asked {
        channel: String,
        operators: Vec<String>,
    },
    Refused(Unplumbable),
}

/// Why a room and a channel are not bridged. Each has its own sentence for people and its own code for programmes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unplumbable {
    /// The network's settings have no rooms of people, or not this channel.
    Excluded,
    /// The room is bridged already, with this channel.
    RoomTaken { channel: String },
    /// The channel has as many rooms as it may.
    ChannelTaken { rooms: Vec<RoomId> },
    /// It was asked for, and its operators have not answered.
    Waiting { since: Time, by: Option<UserId> },
    /// Its operators have said no.
    Declined,
    /// Another bridge is in the room, by this name.
    OtherBridge { name: String },
    /// Who asks has not the level for it in the room.
    NoPower { required: i64 },
    /// Who asks is not in the room.
    NotInRoom,
    /// The bot is not in the room, and could not join it: invite it.
    NoRoom,
    /// A room where what is said can be read by people who are not in it, or is encrypted: in words.
    Unfit { words: String },
    /// Nobody of this nick is operator of the channel.
    NoOperator { nick: String },
    /// Nobody who could say so is in the channel.
    NoOperators,
    /// People have bridged as many rooms as may be.
    Full { rooms_max: usize },
    /// Too much is asked of operators: later.
    Busy,
}

/// One room of people's own, and its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub room: RoomId,
    /// As the network spells it.
    pub channel: String,
    pub state: LinkState,
    /// Who asked for it; `None` where the configuration has it.
    pub by: Option<UserId>,
}

/// Whether a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    Linked,
    /// Operators were asked at that moment.
    Asked(Time),
}
