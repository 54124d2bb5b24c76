//! The admin rooms: who gives the bot commands, where, and what they are told.
//!
//! A machine like `network`, above all networks: it takes [`AdminInput`]s and the time and gives [`AdminEffect`]s, and knows no
//! clock, socket or database. One person has one room; the newest takes the place of the one before. A command is an
//! event of the inbox and is settled when its answer is on its way. What a network is asked comes back as one
//! report; what never comes back is answered after [`ANSWER_MS_MAX`].
//!
//! ```text
//!   event ─▶ read ─▶ (which channel is this room?) ─▶ act ─┬▶ errand ─▶ network ─▶ report ─▶ told
//!                                                          ├▶ keep ──▶ database ─▶ kept ───▶ told
//!                                                          └▶ at once: help, version, login (a dialog)
//!   news of a connection ─▶ board (how often?) ─▶ told in its person's room
//! ```

mod commands;
mod dialog;
mod hearing;
mod news;
mod rooms;
mod seam;
mod words;

use std::collections::{BTreeMap, HashMap};

pub use self::commands::{in_room, is_call};
pub use self::seam::{AdminEffect, AdminInput, NetworkName, Place, Settings};

use self::commands::Open;
use self::dialog::Dialog;
use self::rooms::Rooms;
use super::command::reply::Reply;
use super::effect::{Outcome, Relay, Speaker};
use super::errand::ERRAND_MS_MAX;
use super::input::{AskId, BodyKind};
use super::network::RelaySeqs;
use crate::ids::{EventId, InboxSeq, RelaySeq, RoomId, Time, UserId};

/// When whoever gave a command is told that nobody answered. A network answers before that.
pub const ANSWER_MS_MAX: u64 = ERRAND_MS_MAX + 30_000;
/// Commands under way, at most. One more is refused.
pub const OPEN_MAX: usize = 1_000;
/// Commands of one person under way, at most. One more is refused.
pub const OPEN_OF_ONE_MAX: usize = 8;

/// How long the bot stays in a room that it was invited to for plumbing, and that is not bridged.
pub const GUEST_MS_MAX: u64 = 600_000;

/// All admin rooms.
#[derive(Debug)]
pub struct Admin {
    settings: Settings,
    now: Time,
    seqs: RelaySeqs,
    rooms: Rooms,
    /// Commands whose answers are waited for.
    open: BTreeMap<AskId, Open>,
    next_ask: u64,
    /// People who are asked for their login, by their room.
    dialogs: HashMap<RoomId, Dialog>,
    pace: words::Pace,
    board: news::Board,
    out: Vec<AdminEffect>,
}

impl Admin {
    /// With nothing known yet.
    pub fn new(settings: Settings, seqs: RelaySeqs) -> Self {
        Self {
            settings,
            now: Time::default(),
            seqs,
            rooms: Rooms::default(),
            open: BTreeMap::new(),
            next_ask: 0,
            dialogs: HashMap::new(),
            pace: words::Pace::default(),
            board: news::Board::default(),
            out: Vec::new(),
        }
    }

    /// Takes one input. What is to be done waits in [`take_effects`](Self::take_effects).
    pub fn handle(&mut self, now: Time, input: AdminInput) {
        self.now = self.now.max(now);
        match input {
            AdminInput::Room { user, room } => self.rooms.known(user, room),
            AdminInput::Event { seq, event, before, place } => self.event(seq, event, before, &place),
            AdminInput::Entered { room, result } => self.entered(&room, result),
            AdminInput::Reported { ask, report } => self.reported(ask, &report),
            AdminInput::Kept { ask, kept } => self.kept(ask, &kept),
            AdminInput::Upkept { ask, report } => self.upkept(ask, &report),
            AdminInput::Permissions(permissions) => self.settings.permissions = permissions,
            AdminInput::Hidden { room, event, result } => self.hidden(&room, &event, result),
            AdminInput::News { network, user, news } => self.news(&network, &user, news),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        let open = self.open.values().map(|open| open.until).chain(self.rooms.next_goodbye());
        open.chain(self.dialogs.values().map(|dialog| dialog.until)).chain(self.board.next()).min()
    }

    /// Ends what has waited for too long.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.commands_due();
        self.guests_go();
        self.news_due();
        let now = self.now;
        self.dialogs.retain(|_, dialog| dialog.until > now);
    }

    /// Moves what is to be done to the end of `into`, in order.
    pub fn take_effects(&mut self, into: &mut Vec<AdminEffect>) {
        into.append(&mut self.out);
    }

    fn settle(&mut self, seq: InboxSeq) {
        self.out.push(AdminEffect::Settle { seq, outcome: Outcome::Delivered });
    }

    /// Says something in a room, as an answer where there is a question.
    fn say(&mut self, room: &RoomId, about: Option<&EventId>, reply: &Reply) {
        let seq = self.seqs.next;
        self.seqs.next = RelaySeq(seq.0 + self.seqs.step);
        let relay = Relay {
            html: reply.html(),
            about: about.cloned(),
            ..Relay::plain(seq, room.clone(), Speaker::Bot, BodyKind::Notice, reply.plain())
        };
        self.out.push(AdminEffect::Say(relay));
    }

    fn is_person(&self, user: &UserId) -> bool {
        *user != self.settings.bot && !self.settings.is_ghost(user)
    }
}

#[cfg(test)]
mod tests;
