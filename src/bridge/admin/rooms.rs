//! Whose admin room is which, and the ways in and out of it.
//!
//! ```text
//!   invited ─▶ entering ─▶ open ─▶ left: its person is gone, somebody else came, or it has a successor
//!                 └──────▶ others are in it, or may come: the bot waits there to be told a channel, ten minutes
//! ```

use std::collections::HashMap;

use super::{Admin, AdminEffect, GUEST_MS_MAX, Place, words};
use crate::bridge::command::reply::Reply;
use crate::bridge::input::{Before, MatrixEvent, Member, Membership};
use crate::bridge::policy::Permission;
use crate::ids::{InboxSeq, RoomId, Time, UserId};

/// Rooms that the bot is on its way into, or waits in to be told a channel, at most. A further invitation is declined.
const ENTERING_MAX: usize = 200;

/// The rooms.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    of_user: HashMap<UserId, RoomId>,
    people: HashMap<RoomId, UserId>,
    /// By whom the bot was invited.
    entering: HashMap<RoomId, Entering>,
    /// Rooms of people's own that the bot was invited to, by whom, and until when it waits to be told a channel.
    guests: HashMap<RoomId, (UserId, Time)>,
}

/// A room that the bot is on its way into, and who asked for it.
#[derive(Debug)]
struct Entering {
    by: UserId,
    how: How,
}

/// How a room is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Invited,
    /// To a room that is no private chat.
    Among,
    /// By a word in a room that the bot may be in already.
    Called,
    /// It was an invitation, and somebody else has come meanwhile.
    Crowded,
}

impl Rooms {
    /// Somebody's room of an earlier run.
    pub fn known(&mut self, user: UserId, room: RoomId) {
        self.people.insert(room.clone(), user.clone());
        self.of_user.insert(user, room);
    }

    /// Whose admin room it is.
    pub fn person(&self, room: &RoomId) -> Option<&UserId> {
        self.people.get(room)
    }

    /// When the bot has to look whether it leaves a room.
    pub fn next_goodbye(&self) -> Option<Time> {
        self.guests.values().map(|(_, until)| *until).min()
    }

    /// Somebody's admin room.
    pub fn of(&self, user: &UserId) -> Option<&RoomId> {
        self.of_user.get(user)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &RoomId> {
        self.people.keys()
    }

    /// Somebody's room; gives the one they had before.
    fn set(&mut self, user: &UserId, room: &RoomId) -> Option<RoomId> {
        self.people.insert(room.clone(), user.clone());
        let before = self.of_user.insert(user.clone(), room.clone()).filter(|before| before != room);
        before.inspect(|before| drop(self.people.remove(before)))
    }

    fn remove(&mut self, room: &RoomId) -> Option<UserId> {
        let user = self.people.remove(room)?;
        if self.of_user.get(&user) == Some(room) {
            self.of_user.remove(&user);
        }
        Some(user)
    }
}

impl Admin {
    /// One event from the inbox.
    pub(super) fn event(&mut self, seq: InboxSeq, event: MatrixEvent, before: Before, place: &Place) {
        match event {
            MatrixEvent::Message { room, event_id, sender, body, relation, .. } => {
                self.message(seq, (&room, &event_id), &sender, &body, &relation, before, place);
            }
            MatrixEvent::Member { room, sender, target, membership, is_direct, .. } => {
                let how = if is_direct { How::Invited } else { How::Among };
                self.member(&room, &sender, &target, membership, how);
                self.settle(seq);
            }
            MatrixEvent::Encrypted { room, event_id, sender } => {
                let is_theirs = self.rooms.person(&room) == Some(&sender);
                if is_theirs && self.pace.turn(&sender, self.now) == words::Turn::Yours {
                    self.say(&room, Some(&event_id), &words::encrypted());
                }
                self.settle(seq);
            }
            MatrixEvent::Tombstone { room, .. } => {
                self.forget(&room);
                self.settle(seq);
            }
            MatrixEvent::Reaction { .. }
            | MatrixEvent::Redaction { .. }
            | MatrixEvent::Other { .. }
            | MatrixEvent::Topic { .. }
            | MatrixEvent::PowerLevels { .. }
            | MatrixEvent::JoinRules { .. } => self.settle(seq),
        }
    }

    fn member(&mut self, room: &RoomId, sender: &UserId, target: &Member, membership: Membership, how: How) {
        let is_bot = target.user == self.settings.bot;
        match membership {
            Membership::Invite if is_bot => self.invited(room, sender, how),
            Membership::Leave | Membership::Ban if is_bot => self.forget(room),
            Membership::Leave | Membership::Ban => {
                if self.rooms.person(room) == Some(&target.user) {
                    self.leave(room, "the person of this room has left it");
                }
            }
            Membership::Join | Membership::Invite if !is_bot => self.company(room, &target.user),
            Membership::Join | Membership::Invite | Membership::Knock => {}
        }
    }

