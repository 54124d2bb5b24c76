//! The people of a channel as ghosts in its rooms: who is here, told to [`Memberships`] as it changes, and the steps that
//! come of it.
//!
//! [`Memberships`]: super::super::portal::membership::Memberships

use std::collections::BTreeSet;

use super::super::channel::Whose;
use super::super::channel::roster::{Motion, News};
use super::super::effect::{Effect, Ghost, RoomStep, Speaker};
use super::super::input::{Membership, StepResult};
use super::super::policy::ToMatrix;
use super::super::portal::membership::{Arrival, Cause, Due, Wish};
use super::super::timer::Timer;
use super::{Life, Network};
use crate::ids::{ChannelName, Nick, RoomId, UserId};

/// Where the person of a nick is, seen from one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// In the channel, and of IRC; as they spell themselves.
    Here(Nick),
    /// In the channel as the puppet of somebody who is not in the room: a ghost of theirs speaks for them there.
    Puppet,
    Gone,
    /// Nobody knows who is in the channel.
    Unknown,
}

impl Network {
    /// An earlier run left these ghosts in a room.
    pub(super) fn ghosts_known(&mut self, room: &RoomId, ghosts: &[UserId]) {
        for user in ghosts {
            if self.is_ghost(user) {
                self.members.inside(room, user);
            }
        }
    }

    fn is_ghost(&self, user: &UserId) -> bool {
        self.policy.ghosts.owns(user, &self.policy.server_name)
    }

    /// Somebody came or went, or a whole list replaced the one before.
    pub(super) fn people_changed(&mut self, channel: &ChannelName, news: &News) {
        let rooms: Vec<RoomId> = self.portals.of_channel(channel).map(|portal| portal.room.clone()).collect();
        for room in rooms {
            if news.whole {
                self.compare_room(&room);
            }
            for (nick, motion) in &news.people {
                let cause = match motion {
                    Motion::Came => Cause::Unlisted,
                    Motion::Went(going) => Cause::Went(going.clone()),
                };
                if let Some(user) = self.policy.ghosts.user(nick, &self.policy.server_name) {
                    self.judge(channel, &room, &user, Some(nick), Arrival::Lately, cause);
                }
            }
        }
        self.take_steps();
    }

    /// Compares a whole room with its channel.
    pub(super) fn compare_room(&mut self, room: &RoomId) {
        let Some(channel) = self.portals.of_room(room).map(|portal| portal.channel.clone()) else { return };
        let Some(known) = self.channels.get(&channel).filter(|known| known.roster().is_known()) else {
            return self.members.unknown(room);
        };
        if self.shown(&channel) == ToMatrix::Off {
            return;
        }
        let nicks: Vec<Nick> = known.roster().iter().map(|present| present.nick.clone()).collect();
        let mut left_over: BTreeSet<UserId> = self.members.ghosts(room).cloned().collect();
        for nick in nicks {
            if let Some(user) = self.policy.ghosts.user(&nick, &self.policy.server_name) {
                left_over.remove(&user);
                self.judge(&channel, room, &user, Some(&nick), Arrival::Listed, Cause::Unlisted);
            }
        }
        for user in left_over {
            self.judge_ghost(&channel, room, &user, Cause::Unlisted);
        }
        self.take_steps();
    }

    /// As [`judge`](Self::judge), for a ghost whose nick follows from its id.
    pub(super) fn judge_ghost(&mut self, channel: &ChannelName, room: &RoomId, user: &UserId, cause: Cause) {
        let nick = self.policy.ghosts.parse(user.localpart(), self.map());
        self.judge(channel, room, user, nick.as_ref(), Arrival::Listed, cause);
    }

