//! What is said in channels, carried to their rooms: words, reactions, and what is taken back.

use std::collections::BTreeMap;

use super::super::channel::Heard;
use super::super::effect::{Effect, Mark, Redact, Relay, Sign, Speaker};
use super::super::input::PortalOrigin;
use super::super::policy::{Asides, Shown};
use super::super::relay::memory::{Author, Life, Order};
use super::super::relay::reactions::{Reaction, TakingBack};
use super::super::relay::to_matrix;
use super::super::session::seen::{Audience, Speaking, Stamp, Uttered, Words};
use super::super::timer::Timer;
use super::Network;
use crate::ids::{ChannelName, ConnId, EventId, Nick, RelaySeq, RoomId, Target, UserId};

/// How long ago a server may say that something was said; what is older counts as said then.
pub const SAID_AGO_MS_MAX: u64 = 300_000;
/// How long news of what was said waits for company before it is kept.
const REMEMBER_MS: u64 = 1_000;
/// Deeds that wait for the homeserver to name what they are about, at most; with one more the oldest is forgotten.
const LATER_MAX: usize = 256;

/// What is to be done to a message once the homeserver has named it.
#[derive(Debug)]
pub(super) enum Deed {
    React { speaker: Speaker, key: String },
    Redact { speaker: Speaker, reason: Option<String> },
}

/// Deeds that wait.
pub(super) type Later = BTreeMap<RelaySeq, Vec<Deed>>;

impl Network {
    /// Somebody speaks in a channel, or does something to what was said there, on one of our streams.
    pub(super) fn said(&mut self, conn: ConnId, channel: &ChannelName, mask: Option<&str>, line: Heard) {
        let (asides, mut ours) = (self.policy.asides, None);
        self.in_channel(channel, |channel, now, nicks, heard| {
            match &line.what {
                Uttered::Words(Words { audience: Audience::Rank(_), .. }) if asides == Asides::Hidden => {}
                Uttered::Words(Words { audience: Audience::Rank(_), .. }) => {
                    channel.said_aside(now, conn, line, mask, nicks, heard);
                }
                Uttered::Words(_)
                | Uttered::Reaction { .. }
                | Uttered::Unreaction { .. }
                | Uttered::Redaction { .. } => {
                    ours = channel.said(now, conn, line, mask, nicks, heard);
                }
            }
            Vec::new()
        });
        if let Some((speaker, line)) = ours {
            self.ours_shown(conn, speaker, &channel.clone().into(), &line.what, &line.stamp);
        }
    }

    /// A stream shows something that one of ours said.
    pub(super) fn ours_shown(
        &mut self,
        by: ConnId,
        speaker: ConnId,
        target: &Target,
        what: &Uttered,
        stamp: &Stamp,
    ) {
        let msgid = stamp.msgid.as_deref();
        match what {
            Uttered::Words(words) if words.lines.is_empty() => {
                self.witnessed(by, speaker, target, words.kind, &words.text, msgid);
            }
            // What comes as one message went as one.
            Uttered::Words(words) => {
                let text = words.lines.join("\n");
                self.witnessed(by, speaker, target, words.kind, &text, msgid);
            }
            Uttered::Reaction { .. } | Uttered::Unreaction { .. } | Uttered::Redaction { .. } => {}
        }
    }

    /// Carries a channel's line to each of its rooms.
    pub(super) fn relay(&mut self, channel: &ChannelName, line: &Heard) {
        match &line.what {
            Uttered::Words(words) => self.relay_words(channel, line, words),
            Uttered::Reaction { to, key } => self.relay_reaction(channel, &line.from, to, key),
            Uttered::Unreaction { to, key } => self.relay_unreaction(channel, &line.from, to, key),
            Uttered::Redaction { of, reason } => {
                self.relay_redaction(channel, &line.from, of, reason.as_deref());
            }
        }
    }

    fn relay_words(&mut self, channel: &ChannelName, line: &Heard, words: &Words) {
        let (ghosts, server_name) = (&self.policy.ghosts, &self.policy.server_name);
        let Some(message) = to_matrix::message(&line.from, words, ghosts, server_name) else { return };
        if let Speaking::Person(nick) = &line.from {
            self.types_no_longer(channel, nick);
        }
        let said_ms = self.said_ms(&line.stamp);
        for room in self.rooms_of(channel) {
            let content = message.content(self.policy.mentions.max, |word| self.named(channel, &room, word));
            let about = words.reply.as_deref().and_then(|msgid| self.event_of(&room, msgid));
            let seq = self.next_seq();
            if let Speaking::Person(nick) = &line.from {
                let (msgid, text) = (line.stamp.msgid.as_deref(), &content.text);
                self.memory.from_irc(seq, room.clone(), msgid, nick.clone(), text);
            }
            let (speaker, kind) = (message.speaker.clone(), message.kind);
            let to_matrix::Content { text, html, mentions } = content;
            let relay = Relay { seq, room, speaker, kind, text, html, mentions, about, said_ms };
            self.out.push(Effect::Relay(relay));
        }
    }

