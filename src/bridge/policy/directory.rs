//! What a network's rooms are known by: bridge info, the directory, invitations, other bridges.

use super::{Rooms, Shown};
use crate::ids::{ChannelName, NetworkId, UserId};
use crate::text::casemap::CaseMap;
use crate::text::mask;
use crate::text::template::GhostTemplate;

/// What the network's rooms are known by, and who is let know of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Names besides the network's own by which people look it up, the one that is shown first: its servers.
    pub domains: Vec<String>,
    /// Whether rooms say in their state which channel they are.
    pub plates: Shown,
    /// Whether portal rooms are in the network's list of the homeserver's directory, as far as their channels are not
    /// hidden.
    pub publish: Shown,
    /// Whether people on IRC who invite a puppet to a channel have its person invited to the channel's room.
    pub invites: Shown,
    /// Invitations of one puppet in a minute.
    pub invites_per_minute: u32,
    /// Ghosts of other bridges, as patterns with `*` and `?`: what they say goes to IRC by those, if at all.
    pub others: Vec<String>,
    /// Rooms that the network's space holds, as far as their channels are neither hidden nor closed; none: there is no space.
    pub space: Rooms,
    pub neighbours: Neighbours,
}

/// The bridge's other networks, as far as this one has to know of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Their ghosts, none of whom is a person of Matrix.
    pub networks: Vec<(NetworkId, GhostTemplate)>,
    /// Channels of this network, as written, that have a room which another network has too: there the bot says what the
    /// ghosts of that one say.
    pub channels: Vec<String>,
}

impl Neighbours {
    /// The network whose ghost this is.
    pub fn of(&self, user: &UserId, server_name: &str) -> Option<&(NetworkId, GhostTemplate)> {
        self.networks.iter().find(|(_, ghosts)| ghosts.owns(user, server_name))
    }

    /// Whether a channel has a room that another network has too.
    pub fn share(&self, channel: &ChannelName, map: CaseMap) -> bool {
        self.channels.iter().any(|name| map.eq(name, channel.as_str()))
    }
}

impl Directory {
    /// True for a ghost of another bridge.
    pub fn is_others(&self, user: &UserId) -> bool {
        self.others.iter().any(|pattern| mask::matches(pattern, user.as_str(), CaseMap::Ascii))
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            plates: Shown::On,
            publish: Shown::Off,
            invites: Shown::On,
            invites_per_minute: 5,
            others: Vec::new(),
            neighbours: Neighbours::default(),
            space: Rooms::None,
        }
    }
}
