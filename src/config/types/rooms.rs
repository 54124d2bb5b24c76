//! Rooms and their channels: which belong together, and what they have in common: topics, who may what, and whom nobody
//! wants there.

use serde::{Deserialize, Serialize};

use crate::ids::{RoomAlias, RoomId};

/// Which rooms something is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rooms {
    None,
    /// Those that the bridge made.
    Portals,
    /// People's own as well.
    All,
}

/// Topics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topics {
    /// Rooms that have the topic of their channel.
    pub to_matrix: Rooms,
    /// Rooms in which people set the topic of the channel.
    pub to_irc: Rooms,
}

impl Default for Topics {
    fn default() -> Self {
        Self { to_matrix: Rooms::Portals, to_irc: Rooms::Portals }
    }
}

/// Power levels by ranks in the channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Power {
    /// Rooms in which ranks of the channel give power.
    pub to_matrix: Rooms,
    /// The sign `~`.
    pub owner: u8,
    /// The sign `&`.
    pub admin: u8,
    /// The sign `@`.
    pub operator: u8,
    /// The sign `%`.
    pub halfop: u8,
    /// The sign `+`.
    pub voice: u8,
}

impl Default for Power {
    fn default() -> Self {
        Self { to_matrix: Rooms::Portals, owner: 90, admin: 75, operator: 50, halfop: 25, voice: 1 }
    }
}

/// One channel and the existing rooms it is plumbed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    pub channel: String,
    /// Room ids or aliases; at least one.
    pub rooms: Vec<String>,
}

impl Channel {
    /// The rooms. One that is neither id nor alias is left out; a checked configuration has none.
    pub fn room_names(&self) -> impl Iterator<Item = RoomName> {
        self.rooms.iter().filter_map(|room| RoomName::new(room))
    }
}

/// A room as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomName {
    Id(RoomId),
    /// To be asked of the homeserver.
    Alias(RoomAlias),
}

impl RoomName {
    /// Accepts a room id or an alias; `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        RoomId::new(text).map(Self::Id).or_else(|| RoomAlias::new(text).map(Self::Alias))
    }
}

/// Moderators of one side, heard on the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Moderation {
    /// Rooms in which removing or banning somebody of IRC does the same in the channel.
    pub to_irc: Rooms,
    /// Rooms that follow the modes of their channel: those that the bridge made, or none.
    pub to_matrix: Rooms,
}

impl Default for Moderation {
    fn default() -> Self {
        Self { to_irc: Rooms::Portals, to_matrix: Rooms::Portals }
    }
}

/// Rooms the bridge makes for channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Portals {
    /// Whether anybody may make one by joining its alias.
    pub dynamic: bool,
    /// Template of their aliases, without the server part.
    pub alias: String,
    /// Whether a channel's operators are asked first.
    pub consent: Consent,
    /// Channels never bridged.
    pub exclude: Vec<String>,
    /// Whether users of other homeservers may join (`m.federate`).
    pub federate: bool,
    /// Room version to ask for; none for the homeserver's own choice.
    pub room_version: Option<String>,
}

impl Default for Portals {
    fn default() -> Self {
        Self {
            dynamic: true,
            alias: "#irc_$NETWORK_$CHANNEL".into(),
            consent: Consent::Open,
            exclude: Vec::new(),
            federate: true,
            room_version: None,
        }
    }
}

/// Whether rooms are made for channels whose operators were not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    Open,
    ByConsent,
}