    pub(super) fn rooms_of(&self, channel: &ChannelName) -> Vec<RoomId> {
        self.portals.of_channel(channel).map(|portal| portal.room.clone()).collect()
    }

    /// When it was said, as far as that is to be believed.
    pub(super) fn said_ms(&self, stamp: &Stamp) -> Option<u64> {
        let time_ms = stamp.time_ms?;
        Some(time_ms.clamp(self.now.0.saturating_sub(SAID_AGO_MS_MAX), self.now.0))
    }

    /// Whom a word of a channel's line names in a room: somebody of the room by the nick of their puppet, or the ghost of
    /// somebody in the channel.
    fn named(&self, channel: &ChannelName, room: &RoomId, word: &str) -> Option<UserId> {
        let mentions = &self.policy.mentions;
        if mentions.max == 0 || word.chars().count() < mentions.letters_min {
            return None;
        }
        let nick = Nick::new(word, self.map())?;
        let mut holders = self.nicks.candidates(&nick).filter(|conn| self.nicks.has(*conn, &nick)).peekable();
        if holders.peek().is_none() {
            let roster = self.channels.get(channel)?.roster();
            roster.get(&nick)?;
            return self.policy.ghosts.user(&nick, &self.policy.server_name);
        }
        let wanting = holders.map(|conn| &self.puppets[conn.puppet.0 as usize]);
        let user = wanting.filter(|puppet| puppet.asked.mentions == Shown::On).map(|puppet| &puppet.user);
        let mut here = user.filter(|user| self.portals.has(room, user) && !mentions.never.contains(*user));
        here.next().cloned()
    }

    /// The event of a message that a line names, where it may be shown.
    pub(super) fn event_of(&self, room: &RoomId, msgid: &str) -> Option<EventId> {
        let (_, said) = self.memory.by_msgid(room, msgid)?;
        said.event.clone().filter(|_| said.life == Life::Stands)
    }

    fn relay_reaction(&mut self, channel: &ChannelName, from: &Speaking, to: &str, key: &str) {
        let Speaking::Person(nick) = from else { return };
        let Some(speaker) = self.ghost(nick) else { return };
        for room in self.rooms_of(channel) {
            let Some((order, said)) = self.memory.by_msgid(&room, to) else { continue };
            if said.life == Life::Stands {
                self.do_to(order, Deed::React { speaker: speaker.clone(), key: key.to_owned() });
            }
        }
    }

    /// Somebody takes back a sign of theirs, as far as this run knows what became of it.
    fn relay_unreaction(&mut self, channel: &ChannelName, from: &Speaking, to: &str, key: &str) {
        let Speaking::Person(nick) = from else { return };
        let Some(speaker) = self.ghost(nick) else { return };
        for room in self.rooms_of(channel) {
            self.unreact(room, to, &speaker, key);
        }
    }

    /// Takes a sign off the line of that name, in one room.
    pub(super) fn unreact(&mut self, room: RoomId, to: &str, speaker: &Speaker, key: &str) {
        let Some((order, _)) = self.memory.by_msgid(&room, to) else { return };
        let Some(saying) = self.memory.by_order(order) else { return };
        match (saying.said.event.clone(), saying.seq) {
            (Some(about), _) => self.take_back_reaction(room, about, speaker, key),
            (None, Some(seq)) => self.forget_reaction(seq, speaker, key),
            (None, None) => {}
        }
    }

    fn take_back_reaction(&mut self, room: RoomId, about: EventId, speaker: &Speaker, key: &str) {
        let Speaker::Ghost(ghost) = speaker else { return };
        let reaction = Reaction { room: room.clone(), about, ghost: ghost.clone(), key: key.to_owned() };
        if let TakingBack::Redact(event) = self.reactions.take_back(&reaction) {
            self.perform(room, event, Deed::Redact { speaker: speaker.clone(), reason: None });
        }
    }

    /// A sign waits until what it is on has a name: it is not made.
    fn forget_reaction(&mut self, seq: RelaySeq, speaker: &Speaker, key: &str) {
        let Some(deeds) = self.later.get_mut(&seq) else { return };
        let is_it = |deed: &Deed| matches!(deed, Deed::React { speaker: by, key: with } if by == speaker && with == key);
        deeds.retain(|deed| !is_it(deed));
        if deeds.is_empty() {
            self.later.remove(&seq);
        }
    }

