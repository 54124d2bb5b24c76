//! What a person asks of one network for themselves or, where they may, for others; and what they are told.
//!
//! An errand enters a network's machine as `Input::Errand` and ends in exactly one `Effect::Reported`, after
//! [`ERRAND_MS_MAX`] at the latest. Who may ask for what is decided before: by the admin room, by the API. A report holds facts
//! and no sentences, save where a refusal is told in the words of whoever refused; the sentences are made in
//! `command`, so that a programme gets the facts.

pub mod plumbing;

use self::plumbing::{Link, Plumbing};
use super::effect::{CommandAnswer, Refusal};
use super::policy::Shown;
use crate::ids::{RoomId, Time, UserId};
use crate::secret::Secret;

/// The longest that an errand may take: a connection to be made, and the server's answer.
pub const ERRAND_MS_MAX: u64 = 120_000;
/// Errands of one person that a network works on at once. One more is refused.
pub const ERRANDS_OF_ONE_MAX: usize = 8;
/// Errands of all people that a network works on at once. One more is refused.
pub const ERRANDS_MAX: usize = 1_000;
/// Rows of a report, at most; the others are left out.
pub const ROWS_MAX: usize = 500;

/// What is asked of a network. Text is as the person wrote it: the machine checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Their puppet says this line. It connects for it, where it has no connection.
    Line(String),
    /// Into a channel: their puppet on IRC and, by an invitation where they are not in it, they into its room, which is
    /// made where there is none.
    Join { channel: String, key: Option<Secret> },
    /// Out of a channel, and of those of its rooms that we made.
    Part { channel: String, reason: Option<String> },
    /// A private chat with somebody, who is told `text` where there is one.
    Query { nick: String, text: Option<String> },
    /// Another nick, kept over restarts; `None`: that of their display name again.
    Nick(Option<String>),
    /// How they are on the network.
    Status,
    /// Off the network, until they ask for it again or say something.
    Quit { reason: Option<String> },
    /// Another connection, now; also where they had quit, or were held for their login. Whom the network or an admin sent away
    /// an admin lets back.
    Reconnect,
    /// Of what they said and the network has not got yet, nothing is said any more.
    Stop,
    /// Into the channels that would not have them, once more and now.
    Retry,
    /// Which channels have rooms; whose name has `search` in it, where there is one.
    Portals { search: Option<String> },
    /// Of an admin: who is on the network by this bridge.
    Users,
    /// Of an admin: their connection ends, and they stay away until somebody asks for it again.
    Kill { user: UserId, reason: Option<String> },
    /// Of an admin: the same for all people of a homeserver.
    Evict { server: String, reason: Option<String> },
    /// Of an admin: the connections end of those who said nothing for so long; `Trial`: only who it would be.
    Reap { idle_ms: u64, how: Reaping },
    /// Of an admin: how a channel is bridged, from within.
    Channel(String),
    /// It counts as a word of theirs.
    Active,
    /// Which channel or nick a room is about.
    Here(RoomId),
    /// Who somebody of Matrix is on the network; reported as `Users`.
    Find(UserId),
    /// Of an admin: whoever is held may connect again.
    Release(UserId),
    /// People's own room is bridged with a channel, once somebody who may say so on IRC has said so. That who asks has the
    /// power for it in the room was looked at before.
    Plumb {
        room: RoomId,
        channel: String,
        key: Option<Secret>,
        /// The one operator to be asked; `None`: whom the bot finds.
        operator: Option<String>,
    },
    /// A room that people had bridged is so no more, or is not waited for any more; `None`: with whatever channel.
    Unplumb { room: RoomId, channel: Option<String> },
    /// What people's own rooms are bridged with, or wait to be; `None`: all rooms.
    Links { room: Option<RoomId> },
    /// Who of a channel can say that it may be bridged.
    Operators { channel: String, key: Option<Secret> },
    /// A realname of their own in the place of their display name, kept over restarts, from the next connection on; `None`: that
    /// again.
    Realname(Option<String>),
    /// Whom they ignore in private, kept over restarts.
    Ignore(Ignoring),
    /// Whether their nick in what is said on IRC is made a mention of them, kept over restarts; `None`: only told.
    Mentions(Option<Shown>),
}

impl Errand {
    /// True for what is about the network as a whole, or about somebody else: nobody in particular has to ask for it.
    pub fn is_of_everybody(&self) -> bool {
        matches!(
            self,
            Self::Users
                | Self::Kill { .. }
                | Self::Evict { .. }
                | Self::Reap { .. }
                | Self::Channel(_)
                | Self::Find(_)
                | Self::Release(_)
                | Self::Links { .. }
        )
    }
}

