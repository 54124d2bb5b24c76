//! What a channel's modes and bans mean to its rooms and to people of Matrix. Which mode means what is said by
//! [`modes`](super::super::portal::modes).
//!
//! A JOIN shows no modes, so whoever speaks for a channel asks once for all of them, some time after it began to: the rooms
//! are then compared as a whole, and what changed while nobody looked is made good. Until the answer is there nobody outside
//! is let know of a room.

use std::collections::BTreeMap;

use super::super::channel::Channel;
use super::super::effect::{Effect, RoomStep, Verdict};
use super::super::input::{Doorway, PortalOrigin};
use super::super::pacer::Spacing;
use super::super::policy::Rooms;
use super::super::portal::Portal;
use super::super::portal::modes::{JoinRule, Means, Needs, says};
use super::super::session::places::Standing;
use super::super::session::question::Deed;
use super::super::timer::Timer;
use super::Network;
use super::removed::sentence;
use crate::ids::{ChannelName, ConnId, EventId, PuppetId, RoomId, UserId};
use crate::text::line::Line;
use crate::text::mask;
use crate::text::modes::{Change, Sign, Takes};

/// Doors that wait for an answer in one network, at most.
const WISHES_MAX: usize = 64;
/// Two such questions of one network are at least so many milliseconds apart.
const APART_MS: u64 = 100;

/// What rooms were last asked to be.
#[derive(Debug)]
pub(super) struct RoomModes {
    asked: BTreeMap<RoomId, JoinRule>,
    /// What people said of doors, until the server has answered. Full: with [`WISHES_MAX`] a further one is undone and told.
    wishes: BTreeMap<u64, Wish>,
    questions: Spacing,
}

/// That somebody closed or opened a room, whose channel is to be so too.
#[derive(Clone, Debug)]
struct Wish {
    conn: ConnId,
    channel: ChannelName,
    room: RoomId,
    event: EventId,
    door: Doorway,
}

impl Default for RoomModes {
    fn default() -> Self {
        Self { asked: BTreeMap::new(), wishes: BTreeMap::new(), questions: Spacing::new(APART_MS) }
    }
}

impl RoomModes {
    pub(super) fn forget(&mut self, room: &RoomId) {
        self.asked.remove(room);
    }
}

impl Network {
    /// Whether a room follows the modes of its channel. What people's own rooms are is theirs to say.
    fn follows(&self, portal: &Portal) -> bool {
        portal.origin == PortalOrigin::Alias && self.policy.moderation.to_matrix.has(portal.origin)
    }

    pub(super) fn rooms_that_follow(&self, name: &ChannelName) -> Vec<RoomId> {
        self.portals.of_channel(name).filter(|p| self.follows(p)).map(|portal| portal.room.clone()).collect()
    }

    /// True where the channel's modes are known, or are never asked for: nothing more is to be waited for.
    pub(super) fn are_modes_settled(&self, name: &ChannelName) -> bool {
        self.channels.get(name).is_some_and(|channel| channel.modes().are_known()) || !self.wants_modes(name)
    }

    /// Whether a channel's modes mean anything: to rooms that follow them, and to who may find a room of ours, which they say
    /// whatever else follows them.
    fn wants_modes(&self, name: &ChannelName) -> bool {
        self.portals.own_room(name).is_some()
    }

    /// Another connection speaks for a channel, or it has a room more.
    pub(super) fn modes_wanted(&mut self, name: &ChannelName) {
        let is_heard = self.channels.get(name).is_some_and(|channel| channel.owner().is_some());
        if is_heard && (self.wants_modes(name) || self.are_bans_wanted(name)) {
            let at = self.room_modes.questions.take(self.now.plus_ms(self.policy.moderation.modes_after_ms));
            self.timers.arm(Timer::Modes(name.clone()), at);
        }
    }

    /// It is time to ask for a channel's modes. Without an answer rooms stay as they are until the next takeover.
    pub(super) fn modes_due(&mut self, name: &ChannelName) {
        let Some(owner) = self.channels.get(name).and_then(|channel| channel.owner()) else { return };
        if self.puppet_of(owner).is_none() {
            return;
        }
        if self.wants_modes(name) {
            self.with_session(owner.puppet, |session, out| session.read_modes(name, out));
        }
        self.ask_bans(name, owner);
    }

    /// The server has told all modes of a channel: its rooms are compared anew.
    pub(super) fn modes_are(&mut self, conn: ConnId, name: &ChannelName, changes: &[Change]) {
        if self.channels.get(name).and_then(|channel| channel.owner()) != Some(conn) {
            return;
        }
        for room in self.rooms_that_follow(name) {
            self.room_modes.forget(&room);
            self.access.forget(&room);
        }
        self.in_channel(name, |channel, _, _, _| {
            channel.modes_told(conn, changes);
            Vec::new()
        });
        self.modes_to_rooms(name);
    }

