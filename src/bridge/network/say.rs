//! A message's way out: to its channel, or back to its sender with the reason.

use std::sync::Arc;

use super::super::effect::{Effect, Outcome, Relay};
use super::super::input::{Before, MessageBody, Relation};
use super::super::puppet::Waiting;
use super::super::relay::to_irc::compose::{Limits, Rest, compose};
use super::super::relay::to_irc::{Saying, spans};
use super::super::relay::to_matrix;
use super::super::session::Session;
use super::super::session::places::Standing;
use super::super::session::send::{ChatLine, Full, Part};
use super::super::timer::Timer;
use super::progress::{Again, Progress, Written};
use super::{Life, Network};
use crate::ids::{ChannelName, EventId, InboxSeq, Nick, PuppetId, RoomId, Target, Time, UserId};
use crate::text::html;
use crate::text::irc_codes::{Codes, is_code};

/// How long a refusal by a channel counts before speaking there makes us ask again.
const REFUSAL_MS: u64 = 30_000;

/// A message as the inbox has it.
pub(super) struct Arrival {
    pub room: RoomId,
    pub event_id: EventId,
    pub sender: UserId,
    pub body: MessageBody,
    pub relation: Relation,
    pub origin_ms: u64,
    pub before: Before,
}

impl Network {
    /// Somebody said something in a room.
    pub(super) fn message(&mut self, seq: InboxSeq, arrival: Arrival) {
        if let Relation::Edit { of } = &arrival.relation {
            let of = of.clone();
            return self.edit(seq, arrival, of);
        }
        // What was begun to be said is no answer.
        if arrival.before != Before::Written && self.consents(&arrival) {
            return self.settle(seq, Outcome::Delivered);
        }
        let Some(mut saying) = self.arrived(seq, &arrival) else {
            return self.settle(seq, Outcome::Delivered);
        };
        if let Some(channel) = saying.target.channel() {
            self.said_what_they_typed(&saying.sender, channel);
        }
        saying.answer = self.reply(&saying.room, &saying.sender, &arrival.relation);
        let (room, event, sender) = (saying.room.clone(), saying.event_id.clone(), saying.sender.clone());
        let text = saying.plain(None);
        self.memory.from_matrix(room.clone(), event.clone(), sender.clone(), &text);
        self.originals.note(event, room, sender, text, self.now);
        let saying = Arc::new(saying);
        if arrival.before == Before::Written {
            return self.perhaps_lost(&saying, "the bridge was interrupted before the server answered");
        }
        self.take_up(saying, arrival.before);
    }

    /// What somebody said, or put in the place of what they said; `None` when it is of no channel, or of us.
    pub(super) fn arrived(&self, seq: InboxSeq, arrival: &Arrival) -> Option<Saying> {
        let target = self.target_of(&arrival.room).filter(|_| self.is_heard(&arrival.sender))?;
        // A clock that runs ahead buys no time; one that runs behind cannot be told from a late message.
        let said = Time(arrival.origin_ms.min(self.now.0));
        let mut saying = Saying {
            seq,
            room: arrival.room.clone(),
            event_id: arrival.event_id.clone(),
            sender: arrival.sender.clone(),
            target,
            kind: arrival.body.kind,
            text: spans(&arrival.body),
            media: arrival.body.media.clone(),
            answer: None,
            corrects: None,
            attribution: None,
            expires: said.plus_ms(self.policy.message_age_ms_max),
        };
        self.attribute(&mut saying);
        Some(saying)
    }

    /// Takes up what is to be said.
    pub(super) fn take_up(&mut self, saying: Arc<Saying>, before: Before) {
        let sender = saying.sender.clone();
        if saying.expires <= self.now {
            return self.expired(&saying);
        }
        if saying.attribution.is_some() {
            return match self.bot_puppet() {
                Some(bot) => self.say(bot, saying),
                None => self.failed(&saying, "the bridge's bot is not on IRC"),
            };
        }
        let is_member = self.portals.has(&saying.room, &sender) || self.queries.has(&saying.room, &sender);
        if !is_member && (before == Before::Accepted || saying.target.nick().is_some()) {
            // Of an earlier run: no proof that they are there now, and what followed may be settled already.
            return self.failed(&saying, "you left the room before it could be sent");
        }
        if !is_member {
            self.entered_room(&saying.room.clone(), &sender, None);
        }
        let puppet = self.ensure_puppet(&sender, None);
        self.came_or_spoke(puppet);
        self.say(puppet, saying);
    }

