//! Everything that can happen to one IRC network's machine.
//!
//! The shell turns the outside world into these values and nothing else enters. A fault is an input like
//! any other: a refused connect, a lost socket, a homeserver that would not make a room.

use std::fmt;
use std::sync::Arc;

use super::effect::QueryStep;
use super::errand::plumbing::Unplumbable;
use super::errand::{Errand, NickRow};
use super::media::Media;
use super::news::Reach;
use super::operators::rules::Rule;
use super::policy::Policy;
use super::relay::memory::Saying;
use super::step::StepKey;
use crate::ids::{ConnId, EventId, InboxSeq, PuppetId, RelaySeq, RoomAlias, RoomId, UserId};
use crate::secret::Secret;
use crate::text::line::Line;

pub use super::kept::{BarRow, HoldRow};
pub use super::look_up::LookUp;
pub use super::policy_lists::{About, Concerns, PolicyList, PolicyRule, PolicyRules, RuleKey};
pub use super::portal::origin::{PortalOrigin, Whose};
pub use super::queries::row::{AbsenceTold, QueryFault, QueryRoom, QueryRow, QueryStanding};
pub use super::step::StepResult;
pub use super::succession::{Successor, TombstoneRow, Unfit};

/// One thing that happened. Matched without `_`, so a new kind shows every place to think.
#[derive(Clone, Debug)]
pub enum Input {
    /// The shell has given all portals and members it knew; connections may start.
    Started,
    /// A room is paired with a channel, known from the store or from the configuration.
    Portal(PortalRow),
    /// Who is joined to a portal's room, as far as the shell knows: asked of the homeserver when the
    /// room is new to us, else from the store.
    Members { room: RoomId, members: Vec<Member> },
    /// One event from the inbox, to be answered by exactly one [`Effect::Settle`](super::effect::Effect::Settle).
    Matrix { seq: InboxSeq, event: MatrixEvent, before: Before },
    /// The homeserver asks whether an alias of ours exists; answered by one `Effect::Answer`.
    AliasAsked { ask: AskId, alias: RoomAlias },
    /// Somebody asks something of the network; answered by one `Effect::Reported`.
    Errand { ask: AskId, user: UserId, errand: Errand },
    /// What became of `Effect::CreateRoom`: the room, or words on why not.
    RoomCreated { alias: RoomAlias, result: Result<RoomId, String> },
    /// What became of `Effect::AddAlias`.
    AliasAdded { alias: RoomAlias, result: Result<(), String> },
    /// The socket is open (and TLS is up); registration may begin.
    ConnOpened { conn: ConnId, opening: Box<Opening> },
    /// What became of `Effect::Derive`: the salted password.
    Derived { conn: ConnId, salted: Salted },
    /// One line came in.
    ConnLine { conn: ConnId, line: Line },
    /// The kernel has taken this many more of the lines we sent on this connection, in order.
    ConnWritten { conn: ConnId, lines: u32 },
    /// It is on the disk that this inbox row was said, or how it ended; or the disk is beyond hope.
    Noted { puppet: PuppetId, seq: InboxSeq },
    /// The connection could not be made, or is no more. Nothing follows with this id.
    ConnClosed { conn: ConnId, why: CloseReason },
    /// The bridge is going down: say goodbye on every connection and start nothing new.
    Stopping,
    /// A hold that was remembered; given before `Started`.
    Held(HoldRow),
    /// Somebody who may says that this puppet shall connect again: its hold is lifted, its wait is over.
    Reconnect { user: UserId },
    /// What an earlier run remembered of what was said, the oldest first; given before `Started`.
    Remembered(Saying),
    /// The homeserver has taken what was relayed as `seq`, as this event.
    Said { seq: RelaySeq, event: EventId },
    /// Which ghosts are in a room, as an earlier run left it; given before `Started`, behind the room's `Portal`.
    GhostsIn { room: RoomId, ghosts: Vec<UserId> },
    /// What became of `Effect::Step`.
    StepDone { room: RoomId, key: StepKey, result: StepResult },
    /// All who type in a room now. It was not in the inbox, and nothing answers it.
    Typing { room: RoomId, users: Vec<UserId> },
    /// A private chat of an earlier run; given before `Started`.
    Query(QueryRow),
    /// What became of `Effect::Query`.
    QueryDone { step: QueryStep, result: Result<QueryRoom, QueryFault> },
    /// What the homeserver said to `Effect::Kick`; words on why not.
    KickDone { room: RoomId, user: UserId, result: Result<(), String> },
    /// What became of `Succession::Follow`.
    Succeeded { room: RoomId, to: RoomId, result: Result<Successor, Unfit> },
    /// The pairing of an earlier run that is over, by the configuration: the room is to know; given before `Started`.
    PairingOver(PortalRow),
    /// Somebody looks something up; answered by one `Effect::Found`.
    LookUp { ask: AskId, what: LookUp },
    /// A ban of an earlier run that can be lifted; given before `Started`.
    Banned(BanRow),
    /// What an operator of a channel asked of an earlier run; given before `Started`, and before the members of rooms.
    Rule(Rule),
    /// The policy lists as they are now, and whom the change may concern.
    PolicyRules { rules: Arc<PolicyRules>, concerns: Concerns },
    /// Settings that were changed while the bridge runs; the others in it are as before.
    PolicyChanged(Box<Policy>),
    /// A nick that somebody chose in an earlier run; given before `Started`.
    NickKept(NickRow),
    /// Somebody who was to be removed when an earlier run ended. The removal goes on without being asked for, ahead of all that
    /// waits for the room; given before `Started`.
    Barred(BarRow),
    /// A tombstone that an earlier run could not follow; given before `Started`, behind the room's `Portal`.
    Tombstoned(TombstoneRow),
    /// The network's space, as an earlier run left it; given before `Started`.
    Space(RoomId),
    /// What became of `SpaceWish::Find`: the space, or words on why there is none.
    SpaceFound(Result<RoomId, String>),
    /// What became of `Effect::Plumb`; where it went well, behind the room's `Portal` and `Members`.
    Plumbed { room: RoomId, channel: String, result: Result<(), Unplumbable> },
    /// Where somebody is told what concerns only them; before `Started` and whenever it changes.
    Reach { user: UserId, reach: Reach },
    /// The key that somebody gave for a channel in an earlier run, with the channel as it was folded then; given before `Started`.
    KeyKept { user: UserId, channel: String, key: Secret },
    /// A realname that somebody chose in an earlier run; given before `Started`.
    RealnameKept { user: UserId, realname: String },
    /// Whom somebody ignored in an earlier run, as masks; given before `Started`.
    IgnoresKept { user: UserId, masks: Vec<String> },
    /// Somebody's nick is not to become a mention of them; given before `Started`.
    MentionsOff { user: UserId },
}