    /// A channel's modes may be others.
    pub(super) fn modes_to_rooms(&mut self, name: &ChannelName) {
        // What it takes to speak goes with the levels of those who may: it is one event.
        self.ranks_changed(name);
        self.join_rules_to_rooms(name);
    }

    /// Who may come into a channel's rooms.
    pub(super) fn join_rules_to_rooms(&mut self, name: &ChannelName) {
        let Some(channel) = self.channels.get(name) else { return };
        // Where people close the channel with its room, it opens with it too.
        let is_shared = self.policy.moderation.to_irc != Rooms::None;
        let Some(rule) = JoinRule::of(channel.modes()) else { return };
        let rule = if is_shared && rule == JoinRule::Closed { JoinRule::Shared } else { rule };
        for room in self.rooms_that_follow(name) {
            if self.room_modes.asked.insert(room.clone(), rule) != Some(rule) {
                self.out.push(Effect::Step { room, step: RoomStep::JoinRule(rule) });
            }
        }
    }

    /// Somebody said who may come into a room: a moderator of the channel says so there. The channel has the last word, as
    /// soon as its modes are known.
    pub(super) fn room_door(&mut self, room: RoomId, event: EventId, sender: UserId, door: Doorway) {
        let portal = self.portals.of_room(&room).filter(|portal| self.follows(portal));
        let Some((channel, origin)) = portal.map(|portal| (portal.channel.clone(), portal.origin)) else {
            return;
        };
        if self.is_ours(&sender) {
            return;
        }
        // Whatever was asked for is no longer there.
        self.room_modes.forget(&room);
        let Some(modes) = self.channels.get(&channel).map(Channel::modes) else { return };
        let (is_invite_only, is_shut) = (modes.has('i'), says(modes, Means::JoinRule));
        if is_shut.is_none_or(|is_shut| is_shut == (door == Doorway::Shut)) {
            return;
        }
        let id = self.puppet_ids.get(&sender).copied();
        let id = id.filter(|id| self.standing(*id, &channel) == Some(Standing::In));
        let session = id.and_then(|id| self.puppets[id.0 as usize].session.as_ref());
        let conn = session.map(|session| session.conn);
        let nobody = ConnId { puppet: PuppetId(u32::MAX), generation: 0 };
        let wish = Wish { conn: conn.unwrap_or(nobody), channel, room, event, door };
        let name = &wish.channel;
        if self.policy.moderation.to_irc.has(origin)
            && let Some(why) = self.silenced(&sender, &name.clone().into())
        {
            return self.door_not_set(wish, &sentence(&why));
        }
        match conn {
            // People may let in less than the channel does, and never more.
            _ if !self.policy.moderation.to_irc.has(origin) => {
                if door == Doorway::Open {
                    self.door_comes_back(wish);
                }
            }
            Some(_) if door == Doorway::Open && is_invite_only != Some(true) => {
                let words = format!("{name} has a key: it is taken away there, with MODE {name} -k");
                self.door_not_set(wish, &words);
            }
            Some(conn) if self.room_modes.wishes.len() < WISHES_MAX => self.wish_for_door(conn, wish),
            Some(_) => self.door_not_set(wish, "Too much waits for the network; try again in a minute"),
            None => {
                let words = format!("{sender} is not in {name} on {} now", self.policy.network_name);
                self.door_not_set(wish, &words);
            }
        }
    }

    fn wish_for_door(&mut self, conn: ConnId, wish: Wish) {
        let change = if wish.door == Doorway::Shut { "+i" } else { "-i" };
        let (number, channel) = (self.removals.number(), wish.channel.clone());
        let line = Line::new("MODE", &[channel.as_str(), change]).build();
        let deed = Deed { number, command: "MODE", channel, kicks: None, mask: String::new() };
        self.room_modes.wishes.insert(number, wish);
        let sent = self.with_session(conn.puppet, |session, out| session.act(deed, line, out).is_ok());
        match sent {
            Some(true) => self.take_answers(conn),
            Some(false) | None => self.door_answered(number, &Verdict::Unknown),
        }
    }

    /// The server has answered to `MODE +i` or `-i`, or will not. What it took, it shows.
    pub(super) fn door_answered(&mut self, number: u64, verdict: &Verdict) {
        let Some(wish) = self.room_modes.wishes.remove(&number) else { return };
        match verdict {
            // A key may keep it closed. Where it is another's stream that counts, that has yet to show it.
            Verdict::Accepted
                if self.channels.get(&wish.channel).and_then(Channel::owner) == Some(wish.conn) =>
            {
                self.join_rules_to_rooms(&wish.channel);
            }
            Verdict::Accepted => {}
            Verdict::Refused(refusal) => {
                let words = self.explained(refusal);
                self.door_not_set(wish, &words);
            }
            Verdict::Doubtful(_) | Verdict::Unknown => self.door_not_set(wish, "The server did not answer"),
        }
    }

