//! Into a channel: the puppet first, then its person by the channel's room.
//!
//! ```text
//!   named ─▶ JOIN, with the key ─┬─ refused ─▶ Refused, in words
//!                                └─ in ─▶ a room? ─ no ─▶ made, once for all who ask ─▶ invited ─▶ Joined
//! ```
//!
//! In this order a channel that lets nobody in gets no room, and nobody reads what their puppet may not. A puppet whose
//! person does not come into a room *visits* the channel, for [`VISIT_MS_MAX`] at most.

use super::super::super::effect::{Effect, Refusal};
use super::super::super::errand::{Joined, Report, RoomDoor};
use super::super::super::input::AskId;
use super::super::super::policy::DynamicPortals;
use super::super::super::portal::birth::Step;
use super::super::super::session::places::Standing;
use super::super::super::timer::Timer;
use super::super::Network;
use super::waiting::{Needs, Stage};
use super::{BAD_NAME, NO_ROOM, NOT_ALLOWED, TOO_MANY};
use crate::ids::{ChannelName, PuppetId, RoomId, UserId};
use crate::secret::Secret;

/// How long a puppet stays in a channel whose room its person was invited to and is not in.
const VISIT_MS_MAX: u64 = 1_800_000;
/// Longest key taken, in bytes. Networks allow 23 to 50.
const KEY_BYTES_MAX: usize = 100;
/// ERR_BADCHANNELKEY.
const WRONG_KEY: &str = "475";

impl Network {
    pub(super) fn join_asked(
        &mut self,
        ask: AskId,
        user: &UserId,
        name: &str,
        key: Option<Secret>,
    ) -> Result<Option<Report>, Refusal> {
        let channel = self.channel_named(name)?;
        if key.as_ref().is_some_and(|key| !is_key(key.expose())) {
            return Err(Refusal::ours(
                BAD_NAME,
                "this can be no key: a key has no blanks and no comma in it",
            ));
        }
        self.may_join(user, &channel)?;
        let id = self.ensure_puppet(user, None);
        self.wait_for(ask, id, Needs::Connection, Stage::Entering(channel.clone()))?;
        self.visit(id, channel, key);
        Ok(None)
    }

    /// Whether somebody may be taken into a channel; the channel itself is asked later.
    fn may_join(&mut self, user: &UserId, channel: &ChannelName) -> Result<(), Refusal> {
        if self.is_excluded(channel) {
            return Err(Refusal::ours(NOT_ALLOWED, &format!("{channel} is never bridged here")));
        }
        if self.is_dismissed(channel) {
            let words = format!("the operators of {channel} have sent the bridge away: talk to them");
            return Err(Refusal::ours(NOT_ALLOWED, &words));
        }
        if self.portals.wants(channel, user) {
            return Ok(());
        }
        self.may_come_into(channel)?;
        if self.policy.dynamic_portals == DynamicPortals::Off && !self.is_open(channel) {
            let words = format!(
                "{channel} has no room here that you could come into, and none is made: ask who runs the bridge for one"
            );
            return Err(Refusal::ours(NOT_ALLOWED, &words));
        }
        if self.portals.of_channel(channel).next().is_none() && !self.has_consent(channel) {
            let words = format!(
                "{channel} is bridged with its operators' consent only: they are asked where that is possible, so try again later"
            );
            return Err(Refusal::ours("NO_CONSENT", &words));
        }
        Ok(())
    }

    /// Into a room of people's own nobody is invited in the bot's name: those who are there say who may come. And without a
    /// room somebody would be on IRC and read nothing.
    fn may_come_into(&self, channel: &ChannelName) -> Result<(), Refusal> {
        if self.portals.own_room(channel).is_some() {
            return Ok(());
        }
        let Some(portal) = self.portals.of_channel(channel).next() else { return Ok(()) };
        // Of a room that nobody outside is to know of nothing is said.
        if self.is_shut(channel, &portal.room) {
            let open = self.portals.of_channel(channel).find(|portal| !self.is_shut(channel, &portal.room));
            return match (open, self.policy.dynamic_portals) {
                (Some(portal), _) => Err(self.people_say(channel, &portal.room)),
                (None, DynamicPortals::Off) => Ok(()),
                (None, DynamicPortals::On) => {
                    let words = format!(
                        "{channel} has no room here that you could come into by yourself: somebody in it has to invite you"
                    );
                    Err(Refusal::ours(NOT_ALLOWED, &words))
                }
            };
        }
        Err(self.people_say(channel, &portal.room))
    }