/// By which mask a ghost that is banned in a room is banned in its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanRow {
    pub room: RoomId,
    pub ghost: UserId,
    pub mask: String,
}

/// What the shell knows about a connection that was just opened. Its secrets live only while it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    pub identity: Identity,
    pub login: Option<Login>,
    pub wire: Wire,
    /// Fresh random text, printable ASCII without a comma, for SCRAM: the machine rolls no dice that matter.
    pub nonce: String,
}

impl Opening {
    /// A connection in plain text without a login.
    pub fn plain(ident: &str) -> Self {
        let identity = Identity { ident: ident.to_owned(), address: None };
        Self { identity, login: None, wire: Wire::Plain, nonce: String::new() }
    }
}

/// Who a puppet is to the network, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The username of `USER`, which our ident server confirms. No two people of a network share one.
    pub ident: String,
    /// The address the connection comes from, as text, where the puppet has one of its own.
    pub address: Option<String>,
}

/// How a puppet proves its account to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub account: String,
    pub password: Option<Secret>,
    pub certificate: Certificate,
}

/// Whether the connection shows a certificate of the user's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    Shown,
    None,
}

/// Whether somebody on the way can read the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Plain,
    Tls,
}

/// A salted password (RFC 5802 section 3): as good as the password itself, so it is never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salted(pub [u8; 32]);

impl fmt::Debug for Salted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A question from outside that waits for our answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// The pairing of one room with one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalRow {
    pub room: RoomId,
    /// The channel as first written; the machine folds it.
    pub channel: String,
    pub origin: PortalOrigin,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub user: UserId,
    /// The display name in that room, where there is one.
    pub display_name: Option<String>,
}

