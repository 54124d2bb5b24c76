//! What comes from Matrix: portals, members, events, questions for aliases.

use std::collections::BTreeSet;

use super::super::effect::{Effect, Existence, Outcome, Presence};
use super::super::input::{AskId, Before, MatrixEvent, Member, Membership, PortalOrigin, PortalRow};
use super::super::policy::DynamicPortals;
use super::super::portal::birth::Step;
use super::super::puppet::Puppet;
use super::super::timer::Timer;
use super::afterwards::About;
use super::queries::{Change, TALK_MS};
use super::say::Arrival;
use super::topic::RoomSays;
use super::{Life, Network};
use crate::ids::{ChannelName, InboxSeq, PuppetId, RoomAlias, RoomId, UserId};
use crate::text::casemap::CaseMap;
use crate::text::split::first_letters;

/// A puppet may ask for another nick once in so many milliseconds.
const RENAME_MS_MIN: u64 = 30_000;
/// How long a puppet without a channel keeps its connection.
const LINGER_MS: u64 = 300_000;

impl Network {
    /// Everything that was known is given: those who want to be somewhere go there.
    pub(super) fn started(&mut self) {
        self.life = Life::Running;
        self.began = self.memory.now();
        self.begin_bot();
        self.compare_bars();
        for id in 0..self.puppets.len() as u32 {
            self.ask_to_dial(PuppetId(id));
        }
        // Those whose turn has come have the grace from now on.
        for id in 0..self.puppets.len() as u32 {
            self.gate_person(PuppetId(id));
        }
        self.walk_plates();
        self.look_again();
        self.begin_space();
    }

    /// A pairing is known. Where the room was paired with another channel before, its people move.
    pub(super) fn portal_known(&mut self, row: &PortalRow) {
        let map = self.map();
        let before = self.portals.of_room(&row.room).map(|portal| portal.channel.clone());
        let Some(channel) = self.portals.add(row, map).map(|portal| portal.channel.clone()) else { return };
        self.compare_room(&row.room);
        self.plate_of(&row.room, before.as_ref().filter(|before| **before != channel));
        self.space_follows(&row.room);
        self.modes_wanted(&channel);
        self.bot_goes();
        let Some(before) = before.filter(|before| *before != channel) else { return };
        let members: Vec<UserId> = self.portals.members(&row.room).cloned().collect();
        for user in members {
            let id = self.ensure_puppet(&user, None);
            if !self.portals.wants(&before, &user) {
                self.puppet(id).wanted.remove(&before);
                self.leave_channel(id, &before);
            }
            if self.puppet(id).wanted.insert(channel.clone()) {
                self.join_channels(id, vec![channel.clone()]);
            }
            self.gate.forget(&row.room, &user);
            self.gate_entered(id, &row.room);
        }
    }

    /// The whole list of who is in a room: those who are not in it any more have left. What events have said
    /// since the list was made is newer and stands.
    pub(super) fn members_known(&mut self, room: &RoomId, members: &[Member]) {
        let changed = self.portals.take_changed(room);
        let listed: BTreeSet<&UserId> = members.iter().map(|member| &member.user).collect();
        let known: Vec<UserId> = self.portals.members(room).cloned().collect();
        for user in known.iter().filter(|user| !listed.contains(user) && !changed.contains(user)) {
            self.left_room(room, user, "left the room");
        }
        for member in members.iter().filter(|member| !changed.contains(&member.user)) {
            if !self.is_ours(&member.user) {
                self.entered_room(room, &member.user, member.display_name.clone());
            }
        }
    }