    /// Somebody takes back what they said, or an operator what somebody said: the server knows who may.
    fn relay_redaction(&mut self, channel: &ChannelName, from: &Speaking, of: &str, reason: Option<&str>) {
        for room in self.rooms_of(channel) {
            let Some((order, said)) = self.memory.by_msgid(&room, of) else { continue };
            if said.life == Life::Redacted {
                continue;
            }
            let (author, event) = (said.author.clone(), said.event.clone());
            if let (Author::Matrix(_), Some(event)) = (&author, event) {
                self.originals.forget(&event);
                self.out.push(Effect::Unpublish { room: room.clone(), event });
            }
            let deed = self.taking_back(&room, &author, from, reason);
            self.memory.redact_at(order);
            self.do_to(order, deed);
        }
    }

    /// In whose name a message is taken back. Ghosts may take back their own words anywhere, the bot all words in rooms
    /// that we made.
    fn taking_back(&self, room: &RoomId, author: &Author, from: &Speaking, reason: Option<&str>) -> Deed {
        let by = match from {
            Speaking::Person(nick) => nick.as_str(),
            Speaking::Server(name) => name,
        };
        let told = match reason {
            Some(reason) => format!("{by}: {reason}"),
            None => format!("by {by} on {}", self.policy.network_name),
        };
        let is_ours = self.portals.of_room(room).is_some_and(|portal| portal.origin == PortalOrigin::Alias);
        let (speaker, reason) = match (author, from) {
            (Author::Irc(nick), Speaking::Person(by)) if nick == by => {
                (self.ghost(nick), reason.map(str::to_owned))
            }
            (Author::Irc(nick), _) if !is_ours => (self.ghost(nick), Some(told)),
            (Author::Irc(_) | Author::Matrix(_), _) => (None, Some(told)),
        };
        Deed::Redact { speaker: speaker.unwrap_or(Speaker::Bot), reason }
    }

    pub(super) fn ghost(&self, nick: &Nick) -> Option<Speaker> {
        to_matrix::ghost(nick, &self.policy.ghosts, &self.policy.server_name)
    }

    /// Does something to a message, at once or when the homeserver has named it.
    pub(super) fn do_to(&mut self, order: Order, deed: Deed) {
        let Some(saying) = self.memory.by_order(order) else { return };
        match (&saying.said.event, saying.seq) {
            (Some(event), _) => {
                let (room, event) = (saying.said.room.clone(), event.clone());
                self.perform(room, event, deed);
            }
            (None, Some(seq)) => {
                if self.later.values().map(Vec::len).sum::<usize>() >= LATER_MAX {
                    self.later.pop_first();
                }
                self.later.entry(seq).or_default().push(deed);
            }
            (None, None) => {}
        }
    }

    fn perform(&mut self, room: RoomId, event: EventId, deed: Deed) {
        let seq = self.next_seq();
        match deed {
            Deed::React { speaker, key } => {
                if self.may_react(&room, &event, &speaker, &key, seq) {
                    let sign = Sign::Reaction(key);
                    self.out.push(Effect::Mark(Mark { seq, room, speaker, event, sign }));
                }
            }
            Deed::Redact { speaker, reason } => {
                self.out.push(Effect::Redact(Redact { seq, room, speaker, event, reason }));
            }
        }
    }

    /// The same sign twice on one message is one: the homeserver takes no second.
    fn may_react(&mut self, room: &RoomId, about: &EventId, by: &Speaker, key: &str, seq: RelaySeq) -> bool {
        let Speaker::Ghost(ghost) = by else { return true };
        let (room, about, ghost) = (room.clone(), about.clone(), ghost.clone());
        self.reactions.relays(Reaction { room, about, ghost, key: key.to_owned() }, seq)
    }

    /// The homeserver has named what was relayed as `seq`.
    pub(super) fn named_by_homeserver(&mut self, seq: RelaySeq, event: EventId) {
        let Some(said) = self.memory.was_named(seq, event.clone()) else {
            return self.reaction_named(seq, event);
        };
        let room = said.room.clone();
        for deed in self.later.remove(&seq).unwrap_or_default() {
            self.perform(room.clone(), event.clone(), deed);
        }
    }

    /// The homeserver has named a sign; perhaps one that was taken back meanwhile.
    fn reaction_named(&mut self, seq: RelaySeq, event: EventId) {
        let Some(reaction) = self.reactions.was_named(seq, &event) else { return };
        let speaker = Speaker::Ghost(reaction.ghost);
        self.perform(reaction.room, event, Deed::Redact { speaker, reason: None });
    }

    /// Wakes in time to keep what is new of what was said.
    pub(super) fn remember_soon(&mut self) {
        if self.memory.has_news() {
            self.timers.arm(Timer::Remember, self.now.plus_ms(REMEMBER_MS));
        }
    }

    /// Keeps what is new of what was said.
    pub(super) fn remember(&mut self) {
        if self.memory.has_news() {
            let (sayings, from) = self.memory.take_news();
            self.out.push(Effect::Remember { sayings, from });
        }
    }
}
