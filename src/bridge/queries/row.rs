//! Private chats as they are kept over restarts, and what comes of what is done for their rooms.

use crate::ids::{RoomId, UserId};

/// A private chat that has a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryRow {
    pub user: UserId,
    /// As last written; the machine folds it.
    pub nick: String,
    pub room: RoomId,
    pub standing: QueryStanding,
    /// Who had the nick: the account, where the network tells.
    pub account: Option<String>,
    /// The same by `user@host`.
    pub mask: Option<String>,
    /// The person's display name, where it is known.
    pub display_name: Option<String>,
    /// Whether the person was told that nobody has the nick.
    pub absence: AbsenceTold,
}

/// Whether the person of a private chat was told that nobody has the nick now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AbsenceTold {
    Yes,
    #[default]
    No,
}

/// Whether the person is in the room of a private chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryStanding {
    /// In it, or invited.
    Open,
    Left,
}

/// The room of a private chat, as something was done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryRoom {
    pub room: RoomId,
    /// The person's display name, where it was told.
    pub display_name: Option<String>,
}

/// Why something could not be done for a private chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryFault {
    /// Perhaps later.
    Later(String),
    Refused(String),
    /// There are others in the room.
    Crowd,
}
