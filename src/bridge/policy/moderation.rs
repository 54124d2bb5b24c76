//! Where moderators of one side are heard on the other, and when a channel is asked for its modes.

use super::Rooms;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moderation {
    /// Rooms in which removing or banning somebody of IRC does the same in the channel.
    pub to_irc: Rooms,
    /// Rooms that follow the modes of their channel. Never people's own, whose doors are theirs.
    pub to_matrix: Rooms,
    /// How long after somebody began to speak for a channel its modes are asked for, whatever follows them: what was said goes
    /// first.
    pub modes_after_ms: u64,
}

impl Default for Moderation {
    fn default() -> Self {
        Self { to_irc: Rooms::Portals, to_matrix: Rooms::Portals, modes_after_ms: 2_000 }
    }
}
