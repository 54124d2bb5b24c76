//! What a network's rooms are known by, and who is let know of them.

use serde::{Deserialize, Serialize};

use super::Rooms;

/// Bridge info, the homeserver's directory, invitations, other bridges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Directory {
    /// Whether rooms say in their state which channel they are bridged to.
    pub bridge_info: bool,
    /// Whether portal rooms are in the homeserver's directory.
    pub publish: bool,
    /// Whether invitations to channels become invitations to rooms.
    pub invites: bool,
    /// Invitations from IRC that one person gets in a minute.
    pub invites_per_minute: u32,
    /// Users who are ghosts of other bridges, as patterns.
    pub other_bridges: Vec<String>,
    /// Rooms that the network's space holds.
    pub space: Rooms,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            bridge_info: true,
            publish: false,
            invites: true,
            invites_per_minute: 5,
            other_bridges: Vec::new(),
            space: Rooms::None,
        }
    }
}
