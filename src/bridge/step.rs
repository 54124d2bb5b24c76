//! Changes of a room that are found by comparing what is with what should be: who of our ghosts is in it.
//!
//! A step is no message: it is in no ledger, nothing of it outlives the process, and it may be done twice. What counts is the
//! last one for its key; a later one takes the place of one that waits.

use super::effect::Ghost;
pub use super::portal::access::{Levels, Reach, RoomPower};
pub use super::portal::door::{Door, RoomDoor};
pub use super::portal::modes::{JoinRule, Needs};
pub use super::portal::plate::{Listing, Plate, Standing};
pub use super::portal::space::{Placed, SpacePlace, SpaceWish, WantedSpace};
pub use super::portal::topic::RoomTopic;
use crate::ids::{NetworkId, RoomId, UserId};

/// One change. Matched without `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomStep {
    /// A ghost is to be in the room: registered, named and joined.
    GhostJoins(Ghost),
    /// A ghost is to be out of it; the reason is shown to people.
    GhostLeaves { ghost: UserId, reason: Option<String> },
    /// The room's topic is to be this.
    Topic(RoomTopic),
    /// These people are to have these levels.
    Power(RoomPower),
    /// Whether people outside are to find the room.
    Door(RoomDoor),
    /// The room is to say this of its channel.
    Plate(Plate),
    /// A ghost that somebody put out is to be in the room again: not banned, and joined.
    GhostReturns(Ghost),
    /// Who may come in.
    JoinRule(JoinRule),
    /// A ghost is to be banned no longer. Whether it is in the room is another matter.
    GhostPardoned(UserId),
    /// Whether another room is in this one, which is a space.
    Place(SpacePlace),
}

/// What a step is about: of one room and key one step is done at a time, and one waits at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepKey {
    /// Whether this ghost is in the room.
    Ghost(UserId),
    Topic,
    Power,
    Door,
    /// What the room says of this network's channel.
    Plate(NetworkId),
    JoinRule,
    /// Whether this ghost is banned.
    Ban(UserId),
    /// Whether this room is in the space.
    Place(RoomId),
}

/// What became of the last step for a key: exactly one answer for all that took one another's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    Done,
    /// The homeserver refuses it, and would tomorrow; in its words.
    Refused(String),
    /// It was not tried: too much is waiting.
    NotTaken,
}

impl RoomStep {
    pub fn key(&self) -> StepKey {
        match self {
            Self::GhostJoins(ghost) => StepKey::Ghost(ghost.user.clone()),
            Self::GhostLeaves { ghost, .. } => StepKey::Ghost(ghost.clone()),
            Self::Topic(_) => StepKey::Topic,
            Self::Power(_) => StepKey::Power,
            Self::Door(_) => StepKey::Door,
            Self::Plate(plate) => StepKey::Plate(plate.network.clone()),
            Self::GhostReturns(ghost) => StepKey::Ghost(ghost.user.clone()),
            Self::JoinRule(_) => StepKey::JoinRule,
            Self::GhostPardoned(ghost) => StepKey::Ban(ghost.clone()),
            Self::Place(place) => StepKey::Place(place.room.clone()),
        }
    }
}
