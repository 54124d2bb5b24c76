//! What happens to the admin rooms, and what they ask for.

use crate::bridge::command::{Keeping, Kept, Upkeep, UpkeepReport};
use crate::bridge::effect::{Outcome, Relay};
use crate::bridge::errand::{Errand, Report};
use crate::bridge::input::{AskId, Before, MatrixEvent, Member};
use crate::bridge::news::News;
use crate::bridge::policy::{Permission, Permissions};
use crate::ids::{EventId, InboxSeq, NetworkId, RoomId, UserId};
use crate::text::template::GhostTemplate;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum AdminInput {
    /// Somebody's room of an earlier run.
    Room { user: UserId, room: RoomId },
    /// One event from the inbox, to be settled exactly once.
    Event { seq: InboxSeq, event: MatrixEvent, before: Before, place: Place },
    /// What became of `Enter`: who is in the room with the bot, or words on why it is not in it.
    Entered { room: RoomId, result: Result<Vec<Member>, String> },
    /// What a network was asked.
    Reported { ask: AskId, report: Report },
    /// What the database was asked.
    Kept { ask: AskId, kept: Kept },
    /// What the bridge was asked.
    Upkept { ask: AskId, report: UpkeepReport },
    /// Who may what, from now on.
    Permissions(Permissions),
    /// What became of `Hide`.
    Hidden { room: RoomId, event: EventId, result: Result<(), String> },
    /// Something happened to somebody's connection.
    News { network: NetworkId, user: UserId, news: News },
}

/// Where an event happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In an admin room, or in a room that may become one.
    Private,
    /// In a room of this network: a message that begins with `!irc`.
    Bridged(NetworkId),
    /// In a room of no network: a message that begins with `!irc`.
    Unbridged,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminEffect {
    /// This inbox row has reached its end.
    Settle { seq: InboxSeq, outcome: Outcome },
    /// Say something in a room.
    Say(Relay),
    /// The bot goes into a room. Answered by `Entered`.
    Enter { room: RoomId },
    /// The bot leaves a room, behind all that is still to be said there; or declines an invitation to it.
    Leave { room: RoomId, reason: String },
    /// It is none of ours after all.
    Ignore { room: RoomId },
    /// Ask a network. Answered by `Reported`.
    Ask { ask: AskId, network: NetworkId, user: UserId, errand: Errand },
    /// Ask the database. Answered by `Kept`.
    Keep { ask: AskId, network: NetworkId, user: UserId, keeping: Keeping },
    /// Ask the bridge. Answered by `Upkept`.
    Upkeep { ask: AskId, upkeep: Upkeep },
    /// Take a message with a secret in it out of its room, at once. Answered by `Hidden`.
    Hide { room: RoomId, event: EventId },
    /// Remember somebody's room over restarts, in place of the one before.
    SaveRoom { user: UserId, room: RoomId },
    /// Forget somebody's room.
    DropRoom { user: UserId, room: RoomId },
    /// The bot has been in this room for [`GUEST_MS_MAX`](super::GUEST_MS_MAX): it leaves, unless the room is bridged or waits
    /// for it. By whom it was invited.
    LeaveUnlessLinked { room: RoomId, user: UserId },
}

/// What the admin rooms are told of the bridge.
#[derive(Clone, Debug)]
pub struct Settings {
    pub bot: UserId,
    pub server_name: String,
    pub networks: Vec<NetworkName>,
    pub permissions: Permissions,
}

/// A network, as people name it.
#[derive(Clone, Debug)]
pub struct NetworkName {
    pub id: NetworkId,
    /// For people to see.
    pub name: String,
    pub ghosts: GhostTemplate,
}

impl NetworkName {
    fn is_called(&self, word: &str) -> bool {
        self.id.as_str().eq_ignore_ascii_case(word) || self.name.eq_ignore_ascii_case(word)
    }
}

impl Settings {
    /// True when somebody is a ghost of ours.
    pub fn is_ghost(&self, user: &UserId) -> bool {
        self.networks.iter().any(|network| network.ghosts.owns(user, &self.server_name))
    }

    /// The network of that name.
    pub fn network(&self, word: &str) -> Option<&NetworkName> {
        self.networks.iter().find(|network| network.is_called(word))
    }

    /// As people know it.
    pub fn name(&self, id: &NetworkId) -> &str {
        self.networks.iter().find(|network| network.id == *id).map_or("", |network| &network.name)
    }

    /// What somebody may.
    pub fn who(&self, user: &UserId) -> Permission {
        self.permissions.of(user)
    }
}
