//! A room that another one replaces: what is asked of the homeserver for it, and what comes back.

use super::input::{Member, PortalRow};
use crate::ids::{RoomId, UserId};

/// What is asked for. All of it may be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Succession {
    /// Go into `to` and see whether it is what `room` says it is: the room that replaces it. `sender` has said so there.
    /// Answered by `Input::Succeeded`.
    Follow { room: RoomId, to: RoomId, sender: UserId },
    /// The pairing of a room is that of another one from now on, over restarts, in one piece.
    Move { from: RoomId, row: PortalRow },
    /// Nothing that happens in this room is our business.
    GiveUp { to: RoomId },
}

/// A room that replaces another one, and says so itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Who is in it, ours among them.
    pub members: Vec<Member>,
    /// Where it is replaced already: by which room, and in whose words.
    pub next: Option<(RoomId, UserId)>,
}

/// Why a room does not take another one's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It lets nobody in who is not invited.
    Closed,
    /// Nobody knows of it.
    Missing,
    /// It does not say that it replaces this one, or is no room to talk in.
    Stranger,
    /// It is bridged already, or was replaced itself.
    Taken,
    /// The room says another one by now.
    Overtaken,
    /// It could not be found out in some minutes.
    Unknown,
}