    /// The bot is asked into a room that no network knows.
    fn invited(&mut self, room: &RoomId, by: &UserId, how: How) {
        if self.rooms.person(room).is_some() || self.rooms.entering.contains_key(room) {
            return;
        }
        if self.settings.who(by) == Permission::Blocked {
            return self.leave(room, "you may not use this bridge; its operator can say why");
        }
        if !self.is_person(by) || self.rooms.entering.len() + self.rooms.guests.len() >= ENTERING_MAX {
            return self.leave(room, "the bridge takes no invitation now; try again in a minute");
        }
        self.rooms.entering.insert(room.clone(), Entering { by: by.clone(), how });
        self.out.push(AdminEffect::Enter { room: room.clone() });
    }

    /// Somebody gives a command in a room that is not known: one that a lost database has known, or that a programme made.
    pub(super) fn called(&mut self, room: &RoomId, by: &UserId) {
        let is_their_turn = self.pace.turn(by, self.now) == words::Turn::Yours;
        if is_their_turn
            && !self.rooms.entering.contains_key(room)
            && self.rooms.entering.len() < ENTERING_MAX
        {
            self.rooms.entering.insert(room.clone(), Entering { by: by.clone(), how: How::Called });
            self.out.push(AdminEffect::Enter { room: room.clone() });
        }
    }

    pub(super) fn entered(&mut self, room: &RoomId, result: Result<Vec<Member>, String>) {
        let Some(Entering { by: user, how }) = self.rooms.entering.remove(room) else { return };
        let Ok(members) = result else { return };
        let others = members.iter().filter(|member| member.user != self.settings.bot);
        let people: Vec<&UserId> = others.map(|member| &member.user).collect();
        // The bot is in rooms for other reasons, which a word of anybody there must not end.
        if how == How::Called && people != [&user] {
            return self.out.push(AdminEffect::Ignore { room: room.clone() });
        }
        if how != How::Invited || people != [&user] {
            if !people.contains(&&user) {
                return self.leave(room, "nobody is there who invited me");
            }
            return self.stay_among(room, user);
        }
        if let Some(before) = self.rooms.set(&user, room) {
            self.say(&before, None, &words::moved(room));
            self.dialogs.remove(&before);
            self.drop_open(&before);
            self.out
                .push(AdminEffect::Leave { room: before, reason: "there is a newer admin room".to_owned() });
        }
        self.out.push(AdminEffect::SaveRoom { user, room: room.clone() });
        let welcome = words::welcome(&self.settings);
        self.say(room, None, &welcome);
    }

    /// The bot is in a room of people's own, to be told a channel.
    fn stay_among(&mut self, room: &RoomId, user: UserId) {
        self.out.push(AdminEffect::Ignore { room: room.clone() });
        let until = self.now.plus_ms(GUEST_MS_MAX);
        let may = self.settings.who(&user) >= Permission::Plumber;
        self.rooms.guests.insert(room.clone(), (user, until));
        self.say(room, None, &words::guest(may, &self.settings));
    }

    /// The bot has waited for long enough in some rooms.
    pub(super) fn guests_go(&mut self) {
        let now = self.now;
        let late = self.rooms.guests.iter().filter(|(_, (_, until))| *until <= now);
        let late: Vec<(RoomId, UserId)> =
            late.map(|(room, (user, _))| (room.clone(), user.clone())).collect();
        for (room, user) in late {
            self.rooms.guests.remove(&room);
            self.out.push(AdminEffect::LeaveUnlessLinked { room, user });
        }
    }

    /// Somebody else is here, or about to come: what is answered is for one person.
    fn company(&mut self, room: &RoomId, who: &UserId) {
        let entering = self.rooms.entering.get_mut(room).filter(|entering| entering.by != *who);
        if let Some(entering) = entering.filter(|entering| entering.how == How::Invited) {
            entering.how = How::Crowded;
        }
        if self.rooms.person(room).is_some_and(|person| person != who) {
            self.say(room, None, &words::crowd());
            self.leave(room, "an admin room is for one person");
        }
    }

    fn leave(&mut self, room: &RoomId, reason: &str) {
        self.forget(room);
        self.out.push(AdminEffect::Leave { room: room.clone(), reason: reason.to_owned() });
    }

    fn forget(&mut self, room: &RoomId) {
        self.rooms.entering.remove(room);
        self.rooms.guests.remove(room);
        self.dialogs.remove(room);
        self.drop_open(room);
        if let Some(user) = self.rooms.remove(room) {
            self.board.forget(&user);
            self.out.push(AdminEffect::DropRoom { user, room: room.clone() });
        }
    }

    /// Says something in all admin rooms; gives their number.
    pub(super) fn broadcast(&mut self, text: &str) -> usize {
        let rooms: Vec<RoomId> = self.rooms.all().cloned().collect();
        for room in &rooms {
            self.say(room, None, &Reply::text(text));
        }
        rooms.len()
    }
}