/// What is asked about whom somebody ignores: by nick or mask, as they wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ignoring {
    Tell,
    Add(String),
    Remove(String),
    RemoveAll,
}

/// Whether idle connections are ended, or only named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaping {
    Trial,
    Done,
}

/// A nick that somebody chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NickRow {
    pub user: UserId,
    pub nick: String,
}

/// What became of an errand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Of a line, whatever became of it: what the server said, or our own refusal.
    Line(CommandAnswer),
    /// It is as they asked, and there is nothing more to say.
    Done,
    /// Not done, with the reason in words and the next step.
    Refused(Refusal),
    /// Nobody knows whether it was done: no answer in time, or the connection ended first.
    Unknown,
    Joined(Joined),
    Talking {
        nick: String,
        /// The private chat; `None` while it is made.
        room: Option<RoomId>,
    },
    /// The nick they have now. Where they have no connection and want none it is kept for the next one: that is `Done`.
    Called(String),
    Status(Box<Status>),
    /// How many messages were taken back.
    Stopped(usize),
    /// The channels that are tried again.
    Retried(Vec<String>),
    Portals(Vec<PortalFact>),
    Users(Vec<UserFact>),
    /// Those whose connections were ended, or would be.
    Ended(Vec<UserFact>),
    Channel(Box<ChannelFact>),
    /// The channel of a room, or the nick of a private chat.
    Here(Option<String>),
    Plumbing(Plumbing),
    Links(Vec<Link>),
    /// Nicks.
    Operators(Vec<String>),
    /// Whom they ignore from now on: masks.
    Ignored(Vec<String>),
    /// Whether their nick becomes a mention of them from now on.
    Mentions(Shown),
}

/// A channel they are in now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// As the network spells it.
    pub channel: String,
    pub room: RoomId,
    pub door: RoomDoor,
}

/// How they come into the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomDoor {
    /// They are in it.
    Inside,
    Invited,
}

/// How somebody is on a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub connection: Connection,
    pub nick: Option<String>,
    pub account: Option<String>,
    /// The user modes of their puppet, as letters; empty where none are known.
    pub modes: String,
    /// The machine they are on, once it welcomed them.
    pub server: Option<String>,
    /// How long the server took for its last answer to a PING.
    pub lag_ms: Option<u64>,
    /// Lines that wait for the server's pace.
    pub queued_lines: usize,
    /// Messages that wait for a connection or a channel.
    pub waiting_messages: usize,
    pub channels: Vec<Place>,
    /// How many private chats they have.
    pub queries: usize,
}

/// What somebody's connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    Ready {
        /// Since when, where it is known.
        since: Option<Time>,
    },
    Connecting,
    /// The last one ended, and the next is made at that moment.
    Waiting {
        until: Time,
        why: Option<String>,
    },
    /// They stay away until they ask for it, with the reason.
    Held(String),
    /// It was closed because they said nothing for long. Their next word brings it back.
    Asleep,
    /// They want nothing of the network.
    None,
}

/// A channel and somebody's place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub channel: String,
    pub standing: InChannel,
    /// Why the channel would not have them.
    pub refused: Option<String>,
    pub rooms: Vec<RoomId>,
    /// By whose connection the channel is read: the nick.
    pub carrier: Option<String>,
}

/// Where somebody's puppet is with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InChannel {
    In,
    /// It has asked, and has no answer yet.
    Joining,
    Leaving,
    /// It could not ask, or the channel would not have it.
    Out,
}

/// A channel that has rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalFact {
    pub channel: String,
    pub rooms: Vec<RoomId>,
    /// How many of ours are in the channel.
    pub puppets: usize,
}

/// Somebody who has a puppet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFact {
    pub user: UserId,
    pub nick: Option<String>,
    pub connection: Connection,
    /// When they last said or joined something; `None`: not since the start.
    pub active: Option<Time>,
    pub channels: usize,
}

/// How a channel is bridged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelFact {
    pub channel: String,
    pub rooms: Vec<RoomId>,
    /// By whose connection it is read: the nick.
    pub carrier: Option<String>,
    /// How often that has changed.
    pub epoch: u64,
    /// The other connections that read it: nicks.
    pub standbys: Vec<String>,
    /// Lines that were seen and are held back until they are relayed or known as relayed.
    pub held_lines: usize,
    /// Lines that were relayed and not seen by everybody yet.
    pub unseen_lines: usize,
    /// People in it, by the carrier's list.
    pub people: usize,
    /// Ghosts in its rooms, with those that are still to come or go.
    pub ghosts: usize,
    pub steps_open: usize,
    pub modes: String,
}
