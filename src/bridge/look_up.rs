//! What clients look up of IRC by way of the homeserver (client-server API, "Third-party Lookups").

use crate::ids::{RoomAlias, UserId};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// How a channel's room is joined.
    Channel(String),
    /// Which channel an alias leads to.
    Alias(RoomAlias),
    /// Who somebody on IRC is on Matrix.
    Nick(String),
    /// Whose ghost somebody is.
    Ghost(UserId),
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Place { alias: RoomAlias, channel: String },
    Person { user: UserId, nick: String },
}
