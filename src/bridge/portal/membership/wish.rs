//! What is told of somebody, what is to be done because of it, and what was done.

use crate::bridge::channel::roster::Going;
use crate::ids::{Nick, RoomId, UserId};

/// What was done since the start, and what waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Joins and leaves that wait or are under way.
    pub waiting: u64,
    pub joined: u64,
    pub left: u64,
    pub refused: u64,
}

/// How somebody is known to be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// They came a moment ago.
    Lately,
    /// They were found here.
    Listed,
}

/// Why somebody's ghost is not to be in a room any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// They left, as their channel showed.
    Went(Going),
    /// They are not among those who are here.
    Unlisted,
    /// They speak from outside of the channel.
    Outside,
}

/// What a step would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    Join(Nick),
    Leave(Cause),
}

/// A step whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub room: RoomId,
    pub user: UserId,
    pub wish: Wish,
}

impl Cause {
    /// In words for the room, where there is more to say than that they left.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Went(Going::Kicked { by, reason }) if reason.is_empty() => Some(format!("kicked by {by}")),
            Self::Went(Going::Kicked { by, reason }) => Some(format!("kicked by {by}: {reason}")),
            Self::Went(Going::Renamed(to)) => Some(format!("is {to} now")),
            Self::Went(Going::Parted | Going::Quit(_)) | Self::Unlisted | Self::Outside => None,
        }
    }
}
