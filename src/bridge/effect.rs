//! Everything one IRC network's machine may ask of the shell.
//!
//! An effect is imperative and complete: the shell performs it without looking back into the machine. What
//! comes of it returns as an [`Input`](super::input::Input). Effects of one `handle` call are performed in
//! their order.

use super::errand::Report;
use super::input::{AskId, BanRow, BarRow, BodyKind, HoldRow, PortalRow, QueryRow};
use super::media::Publication;
use super::news::News;
use super::policy::Shown;
use crate::ids::{
    ChannelName, ConnId, Epoch, EventId, InboxSeq, NetworkId, PuppetId, RelaySeq, RoomAlias, RoomId, UserId,
};
use crate::secret::Secret;
use crate::text::line::Line;

pub use super::errand::NickRow;
pub use super::kept::Presence;
pub use super::look_up::Found;
pub use super::operators::rules::{Asked, Rule};
pub use super::queries::step::QueryStep;
pub use super::relay::memory::{Author, Life, Said, Saying};
pub use super::step::{
    Door, JoinRule, Levels, Listing, Needs, Placed, Plate, Reach, RoomDoor, RoomPower, RoomStep, RoomTopic,
    SpacePlace, SpaceWish, Standing, StepKey, WantedSpace,
};
pub use super::succession::{Needed, Succession};

