//! What rooms and their channels have in common: topics, and who may what.

use serde::{Deserialize, Serialize};

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
