//! That people want their room to be bridged with a channel, and what its operators say to that. It is kept as long as it
//! counts: while it waits, while the room is bridged, and after a refusal, so that operators are not asked twice.

use crate::ids::{RoomId, UserId};

/// Rooms of one channel that were asked for, at most; the oldest refusal makes place for a further one.
pub const WISHES_MAX: usize = 30;

/// A room that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub room: RoomId,
    /// Who asked.
    pub user: UserId,
    pub reply: Reply,
}

/// What operators have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing yet.
    None,
    Allowed,
    Refused,
}

impl Reply {
    /// For the store.
    pub fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Allowed => 1,
            Self::Refused => 2,
        }
    }

    pub fn read(number: i64) -> Option<Self> {
        [Self::None, Self::Allowed, Self::Refused]
            .into_iter()
            .find(|reply| i64::from(reply.number()) == number)
    }
}