    /// Sends a message, or lets it wait for the connection and the channel.
    pub(super) fn say(&mut self, id: PuppetId, saying: Arc<Saying>) {
        let silenced = self.silenced(&saying.sender, &saying.target);
        if let Some(why) = silenced.or_else(|| self.held_words(id)) {
            return self.fail_silenced(&saying, &why);
        }
        let is_ready = self.puppet(id).session.as_ref().is_some_and(Session::is_ready);
        let may_say = match &saying.target {
            Target::Channel(channel) => {
                let channel = channel.clone();
                let standing = self.standing(id, &channel);
                if is_ready && standing.is_none() && !self.ask_again(id, &channel) {
                    let who = if self.is_bot(id) { "the bridge's bot" } else { "your IRC user" };
                    return self.failed(&saying, &format!("{channel} does not let {who} in"));
                }
                standing == Some(Standing::In)
            }
            Target::Nick(nick) => {
                if let Some(why) = self.is_one_of_ours(nick) {
                    return self.failed(&saying, &why);
                }
                is_ready
            }
        };
        if let Some(nick) = saying.target.nick().cloned() {
            self.talked(&(saying.sender.clone(), nick));
            self.talks(id);
        }
        if may_say && self.may_talk(id) {
            return self.send_now(id, Waiting { saying, lines: None });
        }
        match self.puppet(id).wait(saying) {
            Ok(()) => {
                self.arm_expiry(id);
                self.ask_to_dial(id);
            }
            Err(saying) => self.failed(&saying, "too many of your messages wait for the IRC connection"),
        }
    }

    /// Whether a puppet may say something new: not while it is open whether what it said before arrived.
    fn may_talk(&self, id: PuppetId) -> bool {
        self.puppets[id.0 as usize].doubts.is_none() && matches!(self.life, Life::Loading | Life::Running)
    }

    /// Whether a puppet may say something in the channel at once.
    pub(super) fn may_say_in(&self, id: PuppetId, channel: &ChannelName) -> bool {
        self.standing(id, channel) == Some(Standing::In) && self.may_talk(id)
    }

    /// Asks a channel that we are not in once more. `false` when it refused us just now.
    pub(super) fn ask_again(&mut self, id: PuppetId, channel: &ChannelName) -> bool {
        let now = self.now;
        let refused = self.puppet(id).refused_at(channel);
        if refused.is_some_and(|at| now.since_ms(at) < REFUSAL_MS) {
            return false;
        }
        let room = self.rooms_of(channel).into_iter().find(|room| {
            let user = &self.puppets[id.0 as usize].user;
            self.portals.has(room, user)
        });
        match room {
            Some(room) => self.enter_channel(id, &room, channel),
            None => self.join_channels(id, vec![channel.clone()]),
        }
        true
    }

