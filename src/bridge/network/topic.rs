//! Topics, both ways: the rooms of a channel have its topic, and people of Matrix set it through their puppets.
//!
//! The channel's topic is what counts. A change in a room is a wish: it is said on IRC, and the room's topic is the channel's
//! again when the server has answered, be it the new one or, after a refusal that is told, the old. While a wish is under
//! way the rooms of its channel are left alone. What a room has is asked when something is to be set, and nothing is set that is there
//! already, so nothing goes round in circles.

use std::collections::{BTreeMap, BTreeSet};

use super::super::channel::Channel;
use super::super::channel::profile::Profile;
use super::super::effect::{Effect, Outcome, Verdict};
use super::super::input::{PortalOrigin, Whose};
use super::super::policy::Rooms;
use super::super::portal::topic::{self, RoomTopic};
use super::super::session::places::Standing;
use super::super::step::{RoomStep, StepKey};
use super::Network;
use super::removed::sentence;
use crate::ids::{ChannelName, ConnId, EventId, InboxSeq, PuppetId, RoomId, UserId};

/// `TOPIC`, blanks, a colon, and the line's end.
const AROUND_BYTES: usize = "TOPIC  :\r\n".len();

/// Topics on their way.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// What each room was last to have.
    asked: BTreeMap<RoomId, String>,
    /// In the order in which they were sent; no more than connections may have questions.
    wishes: Vec<Wish>,
    /// Rooms that were told that the bot may not set their topic.
    powerless: BTreeSet<RoomId>,
}

impl Topics {
    /// The room is no channel's any more.
    pub(super) fn forget(&mut self, room: &RoomId) {
        self.asked.remove(room);
    }
}

/// A topic that somebody set in a room, until the server has answered.
#[derive(Debug)]
struct Wish {
    conn: ConnId,
    channel: ChannelName,
    room: RoomId,
    event: EventId,
    text: String,
    /// What the nominee's stream had shown by then.
    since: Option<Profile>,
}

/// A topic as it came from a room.
pub(super) struct RoomSays {
    pub room: RoomId,
    pub event_id: EventId,
    pub sender: UserId,
    pub topic: String,
}

impl Rooms {
    /// Whether it is meant for rooms of this origin.
    pub(super) fn has(self, origin: PortalOrigin) -> bool {
        match (self, origin.whose()) {
            (Self::None, _) | (Self::Portals, Whose::People) => false,
            (Self::All, _) | (Self::Portals, Whose::Bridge) => true,
        }
    }
}

impl Network {
    /// A connection's stream shows a channel's topic.
    pub(super) fn topic_seen(&mut self, conn: ConnId, channel: &ChannelName, text: &str) {
        let text = topic::read(text);
        self.in_channel(channel, |channel, _, _, _| {
            channel.topic_shown(conn, text);
            Vec::new()
        });
    }

    /// True when some room of the channel has the channel's topic.
    pub(super) fn shows_topic(&self, channel: &ChannelName) -> bool {
        self.portals.of_channel(channel).any(|portal| self.policy.topics.to_matrix.has(portal.origin))
    }

    /// The channel's topic may be another: its rooms get it.
    pub(super) fn topic_to_rooms(&mut self, name: &ChannelName) {
        if self.topics.wishes.iter().any(|wish| wish.channel == *name) {
            return;
        }
        let text = self.channels.get(name).and_then(|channel| channel.topic()).map(str::to_owned);
        let Some(text) = text else { return };
        let shown = self.portals.of_channel(name).filter(|p| self.policy.topics.to_matrix.has(p.origin));
        let rooms: Vec<RoomId> = shown.map(|portal| portal.room.clone()).collect();
        for room in rooms {
            if self.topics.asked.get(&room) != Some(&text) {
                self.topics.asked.insert(room.clone(), text.clone());
                let topic = RoomTopic { text: text.clone(), bytes_max: self.isupport.topic_bytes_max };
                self.out.push(Effect::Step { room, step: RoomStep::Topic(topic) });
            }
        }
    }

    /// Somebody set the topic of a room.
    pub(super) fn room_topic(&mut self, seq: InboxSeq, said: RoomSays) {
        self.settle(seq, Outcome::Delivered);
        let Some(portal) = self.portals.of_room(&said.room).filter(|_| !self.is_ours(&said.sender)) else {
            return;
        };
        let (name, origin) = (portal.channel.clone(), portal.origin);
        // Whatever was asked for is no longer there.
        self.topics.asked.remove(&said.room);
        let id = self.puppet_ids.get(&said.sender).copied();
        let place = id.filter(|id| self.standing(*id, &name) == Some(Standing::In));
        let is_wanted = self.policy.topics.to_irc.has(origin);
        if let Some(why) = self.silenced(&said.sender, &name.clone().into()).filter(|_| is_wanted) {
            return self.topic_not_set(&said.room, &said.event_id, &name, &sentence(&why));
        }
        match place {
            Some(id) if is_wanted => self.wish(id, &name, said),
            None if is_wanted => {
                let user = &said.sender;
                let words = format!("{user} is not in {name} on {} now", self.policy.network_name);
                self.topic_not_set(&said.room, &said.event_id, &name, &words);
            }
            Some(_) | None => self.topic_to_rooms(&name),
        }
    }