    /// Takes one event from the inbox; each is settled exactly once, here or when its message ends.
    pub(super) fn matrix_event(&mut self, seq: InboxSeq, event: MatrixEvent, before: Before) {
        let is_next_runs = matches!(self.life, Life::Finishing | Life::Stopping);
        let Some((seq, event, before)) = self.unless_held(seq, event, before) else { return };
        match event {
            MatrixEvent::Message { room, event_id, sender, body, relation, origin_ms } => {
                if !is_next_runs {
                    let arrival = Arrival { room, event_id, sender, body, relation, origin_ms, before };
                    self.message(seq, arrival);
                }
            }
            MatrixEvent::Reaction { room, event_id, sender, about, key } => {
                if !is_next_runs {
                    self.reaction(About { seq, room, event_id, sender, of: about, before }, &key);
                }
            }
            MatrixEvent::Redaction { room, event_id, sender, redacts, reason } => {
                if !is_next_runs {
                    let about = About { seq, room, event_id, sender, of: redacts, before };
                    self.taken_back(about, reason.as_deref());
                }
            }
            MatrixEvent::Encrypted { room, sender, .. } => self.encrypted(seq, &room, &sender),
            MatrixEvent::Member { room, sender, target, membership, is_direct, .. }
                if self.portals.of_room(&room).is_none() =>
            {
                // What is begun here would end with the run.
                if !is_next_runs {
                    let change = Change { room, sender, target, membership, is_direct };
                    self.changed_elsewhere(seq, change);
                }
            }
            MatrixEvent::Member { room, sender, target, membership, reason, is_direct: _ } => {
                self.membership(&room, &sender, target, membership, reason.as_deref());
                self.settle(seq, Outcome::Delivered);
            }
            MatrixEvent::Other { .. } => self.settle(seq, Outcome::Delivered),
            MatrixEvent::Topic { room, event_id, sender, topic } => {
                self.room_topic(seq, RoomSays { room, event_id, sender, topic });
            }
            MatrixEvent::PowerLevels { room, sender } => {
                self.room_power(&room, &sender);
                self.removals_may_go_well(&room);
                self.settle(seq, Outcome::Delivered);
            }
            MatrixEvent::Tombstone { room, sender, to } => {
                if !is_next_runs {
                    self.tombstone(seq, &room, sender, to);
                }
            }
            MatrixEvent::JoinRules { room, event_id, sender, door } => {
                self.settle(seq, Outcome::Delivered);
                self.room_door(room, event_id, sender, door);
            }
        }
    }

    /// Ghosts, of ours, of our other networks and of other bridges, and the bot are no people of Matrix.
    pub(super) fn is_ours(&self, user: &UserId) -> bool {
        *user == self.policy.bot
            || self.policy.ghosts.owns(user, &self.policy.server_name)
            || self.is_neighbour(user)
            || self.policy.directory.is_others(user)
    }

    fn membership(
        &mut self,
        room: &RoomId,
        sender: &UserId,
        target: Member,
        membership: Membership,
        reason: Option<&str>,
    ) {
        if self.portals.of_room(room).is_none() || self.is_neighbour(&target.user) {
            return;
        }
        if self.is_ours(&target.user) {
            return self.ghost_changed(room, sender, &target.user, membership, reason);
        }
        self.portals.note_change(room, &target.user);
        match membership {
            Membership::Join => self.entered_room(room, &target.user, target.display_name),
            Membership::Leave | Membership::Ban => {
                let words = match reason {
                    _ if *sender == target.user => "left the room".to_owned(),
                    Some(reason) => format!("were removed from the room ({reason})"),
                    None => "were removed from the room".to_owned(),
                };
                let farewell = self.farewell_of(sender, &target.user, membership, reason);
                self.left_room_saying(room, &target.user, &words, &farewell);
                self.declined(room, &target.user);
            }
            Membership::Invite | Membership::Knock => {}
        }
    }

    /// Somebody is in a room: their puppet wants to be in its channel.
    pub(super) fn entered_room(&mut self, room: &RoomId, user: &UserId, display_name: Option<String>) {
        let since = (self.life != Life::Loading).then(|| self.memory.now());
        let is_new = self.portals.enter(room, user, since);
        let id = self.ensure_puppet(user, display_name.as_deref());
        let renamed = display_name.is_some() && self.puppet(id).display_name != display_name;
        if renamed {
            self.puppet(id).display_name = display_name.clone();
            self.rename(id);
        }
        let Some(channel) = is_new else {
            if renamed {
                self.save_member(room, user, display_name, Presence::In);
            }
            return self.gate_entered(id, room);
        };
        self.save_member(room, user, display_name, Presence::In);
        if self.is_dismissed(&channel) {
            return self.tell_dismissed(room, &channel, user);
        }
        self.came_or_spoke(id);
        self.puppet(id).alone_since = None;
        self.puppet(id).forgive(&channel);
        let is_new = self.puppet(id).wanted.insert(channel.clone());
        if is_new || self.standing(id, &channel).is_none() {
            self.enter_channel(id, room, &channel);
        }
        self.ask_to_dial(id);
        self.gate_entered(id, room);
    }