    /// A connection is over: nobody answers for the doors that it was to open or close.
    pub(super) fn doors_unanswered(&mut self, conn: ConnId) {
        let open = self.room_modes.wishes.iter().filter(|(_, wish)| wish.conn == conn);
        let numbers: Vec<u64> = open.map(|(number, _)| *number).collect();
        for number in numbers {
            self.door_answered(number, &Verdict::Unknown);
        }
    }

    fn door_not_set(&mut self, wish: Wish, why: &str) {
        let is_shut =
            self.channels.get(&wish.channel).and_then(|channel| says(channel.modes(), Means::JoinRule));
        if is_shut == Some(wish.door == Doorway::Shut) {
            // It is so all the same.
            return self.join_rules_to_rooms(&wish.channel);
        }
        let done = if wish.door == Doorway::Shut { "closed" } else { "opened" };
        let text = format!("{} was not {done}, nor is this room. {why}.", wish.channel);
        self.tell(&wish.room, text, Some(wish.event.clone()));
        self.door_comes_back(wish);
    }

    /// The room is as its channel again.
    fn door_comes_back(&mut self, wish: Wish) {
        let step =
            RoomStep::JoinRule(if wish.door == Doorway::Shut { JoinRule::Open } else { JoinRule::Closed });
        self.out.push(Effect::Step { room: wish.room, step });
    }

    /// What it takes to do something in this room, by its channel's modes.
    pub(super) fn needs_in(&self, name: &ChannelName, room: &RoomId) -> Needs {
        let portal = self.portals.of_room(room).filter(|portal| self.follows(portal));
        let (Some(portal), Some(channel)) = (portal, self.channels.get(name)) else {
            return Needs::default();
        };
        let (ranks, prefixes) = (&self.policy.power.ranks, &self.isupport.prefixes);
        let lowest = if prefixes.rank('h').is_some() { "h" } else { "o" };
        let needs = Needs::new(channel.modes(), ranks.level("v", prefixes), ranks.level(lowest, prefixes));
        // Where topics of the room go nowhere, nobody is invited to set one.
        let topic = needs.topic.filter(|_| self.policy.topics.to_irc.has(portal.origin));
        Needs { topic, ..needs }
    }

    /// Bans were set or lifted. A ban puts nobody out, here as on IRC: who is in the channel is seen there, and whom it
    /// keeps from speaking or from coming in is told so by the server's answer. One that is lifted lets its people ask again
    /// at once.
    pub(super) fn bans_changed(&mut self, conn: ConnId, name: &ChannelName, changes: &[Change]) {
        let is_owner = self.channels.get(name).is_some_and(|channel| channel.owner() == Some(conn));
        if !is_owner || self.policy.moderation.to_matrix == Rooms::None {
            return;
        }
        let is_lifted = |change: &&Change| {
            change.mode == 'b' && change.takes == Takes::Entry && change.sign == Sign::Minus
        };
        for mask in changes.iter().filter(is_lifted).filter_map(|change| change.param.as_deref()) {
            self.mask_lifted(name, mask);
        }
        for change in changes.iter().filter(is_lifted) {
            let Some(mask) = change.param.as_deref().filter(|mask| is_narrow(mask)) else { continue };
            for id in self.meant_by(mask, name) {
                self.puppet(id).forgive(name);
            }
        }
    }

    /// The puppets that a mask means, of those that the channel has refused.
    fn meant_by(&self, mask: &str, name: &ChannelName) -> Vec<PuppetId> {
        let is_meant = |id: &PuppetId| {
            let puppet = &self.puppets[id.0 as usize];
            let Some(session) = puppet.session.as_ref().filter(|_| puppet.refused_at(name).is_some()) else {
                return false;
            };
            let person = session.nick().zip(self.nicks.mask(session.conn));
            person.is_some_and(|(nick, rest)| mask::matches(mask, &format!("{nick}!{rest}"), self.map()))
        };
        (0..self.puppets.len() as u32).map(PuppetId).filter(is_meant).collect()
    }
}

/// True for `nick!user@host` that names a nick or a user: one of hosts alone means whoever comes from there.
fn is_narrow(mask: &str) -> bool {
    let names = |part: &str| part.chars().any(|c| c.is_alphanumeric());
    let Some((nick, rest)) = mask.split_once('!') else { return false };
    // `m:nick!*@*` and the like do not keep anybody out.
    let is_plain = !nick.contains(':') && !nick.starts_with(['$', '~']);
    let user = rest.split_once('@').map(|(user, _)| user);
    is_plain && user.is_some_and(|user| names(nick) || names(user))
}