/// One thing to do. Matched without `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Dial the network for this user. Ends in `ConnOpened` or `ConnClosed`.
    Connect { conn: ConnId, user: UserId },
    /// Salt a password with so many rounds of PBKDF2-HMAC-SHA-256: slow, so not the machine's work. Answered by
    /// `Derived`.
    Derive { conn: ConnId, password: Secret, salt: Vec<u8>, iterations: u32 },
    /// The server of this connection is to be dialled with TLS on this port from now on (IRCv3 "sts").
    Upgrade { conn: ConnId, port: u16 },
    /// The server of this connection, which is encrypted, is to be dialled with TLS for so long, also after a
    /// restart; 0: no longer.
    StayEncrypted { conn: ConnId, duration_s: u64 },
    /// Write one line, without its line ending. Answered in order by `ConnWritten`.
    Send { conn: ConnId, line: String },
    /// Write what is queued, then close. Answered by `ConnClosed`.
    Close { conn: ConnId },
    /// End it at once: what is queued is not written, and what the server has not got yet it does not get any more.
    /// Answered by `ConnClosed`.
    Abandon { conn: ConnId },
    /// Whether this connection's chat in channels is worth reading; it is, until this says otherwise.
    Observe { conn: ConnId, chat: Chat },
    /// The kernel has all lines of this inbox row, or the row has ended without that. To be on the disk before this puppet
    /// says anything else: after a crash it is not said again then. Answered by `Noted`.
    Written { puppet: PuppetId, seq: InboxSeq },
    /// This inbox row has reached its end.
    Settle { seq: InboxSeq, outcome: Outcome },
    /// Say something in a room.
    Relay(Relay),
    /// Put a sign on somebody's message: what became of it, or somebody's reaction.
    Mark(Mark),
    /// Take back what was said.
    Redact(Redact),
    /// Keep over restarts what was said lately: rows that are new or changed; those with a lower number than `from` are
    /// forgotten.
    Remember { sayings: Vec<Saying>, from: u64 },
    /// Remove somebody from a room, in the bot's name, behind all that was said there before. Each attempt that the
    /// homeserver answers is answered by `KickDone`.
    Kick { room: RoomId, user: UserId, reason: String, meanwhile: Meanwhile },
    /// Let a link lead somewhere from now on; given before the lines that name the link.
    Publish(Publication),
    /// Whatever was published of this message is to be found no longer, at once and for good.
    Unpublish { room: RoomId, event: EventId },
    /// Make the portal room of a channel, with this alias. Answered by `RoomCreated`.
    CreateRoom { channel: ChannelName, alias: RoomAlias },
    /// Give an existing portal room one more alias. Answered by `AliasAdded`.
    AddAlias { room: RoomId, alias: RoomAlias },
    /// Answer the homeserver's question.
    Answer { ask: AskId, existence: Existence },
    /// What became of `Input::Errand`: exactly one for each.
    Reported { ask: AskId, report: Report },
    /// Remember this portal over restarts.
    SavePortal(PortalRow),
    /// Remember over restarts who is in a portal's room.
    SaveMember { room: RoomId, user: UserId, display_name: Option<String>, presence: Presence },
    /// Remember the network's case mapping over restarts, by its ISUPPORT name.
    SaveCaseMap { name: &'static str },
    /// Remember over restarts that this puppet stays away; one for each user.
    SaveHold(HoldRow),
    /// Forget the hold of this user.
    DropHold { user: UserId },
    /// Another connection speaks for a channel now. For people to see; there is nothing to do.
    Duty { channel: ChannelName, conn: ConnId, epoch: Epoch, why: Moved },
    /// Bring a room nearer to what it should be. Answered by one `StepDone` for each key, when nothing waits for it any
    /// more. What is said goes first.
    Step { room: RoomId, step: RoomStep },
    /// Show in a room for so long that an IRC user types there; 0: no longer. At once or never: it is not kept, not tried
    /// again, and nobody joins the room for it.
    Typing { room: RoomId, ghost: UserId, for_ms: u64 },
    /// Do something for a private chat. Answered by `Input::QueryDone`.
    Query(QueryStep),
    /// A ghost leaves a room, behind all that is still to be said there.
    LeaveQuery { room: RoomId, ghost: UserId, reason: String },
    /// Remember this private chat over restarts.
    SaveQuery(QueryRow),
    /// Forget the private chat of this room.
    DropQuery { room: RoomId },
    /// Somebody need not be removed any more: they are in the channel, or out of the room.
    Pardon { room: RoomId, user: UserId },
    /// Do something for a room that another one replaces.
    Succeed(Succession),
    /// Invite a person to a room, in the bot's name. Tried a few times; nobody waits for it.
    Invite { room: RoomId, user: UserId, reason: String },
    /// The answer to `Input::LookUp`: exactly one for each.
    Found { ask: AskId, found: Vec<Found> },
    /// Remember over restarts by which mask a ghost is banned in a channel.
    SaveBan(BanRow),
    /// Forget the ban of this ghost.
    DropBan { room: RoomId, ghost: UserId },
    /// Remember over restarts what an operator of a channel asked for, in place of the same with another number or reason.
    SaveRule(Rule),
    /// Forget it.
    DropRule { channel: String, asked: Asked },
    /// Remember over restarts which nick somebody chose; one for each user.
    SaveNick(NickRow),
    /// Forget it: their nick follows their display name again.
    DropNick { user: UserId },
    /// Remember over restarts that somebody is to be removed, and that what is said meanwhile is kept back.
    SaveBar(BarRow),
    /// Forget it: it is done, or no longer wanted.
    DropBar { room: RoomId, user: UserId },
    /// Removals that the homeserver refused in this room may go well now: try at once.
    Hasten { room: RoomId },
    /// Do something about the network's space.
    Space(SpaceWish),
    /// The channel's operators allow this room: pair the two, if it is fit and this person may say so there. Answered by `Plumbed`.
    Plumb { room: RoomId, channel: String, user: UserId },
    /// Forget the portal of this room, and who was in it.
    DropPortal { room: RoomId },
    /// Something happened to the connection of somebody who has an admin room. Nothing answers it.
    News { user: UserId, news: News },
    /// Do something about the key that somebody gave for a channel.
    Key { user: UserId, channel: ChannelName, wish: KeyWish },
    /// Remember over restarts which realname somebody chose; `None`: forget it.
    Realname { user: UserId, realname: Option<String> },
    /// Remember over restarts whom somebody ignores: these masks and no others.
    Ignores { user: UserId, masks: Vec<String> },
    /// Remember over restarts whether somebody's nick becomes a mention of them.
    Mentions { user: UserId, shown: Shown },
}

/// What becomes of a channel's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyWish {
    /// Remembered over restarts, sealed.
    Keep(Secret),
    Forget,
}

/// What becomes of what is said in a room while somebody cannot be removed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// It is shown, and nobody tries again.
    Shown,
    /// It waits, in order. The homeserver is asked again, and the room is told once.
    Withheld,
}

/// Why another connection speaks for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Nobody did.
    First,
    /// The one before left the channel, or its connection ended.
    Left,
    /// The one before did not show a line that others showed: it may be dead.
    Silent,
    /// This one is preferred.
    Preferred,
}

/// Whether a connection passes on what is said in channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chat {
    Read,
    /// Dropped by the connection before it is even parsed: others observe.
    Skip,
}

/// How an accepted Matrix event ended (promise 2: exactly one of these, and the sender is told of the last two).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// On the other side, proven by label, echo, witness or fence; or nothing had to be done.
    Delivered,
    /// Refused, or nobody knows whether it arrived; with the reason.
    Failed(String),
    /// Too old to be said.
    Expired,
}