    fn people_say(&self, channel: &ChannelName, room: &RoomId) -> Refusal {
        let words = format!(
            "the room of {channel} is {room}, and people of their own say who comes in: join it if it lets you, or ask somebody \
             there to invite you. Your IRC user follows by itself"
        );
        Refusal::ours(NOT_ALLOWED, &words)
    }

    /// True for a channel with a room that people outside may know of.
    fn is_open(&self, channel: &ChannelName) -> bool {
        self.portals.of_channel(channel).any(|portal| !self.is_shut(channel, &portal.room))
    }

    /// A puppet goes into a channel, whether its person is in a room of it or not.
    fn visit(&mut self, id: PuppetId, channel: ChannelName, key: Option<Secret>) {
        let user = self.puppet(id).user.clone();
        if !self.portals.wants(&channel, &user) {
            let until = self.now.plus_ms(VISIT_MS_MAX);
            self.errands.visits.insert((id, channel.clone()), until);
            self.timers.arm(Timer::Errands, until);
        }
        if let Some(key) = key {
            self.keep_key(id, channel.clone(), key);
        }
        let puppet = self.puppet(id);
        puppet.alone_since = None;
        puppet.forgive(&channel);
        puppet.wanted.insert(channel.clone());
        if !matches!(self.standing(id, &channel), Some(Standing::In | Standing::Asked(_))) {
            self.join_channels(id, vec![channel]);
        }
        self.ask_to_dial(id);
    }

    /// A puppet is in a channel, perhaps: then its person is to have a way into a room of it.
    pub(super) fn look_into(&mut self, ask: AskId, id: PuppetId, channel: &ChannelName) {
        if self.is_dismissed(channel) {
            let words = format!("the operators of {channel} have sent the bridge away: talk to them");
            return self.refuse_errand(ask, Refusal::ours(NOT_ALLOWED, &words));
        }
        if self.standing(id, channel) != Some(Standing::In) {
            return;
        }
        let user = self.puppet(id).user.clone();
        match self.room_for(&user, channel) {
            Some((room, door)) => self.show_in(ask, &user, channel, room, door),
            None if matches!(self.errands.stage(ask), Some(Stage::Housing(_))) => {}
            None => self.ask_for_room(ask, channel),
        }
    }

    /// The room by which somebody is, or comes, into a channel: theirs, or else ours.
    fn room_for(&self, user: &UserId, channel: &ChannelName) -> Option<(RoomId, RoomDoor)> {
        let theirs = self.portals.of_channel(channel).find(|portal| self.portals.has(&portal.room, user));
        if let Some(portal) = theirs {
            return Some((portal.room.clone(), RoomDoor::Inside));
        }
        self.portals.own_room(channel).map(|portal| (portal.room.clone(), RoomDoor::Invited))
    }

    fn show_in(&mut self, ask: AskId, user: &UserId, channel: &ChannelName, room: RoomId, door: RoomDoor) {
        if door == RoomDoor::Invited {
            let reason = format!("You asked to join {channel} on {}", self.policy.network_name);
            self.out.push(Effect::Invite { room: room.clone(), user: user.clone(), reason });
        }
        let spelled = self.channels.get(channel).map_or(channel, |known| known.name());
        let channel = spelled.as_str().to_owned();
        self.end_errand(ask, Report::Joined(Joined { channel, room, door }));
    }