/// A Matrix event as the machine sees it: typed, bounded, free of the wire's accidents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatrixEvent {
    /// Somebody said something.
    Message {
        room: RoomId,
        event_id: EventId,
        sender: UserId,
        body: MessageBody,
        relation: Relation,
        /// When the sender's homeserver says it was sent; not to be trusted for order.
        origin_ms: u64,
    },
    /// Somebody's membership changed (or their display name did).
    Member {
        room: RoomId,
        sender: UserId,
        target: Member,
        membership: Membership,
        reason: Option<String>,
        /// Of an invitation: whether it is to a private chat.
        is_direct: bool,
    },
    /// Somebody put a sign on a message.
    Reaction {
        room: RoomId,
        event_id: EventId,
        sender: UserId,
        about: EventId,
        /// Usually one emoji; at most 255 bytes, free of control characters.
        key: String,
    },
    /// Somebody took back an event: their own, or another's where they may.
    Redaction { room: RoomId, event_id: EventId, sender: UserId, redacts: EventId, reason: Option<String> },
    /// Something that nobody but its room's members can read.
    Encrypted { room: RoomId, event_id: EventId, sender: UserId },
    /// An event that needs nothing from us, with its type for the log. It is settled at once.
    Other { room: RoomId, kind: String },
    /// Somebody set the room's topic; empty for none.
    Topic { room: RoomId, event_id: EventId, sender: UserId, topic: String },
    /// Somebody changed who may what in the room. What it says now is read where it matters.
    PowerLevels { room: RoomId, sender: UserId },
    /// Somebody closed the room: it goes on in another one.
    Tombstone { room: RoomId, sender: UserId, to: RoomId },
    /// Somebody said who may come into the room.
    JoinRules { room: RoomId, event_id: EventId, sender: UserId, door: Doorway },
}

impl MatrixEvent {
    /// Where it happened.
    pub fn room(&self) -> &RoomId {
        match self {
            Self::Message { room, .. }
            | Self::Member { room, .. }
            | Self::Reaction { room, .. }
            | Self::Redaction { room, .. }
            | Self::Encrypted { room, .. }
            | Self::Other { room, .. }
            | Self::Topic { room, .. }
            | Self::PowerLevels { room, .. }
            | Self::Tombstone { room, .. }
            | Self::JoinRules { room, .. } => room,
        }
    }
}

/// Whether more people than those invited may come into a room, in whatever way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doorway {
    Open,
    Shut,
}

/// What an earlier run has done with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing: it was accepted in this run.
    New,
    /// It accepted the event and got no further with it. Who sent it may have left since.
    Accepted,
    /// It gave the message to a socket, and the answer is not known: it is never said again.
    Written,
}

/// What a message refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    None,
    /// It answers that one.
    Reply {
        to: EventId,
    },
    /// It belongs to a thread, and answers one of its messages where `to` says so.
    Thread {
        root: EventId,
        to: Option<EventId>,
    },
    /// It takes the place of that one.
    Edit {
        of: EventId,
    },
}

/// What was said, before formatting. Of an edit: what is to stand there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageBody {
    pub kind: BodyKind,
    /// Of a file: its caption, empty without one.
    pub text: String,
    /// The same with formatting, unparsed; at most 65,536 bytes.
    pub html: Option<String>,
    /// Boxed: few messages have one, and it is large.
    pub media: Option<Box<Media>>,
}

impl MessageBody {
    /// Without formatting.
    pub fn plain(kind: BodyKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), html: None, media: None }
    }
}

/// The three kinds of chat that both sides know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BodyKind {
    /// `m.text`, PRIVMSG.
    Text,
    /// `m.emote`, CTCP ACTION.
    Emote,
    /// `m.notice`, NOTICE.
    Notice,
}

/// `m.room.member` membership values (client-server API, "m.room.member").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Membership {
    Join,
    Invite,
    Leave,
    Ban,
    Knock,
}

/// Why a connection is no more. The words are for the log and, where a person is told, for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// It never came up: name resolution, refused, TLS.
    DialFailed(String),
    /// The other side closed it, or the socket failed.
    Lost(String),
    /// We asked for it.
    Asked,
}
