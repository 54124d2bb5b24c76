//! The space of a network: one room in which clients show all rooms of its channels together (client-server API, "Spaces").
//!
//! Whoever is in it, or looks at it from outside, learns which rooms there are. So a room of a hidden or closed channel is
//! not in it, as it is in no directory.

use super::plate::Listing;
use crate::ids::{RoomAlias, RoomId};

/// What the shell is to do about a network's space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpaceWish {
    /// Find it, or make it. Answered by `Input::SpaceFound`, and remembered over restarts.
    Find(WantedSpace),
    /// It is used no longer.
    Forget,
}

/// A space that is to be there. It is known by its alias, so there is one however often it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedSpace {
    /// Where it was the last time.
    pub known: Option<RoomId>,
    pub alias: RoomAlias,
    /// What people call the network.
    pub name: String,
    pub listing: Listing,
}

/// Whether a room is to be in a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpacePlace {
    pub room: RoomId,
    pub placed: Placed,
}

/// See [`SpacePlace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    In,
    Out,
}
