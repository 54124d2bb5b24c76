//! What happens to somebody's connection, as facts: for them to be told in their admin room.
//!
//! A network says what happened, each time; whether and when it is told, and how often, is decided where the admin rooms are.

use super::ending::End;
use crate::ids::Time;

/// One thing that happened to a person's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It stands, and the network takes them.
    Connected { nick: String, first: First },
    /// It is lost or could not be made, with the reason in words, which may be empty. It is tried again then.
    Lost { why: String, again: Time },
    /// They stay away until somebody says otherwise; and when they are removed from rooms, if they are.
    Held { end: End, removed_after_ms: Option<u64> },
    /// It was closed because they said nothing for long; why, in words.
    Asleep { why: String },
    /// They are on the network without their account.
    NoAccount { why: String },
    /// The network gave them another nick.
    Renamed { from: String, to: String },
}

/// Whether they were on the network before, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    Yes,
    No,
}

/// Where somebody is told what concerns only them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In their admin room, by news.
    AdminRoom,
    /// In a room where they speak.
    Rooms,
}