/// One thing said in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Orders it and names its transaction for life.
    pub seq: RelaySeq,
    pub room: RoomId,
    pub speaker: Speaker,
    pub kind: BodyKind,
    /// Plain text, as people read it.
    pub text: String,
    /// The same with its formatting, where it has any (format `org.matrix.custom.html`).
    pub html: Option<String>,
    /// Who is to hear of it (client-server API, "User and room mentions").
    pub mentions: Vec<UserId>,
    /// The event this answers, if any: shown as a reply.
    pub about: Option<EventId>,
    /// When it was said, in milliseconds since the Unix epoch, where the network tells and it was a moment ago.
    pub said_ms: Option<u64>,
}

impl Relay {
    /// Text without formatting, that names nobody and answers nothing.
    pub fn plain(seq: RelaySeq, room: RoomId, speaker: Speaker, kind: BodyKind, text: String) -> Self {
        let (html, mentions, about, said_ms) = (None, Vec::new(), None, None);
        Self { seq, room, speaker, kind, text, html, mentions, about, said_ms }
    }
}

/// A sign on somebody's message. One event: two signs on a message are two marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Orders it among what is said, and names its transaction for life.
    pub seq: RelaySeq,
    pub room: RoomId,
    pub speaker: Speaker,
    /// The message.
    pub event: EventId,
    pub sign: Sign,
}

/// The end of a message: its content is taken away (client-server API, "Redactions").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redact {
    /// Orders it among what is said, and names its transaction for life.
    pub seq: RelaySeq,
    pub room: RoomId,
    pub speaker: Speaker,
    /// The message.
    pub event: EventId,
    pub reason: Option<String>,
}

/// What a mark looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A reaction with this key (client-server API, "Event annotations and reactions"): somebody's own, or the bot's,
    /// whose message did not arrive, or not for sure.
    Reaction(String),
    /// The event `com.beeper.message_send_status`, for clients that show it.
    Status { network: NetworkId, fate: Fate },
}

/// What became of a message, for a client to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Delivered,
    /// It did not arrive, or not for sure: the words for its sender.
    Failed(String),
    /// It became too old before it could be sent: the words for its sender.
    Expired(String),
}

/// What goes to the homeserver by the outbox: in order for each room, and kept over restarts until it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Post {
    Line(Relay),
    Mark(Mark),
    Redact(Redact),
}

impl Post {
    pub fn seq(&self) -> RelaySeq {
        match self {
            Self::Line(relay) => relay.seq,
            Self::Mark(mark) => mark.seq,
            Self::Redact(redact) => redact.seq,
        }
    }

    pub fn room(&self) -> &RoomId {
        match self {
            Self::Line(relay) => &relay.room,
            Self::Mark(mark) => &mark.room,
            Self::Redact(redact) => &redact.room,
        }
    }

    /// In whose name it is done.
    pub fn speaker(&self) -> &Speaker {
        match self {
            Self::Line(relay) => &relay.speaker,
            Self::Mark(mark) => &mark.speaker,
            Self::Redact(redact) => &redact.speaker,
        }
    }
}

/// In whose name something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The bridge itself.
    Bot,
    /// An IRC user.
    Ghost(Ghost),
}

/// An IRC user's presence on Matrix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ghost {
    pub user: UserId,
    /// The nick as shown.
    pub display_name: String,
}

/// The answer to "does this alias exist?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    Exists,
    Absent,
}

/// The answer to a command that somebody let their puppet give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandAnswer {
    pub verdict: Verdict,
    /// What the server said to it, in order; at most 512 lines and 64 KiB.
    pub lines: Vec<Line>,
    pub extent: Extent,
}

/// Whether all of an answer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Whole,
    /// There was more than is kept.
    Cut,
}

/// What became of a line that went to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server has worked on it and had nothing against it.
    Accepted,
    Refused(Refusal),
    /// Of several like it at least one was refused and one accepted, and the server does not say which.
    Doubtful(Refusal),
    /// The server did not say, and never will: no answer in time, or the connection ended first.
    Unknown,
}

/// Why a line was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A numeric, the code of a standard reply (IRCv3 "Standard Replies"), or one of our own in capitals.
    pub code: String,
    /// In the words of whoever refused it.
    pub words: String,
    /// All parameters of the refusing line; empty where we refused it ourselves.
    pub params: Vec<String>,
}

impl Refusal {
    /// One of our own.
    pub fn ours(code: &str, words: &str) -> Self {
        Self { code: code.to_owned(), words: words.to_owned(), params: Vec::new() }
    }
}