    /// Somebody in the channel wants another topic.
    fn wish(&mut self, id: PuppetId, name: &ChannelName, said: RoomSays) {
        let text = topic::one_line(&said.topic, self.topic_bytes(id, name));
        let channel = self.channels.get(name);
        // What is hidden is not what the room shows.
        let is_there = channel.is_some_and(|channel| !channel.is_hidden() && channel.topic() == Some(&text));
        if is_there && !self.topics.wishes.iter().any(|wish| wish.channel == *name) {
            return self.topic_to_rooms(name);
        }
        let RoomSays { room, event_id: event, .. } = said;
        let sent =
            self.with_session(id, |session, out| session.set_topic(name, &text, out).map(|()| session.conn));
        match sent {
            Some(Ok(conn)) => {
                let (channel, since) = (name.clone(), self.channels.get(name).map(Channel::profile));
                self.topics.wishes.push(Wish { conn, channel, room, event, text, since });
                self.take_answers(conn);
            }
            Some(Err(_)) | None => {
                let words = "Too much waits to be sent; try again in a minute";
                self.topic_not_set(&room, &event, name, words);
            }
        }
    }

    /// Longest topic that this puppet can set, and others be shown, in bytes.
    fn topic_bytes(&self, id: PuppetId, name: &ChannelName) -> usize {
        let limits = self.limits(id);
        let taken = limits.source_bytes + name.as_str().len() + AROUND_BYTES;
        self.isupport.topic_bytes_max.min(limits.line_bytes_max.saturating_sub(taken))
    }

    /// The server has answered to the oldest topic that this connection set in the channel, or will not.
    pub(super) fn topic_answered(&mut self, conn: ConnId, name: &ChannelName, verdict: Verdict) {
        let is_it = |wish: &Wish| wish.conn == conn && wish.channel == *name;
        let Some(at) = self.topics.wishes.iter().position(is_it) else { return };
        let wish = self.topics.wishes.remove(at);
        let (room, event) = (wish.room.clone(), wish.event.clone());
        match verdict {
            // Else the nominee's stream has yet to show it: until then it would be taken back.
            Verdict::Accepted if self.is_shown(&wish) => self.topic_to_rooms(name),
            Verdict::Accepted => {}
            Verdict::Refused(refusal) => {
                let words = self.explained(&refusal);
                self.topic_not_set(&room, &event, name, &words);
            }
            Verdict::Doubtful(_) | Verdict::Unknown => {
                // If it has, the nominee's stream shows it.
                let words = "The server did not answer; if it takes it after all, this room will have it";
                self.topic_not_set(&room, &event, name, words);
            }
        }
    }

    /// Whether the nominee's stream has shown what became of a topic that the server has taken.
    fn is_shown(&self, wish: &Wish) -> bool {
        let Some(channel) = self.channels.get(&wish.channel) else { return false };
        // Of a hidden channel rooms are shown none, whatever it is.
        channel.is_hidden()
            || channel.owner() == Some(wish.conn)
            || wish.since.is_some_and(|since| since.topic != channel.profile().topic)
            || channel.topic() == Some(&wish.text)
    }

    /// A connection is over: nobody answers for the topics that it was to set.
    pub(super) fn topics_unanswered(&mut self, conn: ConnId) {
        while let Some(wish) = self.topics.wishes.iter().find(|wish| wish.conn == conn) {
            let channel = wish.channel.clone();
            self.topic_answered(conn, &channel, Verdict::Unknown);
        }
    }

    /// Tells why a topic did not become the channel's. The room gets back the channel's, where it shows that.
    fn topic_not_set(&mut self, room: &RoomId, event: &EventId, name: &ChannelName, why: &str) {
        let text = format!("The topic of {name} was not changed. {why}.");
        self.tell(room, text, Some(event.clone()));
        self.topic_to_rooms(name);
    }

    /// Lets whoever speaks for a channel ask for its topic.
    pub(super) fn ask_topic(&mut self, name: &ChannelName) {
        let Some(owner) = self.channels.get(name).and_then(|channel| channel.owner()) else { return };
        if self.shows_topic(name) && self.puppet_of(owner).is_some() {
            self.with_session(owner.puppet, |session, out| session.topic(name, out));
        }
    }

    /// The homeserver has refused to set a room's topic, or too much was waiting: the next change tries again.
    pub(super) fn step_failed(&mut self, room: &RoomId, key: &StepKey, is_refused: bool) {
        let what = match key {
            StepKey::Topic => {
                self.topics.asked.remove(room);
                "set the topic of this room"
            }
            StepKey::Power => {
                self.access.forget(room);
                "give people here the power that they have in the channel"
            }
            StepKey::JoinRule => {
                self.room_modes.forget(room);
                "say who may come into this room"
            }
            // Who of IRC is in a room is not asked of the bot, and plates are for programs.
            StepKey::Ghost(_) | StepKey::Door | StepKey::Plate(_) | StepKey::Ban(_) | StepKey::Place(_) => {
                return;
            }
        };
        if is_refused && self.topics.powerless.insert(room.clone()) {
            let text = format!("I am not allowed to {what}: that needs a higher power level.");
            self.tell(room, text, None);
        }
    }
}