    /// Tells whether a ghost should be in a room now; `cause` where it should not.
    fn judge(
        &mut self,
        channel: &ChannelName,
        room: &RoomId,
        user: &UserId,
        nick: Option<&Nick>,
        arrival: Arrival,
        cause: Cause,
    ) {
        let shown = self.shown(channel);
        match self.whereabouts(channel, room, nick) {
            Whereabouts::Here(nick) if shown == ToMatrix::Full => {
                self.members.here(self.now, room, user, &nick, arrival);
            }
            Whereabouts::Here(_) | Whereabouts::Puppet => self.members.stays(room, user),
            Whereabouts::Gone if shown != ToMatrix::Off => {
                self.members.gone(self.now, room, user, cause);
            }
            Whereabouts::Gone | Whereabouts::Unknown => {}
        }
    }

    fn shown(&self, channel: &ChannelName) -> ToMatrix {
        self.policy.members.shown(channel, self.map())
    }

    /// `nick` is `None` for a ghost of another case mapping, or of another time: nobody can be meant.
    pub(super) fn whereabouts(
        &self,
        channel: &ChannelName,
        room: &RoomId,
        nick: Option<&Nick>,
    ) -> Whereabouts {
        let Some(channel) = self.channels.get(channel).filter(|channel| channel.roster().is_known()) else {
            return Whereabouts::Unknown;
        };
        let Some(nick) = nick else { return Whereabouts::Gone };
        let Some(present) = channel.roster().get(nick) else {
            // Of who found no place in it nobody knows whether they are here.
            return if channel.roster().is_full() { Whereabouts::Unknown } else { Whereabouts::Gone };
        };
        match channel.whose(nick, &self.nicks) {
            Whose::Theirs => Whereabouts::Here(present.nick.clone()),
            Whose::Ours(Some(conn)) if self.portals.has(room, &self.puppets[conn.puppet.0 as usize].user) => {
                Whereabouts::Gone
            }
            Whose::Ours(_) => Whereabouts::Puppet,
        }
    }

    /// Whoever speaks is in the room: the outbox lets them in before. Who is not in the channel leaves late.
    pub(super) fn note_speakers(&mut self) {
        let mut speakers: BTreeSet<(RoomId, UserId)> = BTreeSet::new();
        for effect in &self.out[self.out_read.min(self.out.len())..] {
            if let Some((room, Speaker::Ghost(ghost))) = spoken(effect) {
                speakers.insert((room.clone(), ghost.user.clone()));
            }
        }
        self.out_read = self.out.len();
        for (room, user) in speakers {
            self.members.inside(&room, &user);
            let channel = self.portals.of_room(&room).map(|portal| portal.channel.clone());
            if let Some(channel) = channel {
                self.judge_ghost(&channel, &room, &user, Cause::Outside);
            }
        }
        self.timers.arm_if(Timer::Members, self.members.poll_timeout());
    }

    /// The homeserver tells that one of ours is in a room or is not. What they did themselves we did.
    pub(super) fn ghost_moved(
        &mut self,
        room: &RoomId,
        sender: &UserId,
        user: &UserId,
        membership: Membership,
    ) {
        if sender == user || !self.is_ghost(user) {
            return;
        }
        match membership {
            // Nobody but people put a ghost out: the bot lifts bans, which is a leave too.
            Membership::Leave | Membership::Ban if *sender != self.policy.bot => {
                self.members.put_out(self.now, room, user);
            }
            Membership::Invite if *sender != self.policy.bot => {
                self.members.welcome(room, user);
                self.ghost_invited(room, sender, user);
                let channel = self.portals.of_room(room).map(|portal| portal.channel.clone());
                if let Some(channel) = channel {
                    self.judge_ghost(&channel, room, user, Cause::Unlisted);
                }
                self.take_steps();
            }
            Membership::Leave
            | Membership::Ban
            | Membership::Invite
            | Membership::Join
            | Membership::Knock => {}
        }
    }

    /// What became of a step; how things are by now decides what follows.
    pub(super) fn step_done(&mut self, room: &RoomId, user: &UserId, result: &StepResult) {
        self.members.done(self.now, room, user, result);
        self.ghost_went(room, user, result);
        let channel = self.portals.of_room(room).map(|portal| portal.channel.clone());
        if let Some(channel) = channel.filter(|_| *result != StepResult::NotTaken) {
            self.judge_ghost(&channel, room, user, Cause::Unlisted);
        }
        self.take_steps();
    }