    /// Somebody is no longer in a room: where it was their last of the channel, their puppet leaves it. `words`
    /// follow a "you".
    pub(super) fn left_room(&mut self, room: &RoomId, user: &UserId, words: &str) {
        self.left_room_saying(room, user, words, "");
    }

    /// As [`left_room`](Self::left_room); `farewell` is what the channel is told, one line, empty for nothing.
    pub(super) fn left_room_saying(&mut self, room: &RoomId, user: &UserId, words: &str, farewell: &str) {
        if self.portals.has(room, user) {
            self.save_member(room, user, None, Presence::Out);
        }
        let channel = self.portals.leave(room, user);
        self.gate_left(room, user);
        let Some(channel) = channel else { return };
        let Some(id) = self.puppet_ids.get(user).copied() else { return };
        self.no_longer_wants(id, &channel);
        self.fail_waiting(id, &channel, &format!("you {words} before it could be sent"));
        self.leave_channel_saying(id, &channel, farewell);
        self.linger_if_alone(id);
    }

    /// A puppet may have left its last channel: then its connection stays for a while.
    pub(super) fn linger_if_alone(&mut self, id: PuppetId) {
        if self.puppet(id).wanted.is_empty() && !self.is_bot(id) {
            let now = self.now;
            self.puppet(id).alone_since = Some(now);
            self.timers.arm(Timer::Linger(id), now.plus_ms(LINGER_MS));
        }
    }

    /// A puppet has been without a channel for a while: nothing is left to be on IRC for.
    pub(super) fn linger_over(&mut self, id: PuppetId) {
        let Some(since) = self.puppet(id).alone_since else { return };
        let talked = self.puppet(id).talked_at.map(|at| at.plus_ms(TALK_MS));
        let at = talked.into_iter().chain([since.plus_ms(LINGER_MS)]).max().unwrap_or(since);
        if at > self.now {
            return self.timers.arm(Timer::Linger(id), at);
        }
        self.puppet(id).talked_at = None;
        self.end_session(id, "No bridged channel left");
    }

    fn save_member(
        &mut self,
        room: &RoomId,
        user: &UserId,
        display_name: Option<String>,
        presence: Presence,
    ) {
        if self.life != Life::Loading {
            let (room, user) = (room.clone(), user.clone());
            self.out.push(Effect::SaveMember { room, user, display_name, presence });
        }
    }

    pub(super) fn ensure_puppet(&mut self, user: &UserId, display_name: Option<&str>) -> PuppetId {
        if let Some(id) = self.puppet_ids.get(user) {
            return *id;
        }
        let id = PuppetId(self.puppets.len() as u32);
        self.puppets.push(Puppet::new(id, user.clone(), display_name.map(str::to_owned)));
        self.puppet_ids.insert(user.clone(), id);
        self.puppet(id).is_new = self.life == Life::Running;
        self.puppet(id).excluded = self.exclusion_of(user);
        id
    }

    /// The nick this puppet's name makes.
    pub(super) fn wished_nick(&self, puppet: &Puppet) -> String {
        let bytes_max = self.isupport.nick_bytes_max;
        if let Some(nick) = self.bot_nick(puppet.id) {
            return first_letters(&nick, bytes_max).to_owned();
        }
        if let Some(nick) = &puppet.asked.nick {
            return first_letters(nick, bytes_max).to_owned();
        }
        self.policy.nicks.fill_in(self.alphabet(), puppet.display_name.as_deref(), &puppet.user, bytes_max)
    }

    /// Asks for the nick that the puppet's name makes now, not too often.
    pub(super) fn rename(&mut self, id: PuppetId) {
        let (now, map) = (self.now, self.map());
        let wished = self.wished_nick(&self.puppets[id.0 as usize]);
        let Some(nick) = crate::ids::Nick::new(&wished, map) else { return };
        let puppet = self.puppet(id);
        let Some(session) = puppet.session.as_ref().filter(|session| session.is_ready()) else { return };
        if session.nick().is_some_and(|present| present.as_str() == nick.as_str()) {
            return;
        }
        if let Some(at) = puppet.nick_asked_at.map(|at| at.plus_ms(RENAME_MS_MIN)).filter(|at| *at > now) {
            return self.timers.arm(Timer::Rename(id), at);
        }
        puppet.nick_asked_at = Some(now);
        self.with_session(id, |session, out| session.ask_nick(nick, out));
        self.note_nicks(id);
    }