    /// Gives a message to the connection's queue.
    fn send_now(&mut self, id: PuppetId, waiting: Waiting) {
        let Waiting { saying, lines } = waiting;
        // What was cut for a connection that took it as one message is cut anew where this one does not.
        let batches = self.limits(id).batch.is_some();
        let lines = lines.filter(|lines| batches || !lines.iter().any(|chat| chat.line.contains('\n')));
        let is_cut_now = lines.is_none();
        let (lines, rest) = match lines {
            Some(lines) => (lines, Rest::None),
            None => {
                let spoken = self.spoken(&saying);
                let (limits, link) = (self.limits(id), self.text_link(&saying));
                let composed = compose(&saying, &spoken, &limits, link.as_deref());
                if self.is_over_limit(id, &saying, composed.lines.len()) {
                    return;
                }
                self.publish_file(&saying);
                if composed.rest == Rest::Linked {
                    self.publish_text(&saying, spoken);
                }
                (composed.lines, composed.rest)
            }
        };
        let lines_open = lines.len();
        let codes = if lines.iter().any(|chat| chat.line.contains(is_code)) { Codes::On } else { Codes::Off };
        let sent = self.with_session(id, |session, out| (session.nick().cloned(), session.say(lines, out)));
        match sent {
            // Only reached for a connection that is in the channel; without one the message waits again.
            None => self.say(id, saying),
            Some(_) if lines_open == 0 => self.failed(&saying, "there is no text that IRC could show"),
            Some((_, Err(Full))) => {
                self.failed(&saying, "you are sending faster than the IRC network takes it")
            }
            Some((nick, Ok(()))) => {
                let (written, again) = (Written::No, Again::No);
                let progress = Progress { by: id, nick, lines_open, written, again, codes };
                let progress = self.under_way.entry(saying.seq).or_insert(progress);
                progress.written = written;
                if is_cut_now {
                    progress.lines_open = lines_open;
                }
                self.tell_of_rest(&saying, rest);
            }
        }
    }

    /// The channel refuses codes: a message of which nothing arrived is said once more, without them. `false` where it
    /// had none, or it is too late for that.
    pub(super) fn say_plain(&mut self, part: &Part) -> bool {
        let saying = &part.saying;
        let Some(progress) = self.under_way.get_mut(&saying.seq) else { return false };
        if progress.codes == Codes::Off || progress.lines_open != part.count {
            return false;
        }
        let Some(id) = self.mouth_of(&saying.sender) else { return false };
        let Some(progress) = self.under_way.get_mut(&saying.seq) else { return false };
        progress.codes = Codes::Off;
        self.learn_plain(&saying.target);
        self.with_session(id, |session, _| session.begin_anew(saying.seq));
        self.say(id, Arc::clone(saying));
        true
    }

    /// What a line of this puppet may hold.
    pub(super) fn limits(&self, id: PuppetId) -> Limits {
        let session = self.puppets[id.0 as usize].session.as_ref();
        Limits {
            source_bytes: session.map_or(0, Session::source_bytes),
            line_bytes_max: self.isupport.line_bytes_max,
            lines_max: self.policy.message_lines_max,
            batch: session.and_then(Session::batch_limits),
        }
    }

    /// A message that waits is to be said in so many lines.
    pub(super) fn lines_open(&mut self, seq: InboxSeq, lines: usize) {
        if let Some(progress) = self.under_way.get_mut(&seq) {
            progress.lines_open = lines;
        }
    }

    /// The channel is open to us: what waited for it goes, in order.
    pub(super) fn flush_waiting(&mut self, id: PuppetId, channel: &ChannelName) {
        self.flush_to(id, &channel.clone().into());
    }

    /// What waited for a channel that is open to us, or for a person, goes, in order.
    pub(super) fn flush_to(&mut self, id: PuppetId, target: &Target) {
        let is_ready = self.puppet(id).session.as_ref().is_some_and(Session::is_ready);
        if !is_ready || !self.may_talk(id) {
            return;
        }
        for waiting in self.puppet(id).take_waiting(target) {
            self.send_now(id, waiting);
        }
    }

    /// True until it is known what became of a message that was given to a connection.
    pub(super) fn is_under_way(&self, seq: InboxSeq) -> bool {
        self.under_way.contains_key(&seq)
    }

    /// The kernel has taken a line of a message: its last one is worth remembering over a restart.
    pub(super) fn on_its_way(&mut self, part: &Part) {
        let seq = part.saying.seq;
        let progress = self.under_way.get_mut(&seq).filter(|_| part.is_last());
        self.out.extend(progress.and_then(|progress| progress.written(seq)));
    }

    /// What a puppet said last will not be said again, come what may: it may say something else.
    pub(super) fn noted(&mut self, id: PuppetId, seq: InboxSeq) {
        self.with_session(id, |session, out| session.noted(seq, out));
    }

