//! A message's way out: to its channel, or back to its sender with the reason.

use std::sync::Arc;

use super::super::effect::{Effect, Outcome};
use super::super::input::{BodyKind, MessageBody};
use super::super::puppet::Waiting;
use super::super::relay::to_irc::{Composed, Saying, compose};
use super::super::relay::to_matrix;
use super::super::session::Session;
use super::super::session::places::Standing;
use super::super::session::send::{ChatLine, Full, Part};
use super::super::timer::Timer;
use super::Network;
use crate::ids::{ChannelName, EventId, InboxSeq, PuppetId, RoomId, Time, UserId};

/// How long a refusal by a channel counts before speaking there makes us ask again.
const REFUSAL_MS: u64 = 30_000;

impl Network {
    /// Somebody said something in a room.
    pub(super) fn message(
        &mut self,
        seq: InboxSeq,
        room: RoomId,
        event_id: EventId,
        sender: UserId,
        body: MessageBody,
        origin_ms: u64,
    ) {
        let Some(portal) = self.portals.of_room(&room).filter(|_| !self.is_ours(&sender)) else {
            return self.settle(seq, Outcome::Delivered);
        };
        let channel = portal.channel.clone();
        // A clock that runs ahead buys no time; one that runs behind cannot be told from a late message.
        let said = Time(origin_ms.min(self.now.0));
        let expires = said.plus_ms(self.policy.message_age_ms_max);
        let saying = Arc::new(Saying { seq, room, event_id, sender: sender.clone(), channel, body, expires });
        if saying.expires <= self.now {
            return self.expired(&saying);
        }
        if !self.portals.has(&saying.room, &sender) {
            self.entered_room(&saying.room.clone(), &sender, None);
        }
        let puppet = self.ensure_puppet(&sender, None);
        self.came_or_spoke(puppet);
        self.say(puppet, saying);
    }

    /// Sends a message, or lets it wait for the connection and the channel.
    fn say(&mut self, id: PuppetId, saying: Arc<Saying>) {
        if let Some(why) = self.held_words(id) {
            return self.failed(&saying, &why);
        }
        let channel = saying.channel.clone();
        let standing = self.standing(id, &channel);
        if standing == Some(Standing::In) {
            return self.send_now(id, Waiting { saying, lines: None });
        }
        let is_ready = self.puppet(id).session.as_ref().is_some_and(Session::is_ready);
        if is_ready && standing.is_none() && !self.ask_again(id, &channel) {
            return self.failed(&saying, &format!("{channel} does not let your IRC user in"));
        }
        match self.puppet(id).wait(saying) {
            Ok(()) => {
                self.arm_expiry(id);
                self.ask_to_dial(id);
            }
            Err(saying) => self.failed(&saying, "too many of your messages wait for the IRC connection"),
        }
    }

    /// Asks a channel that we are not in once more. `false` when it refused us just now.
    fn ask_again(&mut self, id: PuppetId, channel: &ChannelName) -> bool {
        let now = self.now;
        let refused = self.puppet(id).refused_at(channel);
        if refused.is_some_and(|at| now.since_ms(at) < REFUSAL_MS) {
            return false;
        }
        self.join_channels(id, vec![channel.clone()]);
        true
    }

    /// Gives a message to the connection's queue.
    fn send_now(&mut self, id: PuppetId, waiting: Waiting) {
        let Waiting { saying, lines } = waiting;
        let (line_bytes_max, lines_max) = (self.isupport.line_bytes_max, self.policy.message_lines_max);
        let of = Arc::clone(&saying);
        let sent = self.with_session(id, |session, out| {
            let composed = match lines {
                Some(lines) => Composed { lines, lines_cut: 0 },
                None => compose(&of, session.source_bytes(), line_bytes_max, lines_max),
            };
            let (lines, cut) = (composed.lines.len(), composed.lines_cut);
            (lines, cut, session.say(composed.lines, out))
        });
        match sent {
            // Only reached for a connection that is in the channel; without one the message waits again.
            None => self.say(id, saying),
            Some((0, _, _)) => self.failed(&saying, "there is no text that IRC could show"),
            Some((_, _, Err(Full))) => {
                self.failed(&saying, "you are sending faster than the IRC network takes it")
            }
            Some((_, cut, Ok(()))) => {
                self.tell_of_cut(&saying, cut);
            }
        }
    }

    /// The channel is open to us: what waited for it goes, in order.
    pub(super) fn flush_waiting(&mut self, id: PuppetId, channel: &ChannelName) {
        for waiting in self.puppet(id).take_waiting(channel) {
            self.send_now(id, waiting);
        }
    }

    /// The kernel has taken a line of a message: with its last one it counts as delivered.
    pub(super) fn on_its_way(&mut self, part: &Part) {
        if part.is_last() {
            self.delivered(&part.saying);
            self.show_in_other_rooms(&part.saying);
        }
    }

    /// A channel's other rooms hear what was said in one of them, in the name of the puppet's nick.
    fn show_in_other_rooms(&mut self, saying: &Saying) {
        let others: Vec<RoomId> = self
            .portals
            .of_channel(&saying.channel)
            .map(|portal| portal.room.clone())
            .filter(|room| *room != saying.room)
            .collect();
        if others.is_empty() {
            return;
        }
        let Some(id) = self.puppet_ids.get(&saying.sender).copied() else { return };
        let Some(nick) = self.puppet(id).session.as_ref().and_then(Session::nick).cloned() else { return };
        let ghost = to_matrix::ghost(&nick, &self.policy.ghosts, &self.policy.server_name);
        let Some(speaker) = ghost else { return };
        for room in others {
            let MessageBody { kind, text } = saying.body.clone();
            self.say_in_room(room, speaker.clone(), kind, text, None);
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
        for waiting in self.puppet(id).take_waiting(channel) {
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

    /// Whether a message body is worth an answer; kept beside the other rules of saying.
    pub(super) fn is_answerable(kind: BodyKind) -> bool {
        // A NOTICE is never answered (RFC 2812 section 3.3.2).
        kind != BodyKind::Notice
    }
}
