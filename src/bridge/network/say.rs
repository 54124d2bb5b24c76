//! A message's way out: to its channel, or back to its sender with the reason.

use std::sync::Arc;

use super::super::effect::{Effect, Outcome};
use super::super::input::{Before, BodyKind, MessageBody};
use super::super::puppet::Waiting;
use super::super::relay::to_irc::{Composed, Saying, compose};
use super::super::relay::to_matrix;
use super::super::session::Session;
use super::super::session::places::Standing;
use super::super::session::send::{ChatLine, Full, Part};
use super::super::timer::Timer;
use super::{Life, Network};
use crate::ids::{ChannelName, EventId, InboxSeq, Nick, PuppetId, RoomId, Time, UserId};

/// How long a refusal by a channel counts before speaking there makes us ask again.
const REFUSAL_MS: u64 = 30_000;

/// How far a message that was given to a connection has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// The nick it was said under.
    nick: Option<Nick>,
    lines_open: usize,
    written: Written,
    again: Again,
}

/// Whether the kernel has all lines of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    No,
    Yes,
}

/// Whether a line of a message was said a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    Yes,
}

impl Progress {
    /// True the first time: what is lost twice is not worth a third.
    pub(super) fn may_be_said_again(&self) -> bool {
        self.again == Again::No
    }

    pub(super) fn said_again(&mut self) {
        self.again = Again::Yes;
    }
}

/// A message as the inbox has it.
pub(super) struct Arrival {
    pub room: RoomId,
    pub event_id: EventId,
    pub sender: UserId,
    pub body: MessageBody,
    pub origin_ms: u64,
    pub before: Before,
}

impl Network {
    /// Somebody said something in a room.
    pub(super) fn message(&mut self, seq: InboxSeq, arrival: Arrival) {
        let Arrival { room, event_id, sender, body, origin_ms, before } = arrival;
        if matches!(self.life, Life::Finishing | Life::Stopping) {
            // It is the next run's.
            return;
        }
        let Some(portal) = self.portals.of_room(&room).filter(|_| !self.is_ours(&sender)) else {
            return self.settle(seq, Outcome::Delivered);
        };
        let channel = portal.channel.clone();
        // A clock that runs ahead buys no time; one that runs behind cannot be told from a late message.
        let said = Time(origin_ms.min(self.now.0));
        let expires = said.plus_ms(self.policy.message_age_ms_max);
        let saying = Arc::new(Saying { seq, room, event_id, sender: sender.clone(), channel, body, expires });
        if before == Before::Written {
            return self.perhaps_lost(&saying, "the bridge was interrupted before the server answered");
        }
        if saying.expires <= self.now {
            return self.expired(&saying);
        }
        let is_member = self.portals.has(&saying.room, &sender);
        if !is_member && before == Before::Accepted {
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
    fn say(&mut self, id: PuppetId, saying: Arc<Saying>) {
        if let Some(why) = self.held_words(id) {
            return self.failed(&saying, &why);
        }
        let channel = saying.channel.clone();
        let standing = self.standing(id, &channel);
        if standing == Some(Standing::In) && self.may_talk(id) {
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

    /// Whether a puppet may say something new: not while it is open whether what it said before arrived.
    fn may_talk(&self, id: PuppetId) -> bool {
        self.puppets[id.0 as usize].doubts.is_none() && matches!(self.life, Life::Loading | Life::Running)
    }

    /// Asks a channel that we are not in once more. `false` when it refused us just now.
    pub(super) fn ask_again(&mut self, id: PuppetId, channel: &ChannelName) -> bool {
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
            (lines, cut, session.nick().cloned(), session.say(composed.lines, out))
        });
        match sent {
            // Only reached for a connection that is in the channel; without one the message waits again.
            None => self.say(id, saying),
            Some((0, ..)) => self.failed(&saying, "there is no text that IRC could show"),
            Some((.., Err(Full))) => {
                self.failed(&saying, "you are sending faster than the IRC network takes it")
            }
            Some((lines_open, cut, nick, Ok(()))) => {
                let (written, again) = (Written::No, Again::No);
                let progress = Progress { nick, lines_open, written, again };
                self.under_way.entry(saying.seq).or_insert(progress);
                self.tell_of_cut(&saying, cut);
            }
        }
    }

    /// The channel is open to us: what waited for it goes, in order.
    pub(super) fn flush_waiting(&mut self, id: PuppetId, channel: &ChannelName) {
        if !self.may_talk(id) {
            return;
        }
        for waiting in self.puppet(id).take_waiting(channel) {
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
        if let Some(progress) = self.under_way.get_mut(&seq).filter(|_| part.is_last())
            && std::mem::replace(&mut progress.written, Written::Yes) == Written::No
        {
            self.out.push(Effect::Written { seq });
        }
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
        if let Some(id) = self.puppet_ids.get(sender).copied().filter(|_| is_open) {
            self.puppet(id).drop_waiting(seq);
            self.with_session(id, |session, _| session.drop_message(seq));
        }
        is_open
    }

    /// A channel's other rooms hear what was said in one of them, in the name of the puppet's nick; not before it is
    /// known that IRC has it, for they are to show the same.
    fn show_in_other_rooms(&mut self, saying: &Saying, nick: Option<&Nick>) {
        let others: Vec<RoomId> = self
            .portals
            .of_channel(&saying.channel)
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