    /// A line of a message arrived: with the last one, the message did.
    pub(super) fn line_arrived(&mut self, part: &Part) {
        let Some(progress) = self.under_way.get_mut(&part.saying.seq) else { return };
        progress.lines_open = progress.lines_open.saturating_sub(1);
        if progress.lines_open == 0 {
            let nick = progress.nick.take();
            self.delivered(&part.saying);
            self.show_in_other_rooms(&part.saying, nick.as_ref());
        }
    }

    /// A line of a message did not arrive, or nobody knows: nothing more is said of the message. `false` where it is
    /// known already what became of that.
    pub(super) fn ends_by_line(&mut self, part: &Part) -> bool {
        let (seq, sender) = (part.saying.seq, &part.saying.sender);
        let is_open = self.is_under_way(seq);
        if let Some(id) = self.mouth_of(sender).filter(|_| is_open) {
            self.puppet(id).drop_waiting(seq);
            self.with_session(id, |session, _| session.drop_message(seq));
        }
        is_open
    }

    /// A channel's other rooms hear what was said in one of them, in the name of the puppet's nick; not before it is
    /// known that IRC has it, for they are to show the same.
    fn show_in_other_rooms(&mut self, saying: &Saying, nick: Option<&Nick>) {
        let Some(channel) = saying.target.channel() else { return };
        let others: Vec<RoomId> = self
            .portals
            .of_channel(channel)
            .map(|portal| portal.room.clone())
            .filter(|room| *room != saying.room)
            .collect();
        if others.is_empty() {
            return;
        }
        let Some(nick) = nick else { return };
        let ghost = to_matrix::ghost(nick, &self.policy.ghosts, &self.policy.server_name);
        let Some(speaker) = ghost else { return };
        for room in others {
            let mut whole = saying.text.clone();
            whole.put_before(saying.attribution.as_deref().unwrap_or_default());
            let text = format!(
                "{}{}",
                saying.attribution.as_deref().unwrap_or_default(),
                saying.plain(self.file_link(saying).as_deref())
            );
            let formatted = html::write(&whole).filter(|_| saying.media.is_none());
            let seq = self.next_seq();
            self.memory.from_irc(seq, room.clone(), None, nick.clone(), &text);
            let relay = Relay::plain(seq, room, speaker.clone(), saying.kind, text);
            self.out.push(Effect::Relay(Relay { html: formatted.map(|html| html.formatted), ..relay }));
        }
    }

    pub(super) fn arm_expiry(&mut self, id: PuppetId) {
        let at = self.puppet(id).next_expiry();
        self.timers.arm_if(Timer::Expiry(id), at);
    }

    /// Some waiting message may have become too old.
    pub(super) fn expire(&mut self, id: PuppetId) {
        let now = self.now;
        for waiting in self.puppet(id).take_expired(now) {
            self.expired(&waiting.saying);
        }
        self.arm_expiry(id);
    }

    /// What waited for this channel will not be said.
    pub(super) fn fail_waiting(&mut self, id: PuppetId, channel: &ChannelName, why: &str) {
        self.fail_waiting_for(id, &channel.clone().into(), why);
    }

    /// What waited for this channel or person will not be said.
    pub(super) fn fail_waiting_for(&mut self, id: PuppetId, target: &Target, why: &str) {
        for waiting in self.puppet(id).take_waiting(target) {
            self.failed(&waiting.saying, why);
        }
    }

    /// Lines withdrawn from a queue: their messages failed, each told once.
    pub(super) fn fail_lines(&mut self, lines: Vec<ChatLine>, why: &str) {
        let mut last: Option<InboxSeq> = None;
        for part in lines.into_iter().filter_map(|line| line.of) {
            if last.replace(part.saying.seq) != Some(part.saying.seq) {
                self.failed(&part.saying, why);
            }
        }
    }

    /// Lets a puppet's session do something, where it has one, and wakes it in time for what follows.
    pub(super) fn with_session<R>(
        &mut self,
        id: PuppetId,
        act: impl FnOnce(&mut Session, &mut Vec<Effect>) -> R,
    ) -> Option<R> {
        let session = self.puppets.get_mut(id.0 as usize)?.session.as_mut()?;
        let conn = session.conn;
        let result = act(session, &mut self.out);
        self.arm_session(conn);
        Some(result)
    }
}
