//! What a private chat asks of the homeserver.

use crate::bridge::effect::Ghost;
use crate::ids::{RoomId, UserId};

/// What can be asked of the homeserver for a private chat. All of them may be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryStep {
    /// Make the room, in the ghost's name, and invite the person.
    Create { user: UserId, ghost: Ghost },
    /// Invite the person, who left, once more.
    Invite { room: RoomId, user: UserId, ghost: Ghost },
    /// Let the ghost accept the person's invitation, if nobody else is in the room.
    Enter { room: RoomId, user: UserId, ghost: Ghost },
    /// Bring in the ghost of another nick. The one before stays.
    Move { room: RoomId, user: UserId, from: Ghost, ghost: Ghost },
}

impl QueryStep {
    /// The room, where there is one already.
    pub fn room(&self) -> Option<&RoomId> {
        match self {
            Self::Create { .. } => None,
            Self::Invite { room, .. } | Self::Enter { room, .. } | Self::Move { room, .. } => Some(room),
        }
    }

    /// The person it is for.
    pub fn user(&self) -> &UserId {
        match self {
            Self::Create { user, .. }
            | Self::Invite { user, .. }
            | Self::Enter { user, .. }
            | Self::Move { user, .. } => user,
        }
    }

    /// The ghost they talk with.
    pub fn ghost(&self) -> &Ghost {
        match self {
            Self::Create { ghost, .. }
            | Self::Invite { ghost, .. }
            | Self::Enter { ghost, .. }
            | Self::Move { ghost, .. } => ghost,
        }
    }
}