    /// Something has waited long enough.
    pub(super) fn members_due(&mut self) {
        for room in self.members.due_again(self.now) {
            self.compare_room(&room);
        }
        self.take_steps();
    }

    /// Asks for what is due, as far as there is a place for it. What is not true any more is left out.
    pub(super) fn take_steps(&mut self) {
        if self.life != Life::Running {
            return;
        }
        while let Some(due) = self.members.next(self.now) {
            if let Some(step) = self.step(&due) {
                self.members.begin(&due);
                self.out.push(Effect::Step { room: due.room, step });
            }
        }
        self.timers.arm_if(Timer::Members, self.members.poll_timeout());
    }

    fn step(&self, due: &Due) -> Option<RoomStep> {
        let channel = &self.portals.of_room(&due.room)?.channel;
        let shown = self.shown(channel);
        let nick = self.policy.ghosts.parse(due.user.localpart(), self.map());
        match (&due.wish, self.whereabouts(channel, &due.room, nick.as_ref())) {
            (Wish::Join(_), Whereabouts::Here(nick)) if shown == ToMatrix::Full => {
                let ghost = Ghost { user: due.user.clone(), display_name: nick.as_str().to_owned() };
                Some(RoomStep::GhostJoins(ghost))
            }
            (Wish::Leave(cause), Whereabouts::Gone) if shown != ToMatrix::Off => {
                Some(RoomStep::GhostLeaves { ghost: due.user.clone(), reason: cause.reason() })
            }
            (
                Wish::Join(_) | Wish::Leave(_),
                Whereabouts::Here(_) | Whereabouts::Puppet | Whereabouts::Gone | Whereabouts::Unknown,
            ) => None,
        }
    }
}

/// Who says or does something in a room, in whose name.
fn spoken(effect: &Effect) -> Option<(&RoomId, &Speaker)> {
    match effect {
        Effect::Relay(relay) => Some((&relay.room, &relay.speaker)),
        Effect::Mark(mark) => Some((&mark.room, &mark.speaker)),
        Effect::Redact(redact) => Some((&redact.room, &redact.speaker)),
        Effect::Connect { .. }
        | Effect::Derive { .. }
        | Effect::Upgrade { .. }
        | Effect::StayEncrypted { .. }
        | Effect::Send { .. }
        | Effect::Close { .. }
        | Effect::Abandon { .. }
        | Effect::Observe { .. }
        | Effect::Written { .. }
        | Effect::Settle { .. }
        | Effect::Remember { .. }
        | Effect::Kick { .. }
        | Effect::Publish(_)
        | Effect::Unpublish { .. }
        | Effect::CreateRoom { .. }
        | Effect::AddAlias { .. }
        | Effect::Answer { .. }
        | Effect::Reported { .. }
        | Effect::SavePortal(_)
        | Effect::SaveMember { .. }
        | Effect::SaveCaseMap { .. }
        | Effect::SaveHold(_)
        | Effect::DropHold { .. }
        | Effect::Duty { .. }
        | Effect::Step { .. }
        | Effect::Typing { .. }
        | Effect::Query(_)
        | Effect::LeaveQuery { .. }
        | Effect::SaveQuery(_)
        | Effect::DropQuery { .. }
        | Effect::Pardon { .. }
        | Effect::Succeed(_)
        | Effect::Invite { .. }
        | Effect::Found { .. }
        | Effect::SaveBan(_)
        | Effect::DropBan { .. }
        | Effect::SaveRule(_)
        | Effect::DropRule { .. }
        | Effect::SaveNick(_)
        | Effect::DropNick { .. }
        | Effect::SaveBar(_)
        | Effect::DropBar { .. }
        | Effect::Hasten { .. }
        | Effect::Space(_)
        | Effect::Plumb { .. }
        | Effect::DropPortal { .. }
        | Effect::News { .. }
        | Effect::Key { .. }
        | Effect::Realname { .. }
        | Effect::Ignores { .. }
        | Effect::Mentions { .. } => None,
    }
}