    /// The homeserver asks whether an alias of ours exists: it shall, if it names a channel we may bridge.
    pub(super) fn alias_asked(&mut self, ask: AskId, alias: RoomAlias) {
        let channel = self.bridgeable(&alias);
        let Some(channel) = channel.filter(|channel| self.has_consent(channel)) else {
            return self.answer(ask, Existence::Absent);
        };
        match self.births.ask(ask, &alias, &channel) {
            Step::Wait => {}
            Step::Refuse => self.answer(ask, Existence::Absent),
            Step::Begin => match self.portals.own_room(&channel) {
                Some(portal) if self.is_shut(&channel, &portal.room) => {
                    self.answer_all(&alias, Existence::Absent);
                }
                Some(portal) => {
                    let room = portal.room.clone();
                    self.out.push(Effect::AddAlias { room, alias });
                }
                None => {
                    self.births.begin(channel.clone(), alias.clone());
                    self.out.push(Effect::CreateRoom { channel, alias });
                }
            },
        }
    }

    /// The channel an alias names, where portals are made on demand and the channel is not excluded.
    pub(super) fn bridgeable(&self, alias: &RoomAlias) -> Option<ChannelName> {
        let map = self.map();
        let localpart = alias.localpart(&self.policy.server_name)?;
        // Until the network has said its mapping only what all mappings fold is folded: `#x[]` stays itself.
        let channel =
            self.policy.aliases.parse(localpart, self.isupport.casemap.unwrap_or(CaseMap::Ascii))?;
        let channel = channel.refolded(map);
        let may = self.policy.dynamic_portals == DynamicPortals::On
            && !self.is_excluded(&channel)
            && !self.is_dismissed(&channel)
            && self.isupport.is_channel(channel.as_str());
        may.then_some(channel)
    }

    /// The room was made, or not: whoever asked is answered, in whatever spelling they asked. A room that nobody
    /// waits for was made by a run that ended before it could remember it; it is ours all the same.
    pub(super) fn room_created(&mut self, alias: &RoomAlias, result: Result<RoomId, String>) {
        let born = self.births.end(alias);
        let others = born.as_ref().map(|(_, others)| others.clone()).unwrap_or_default();
        let channel = born.map(|(channel, _)| channel).or_else(|| self.bridgeable(alias));
        match (result, channel) {
            (Ok(room), Some(channel)) => {
                self.adopt(room.clone(), &channel);
                self.invite_waiting(&channel, Some(&room));
                self.room_made_for(&channel);
                self.answer_all(alias, Existence::Exists);
                let add = |alias| Effect::AddAlias { room: room.clone(), alias };
                self.out.extend(others.into_iter().map(add));
            }
            (result, channel) => {
                if let Some(channel) = channel {
                    self.invite_waiting(&channel, None);
                    self.room_not_made(&channel, result.err().as_deref());
                }
                self.answer_all(alias, Existence::Absent);
                for other in others {
                    self.answer_all(&other, Existence::Absent);
                }
            }
        }
    }

    /// Pairs a room of ours with its channel, once.
    fn adopt(&mut self, room: RoomId, channel: &ChannelName) {
        if self.portals.of_room(&room).is_none() {
            let row = PortalRow { room, channel: channel.as_str().to_owned(), origin: PortalOrigin::Alias };
            self.portal_known(&row);
            self.out.push(Effect::SavePortal(row));
        }
    }

    pub(super) fn alias_added(&mut self, alias: &RoomAlias, added: bool) {
        self.answer_all(alias, if added { Existence::Exists } else { Existence::Absent });
    }

    fn answer_all(&mut self, alias: &RoomAlias, existence: Existence) {
        for ask in self.births.answer(alias) {
            self.answer(ask, existence);
        }
    }

    fn answer(&mut self, ask: AskId, existence: Existence) {
        self.out.push(Effect::Answer { ask, existence });
    }
}