    /// Has the room of a channel made, once however many ask.
    fn ask_for_room(&mut self, ask: AskId, channel: &ChannelName) {
        let Some(alias) = self.policy.aliases.alias(channel, &self.policy.server_name) else {
            let words = format!("no room can be named after {channel}");
            return self.refuse_errand(ask, Refusal::ours(NO_ROOM, &words));
        };
        match self.births.want(channel, &alias) {
            Step::Refuse => {
                let words = "too many rooms are being made: try again in a minute";
                return self.refuse_errand(ask, Refusal::ours(TOO_MANY, words));
            }
            Step::Wait => {}
            Step::Begin => self.out.push(Effect::CreateRoom { channel: channel.clone(), alias }),
        }
        self.errands.turn(ask, Stage::Housing(channel.clone()));
    }

    /// The room of a channel is there. What its puppets have seen of the channel before counts for it.
    pub(in super::super) fn room_made_for(&mut self, channel: &ChannelName) {
        self.door_follows(channel);
        self.topic_to_rooms(channel);
        self.modes_to_rooms(channel);
    }

    /// The homeserver did not make the room of a channel.
    pub(in super::super) fn room_not_made(&mut self, channel: &ChannelName, why: Option<&str>) {
        let why = why.unwrap_or("the channel may not be bridged");
        for (ask, _, stage) in self.errands.of(None) {
            if matches!(&stage, Stage::Housing(wanted) if wanted == channel) {
                let words = format!("there is no room for {channel} ({why}): try again later");
                self.refuse_errand(ask, Refusal::ours(NO_ROOM, &words));
            }
        }
    }

    /// A channel does not let a puppet in.
    pub(in super::super) fn entry_refused(&mut self, id: PuppetId, channel: &ChannelName, refusal: &Refusal) {
        if refusal.code == WRONG_KEY {
            self.drop_key(id, channel);
        }
        for (ask, _, stage) in self.errands.of(Some(id)) {
            if matches!(&stage, Stage::Entering(wanted) | Stage::Housing(wanted) if wanted == channel) {
                let refusal = self.in_words(refusal.clone());
                self.refuse_errand(ask, refusal);
            }
        }
    }

    /// Somebody does not want to come into a room.
    pub(in super::super) fn declined(&mut self, room: &RoomId, user: &UserId) {
        let channel = self.portals.of_room(room).map(|portal| portal.channel.clone());
        if let (Some(channel), Some(id)) = (channel, self.puppet_ids.get(user).copied()) {
            self.end_visit(id, &channel);
        }
    }

    /// A puppet leaves a channel whose rooms its person is not in.
    pub(super) fn end_visit(&mut self, id: PuppetId, channel: &ChannelName) {
        let others = self.errands.of(Some(id)).into_iter();
        let is_it = |stage: &Stage| matches!(stage, Stage::Entering(wanted) | Stage::Housing(wanted) if wanted == channel);
        let is_awaited = others.map(|(_, _, stage)| stage).any(|stage| is_it(&stage));
        if is_awaited || self.errands.visits.remove(&(id, channel.clone())).is_none() {
            return;
        }
        let user = self.puppet(id).user.clone();
        if !self.portals.wants(channel, &user) {
            self.puppet(id).wanted.remove(channel);
            self.drop_key(id, channel);
            self.leave_channel(id, channel);
            self.linger_if_alone(id);
        }
    }

    /// Some people may have been invited for long enough.
    pub(super) fn visits_due(&mut self) {
        let now = self.now;
        let over = self.errands.visits.iter().filter(|(_, until)| **until <= now);
        let over: Vec<(PuppetId, ChannelName)> = over.map(|(visit, _)| visit.clone()).collect();
        for (id, channel) in over {
            self.end_visit(id, &channel);
            self.errands.visits.remove(&(id, channel));
        }
    }
}

/// True for what a server takes as one key, and as nothing else.
pub(super) fn is_key(text: &str) -> bool {
    let bad = |c: char| c.is_control() || c == ' ' || c == ',';
    !text.is_empty() && text.len() <= KEY_BYTES_MAX && !text.starts_with(':') && !text.chars().any(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word_of_one_line() {
        assert!(is_key("canary") && is_key("ż:x#"));
        for text in ["", " ", "a b", "a,b", "a\r\nQUIT", "a\0", ":a", &"x".repeat(101)] {
            assert!(!is_key(text), "{text:?}");
        }
    }
}
