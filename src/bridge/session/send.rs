//! What one connection still has to say, and how fast it may.
//!
//! Three classes: `Control` (registration, PONG, our own PING, QUIT) goes at once; `Command` (JOIN, NICK, MODE)
//! goes before chat (PRIVMSG, NOTICE, PART: what must keep its order among itself); both wait for the flood
//! bucket, and so do the fences of [`Asks`], behind both unless they are forced. At most [`WINDOW_LINES`] lines are with the socket and not yet taken by the kernel.
//!
//! A line of a message waits as well while the server has too many questions to answer: what became of it has to be
//! known. And a message waits while the one before it, given to the socket, is not [noted](SendQueue::noted): a crash
//! may have one message of a puppet said twice, and not a burst. What was given to the socket is in [`Sent`].
//!
//! Full: a message that would make more than [`CHAT_LINES_MAX`] chat lines wait is refused and its sender is
//! told; a command that finds [`COMMAND_LINES_MAX`] waiting is refused, and whoever waits for its answer asks
//! again when that wait ends.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ask::{Asks, Fence};
use super::question::{Asker, Command};
use super::sent::Sent;
use super::tags::tagged;
use crate::bridge::channel::Tags;
use crate::bridge::clock::Bucket;
use crate::bridge::effect::Effect;
use crate::bridge::relay::to_irc::Saying;
use crate::ids::{ChannelName, ConnId, InboxSeq, Time};
use crate::text::line::Line;

/// Lines given to the socket and not yet taken by the kernel, at most.
pub const WINDOW_LINES: usize = 64;
/// Control lines that may be with the socket on top of these, so that a PONG or QUIT never waits for chat.
pub const CONTROL_LINES: usize = 16;
/// Lines an idle connection's queues keep room for.
const IDLE_CAPACITY_MAX: usize = 8;
/// Chat lines waiting, at most.
pub const CHAT_LINES_MAX: usize = 256;
/// Commands and control lines waiting, at most, each.
pub const COMMAND_LINES_MAX: usize = 128;

/// A line of a message.
#[derive(Clone, Debug)]
pub struct ChatLine {
    pub line: String,
    pub of: Option<Part>,
}

/// A line's place in its message.
#[derive(Clone, Debug)]
pub struct Part {
    pub saying: Arc<Saying>,
    /// From 0.
    pub index: usize,
    /// Lines of the whole message.
    pub count: usize,
}

impl Part {
    pub fn is_last(&self) -> bool {
        self.index + 1 == self.count
    }
}

/// A line that waits, with who asks what becomes of it, if anybody.
#[derive(Debug)]
struct Queued {
    line: String,
    asker: Option<Asker>,
}

impl Queued {
    fn part(&self) -> Option<&Part> {
        self.asker.as_ref().and_then(Asker::line)
    }

    fn into_chat(self) -> Option<ChatLine> {
        if let Some(Asker::Line(part)) = self.asker {
            Some(ChatLine { line: self.line, of: Some(part) })
        } else {
            None
        }
    }
}

/// No room left.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// The queues of one connection.
#[derive(Debug)]
pub struct SendQueue {
    control: VecDeque<String>,
    command: VecDeque<Queued>,
    chat: VecDeque<Queued>,
    /// With the socket, oldest first.
    in_flight: VecDeque<Class>,
    pub(super) sent: Sent,
    bucket: Bucket,
    /// The last message that the socket was given of, until it will not be said again after a crash.
    unnoted: Option<InboxSeq>,
}

/// What a line with the socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A line of a message.
    Chat,
    Other,
}

impl SendQueue {
    pub fn new(bucket: Bucket) -> Self {
        Self {
            control: VecDeque::new(),
            command: VecDeque::new(),
            chat: VecDeque::new(),
            in_flight: VecDeque::new(),
            sent: Sent::default(),
            bucket,
            unnoted: None,
        }
    }

    /// Queues a line that goes at once.
    pub fn push_control(&mut self, line: String) -> Result<(), Full> {
        if self.control.len() >= COMMAND_LINES_MAX {
            return Err(Full);
        }
        self.control.push_back(line);
        Ok(())
    }

    /// Queues a command; `Err` gives back who asked.
    pub fn push_command(&mut self, line: String, asker: Option<Asker>) -> Result<(), Option<Asker>> {
        if self.command.len() >= COMMAND_LINES_MAX {
            return Err(asker);
        }
        self.command.push_back(Queued { line, asker });
        Ok(())
    }

    /// Queues all lines of a message, or none of them.
    pub fn push_chat(&mut self, lines: Vec<ChatLine>) -> Result<(), Full> {
        if self.chat.len() + lines.len() > CHAT_LINES_MAX {
            return Err(Full);
        }
        self.chat.extend(lines.into_iter().map(queued));
        Ok(())
    }

    /// Queues a PART behind what is said; beyond the bound, because staying is no answer to a full queue. There
    /// are no more of them than channels.
    pub fn push_part(&mut self, channel: &ChannelName, why: &str) {
        let params: Vec<&str> = [channel.as_str(), why].into_iter().filter(|word| !word.is_empty()).collect();
        let line = Line::new("PART", &params).build();
        self.chat.push_back(Queued { line, asker: Some(Asker::Part(channel.clone())) });
    }

    /// Gives the socket a line at once that is worth nothing later. `false` where anything waits, or a message may have to
    /// wait for it.
    pub fn push_spare(&mut self, conn: ConnId, line: String, out: &mut Vec<Effect>) -> bool {
        let waiting = self.control.len() + self.command.len() + self.chat.len() + self.in_flight.len();
        let is_idle = waiting == 0 && self.unnoted.is_none();
        if !is_idle || self.bucket.cost(line.len()) > 1 || !self.bucket.take_spare() {
            return false;
        }
        self.in_flight.push_back(Class::Other);
        out.push(Effect::Send { conn, line });
        true
    }

    /// Gives the socket the control lines that may go now.
    pub fn pump_control(&mut self, conn: ConnId, out: &mut Vec<Effect>) {
        while self.in_flight.len() < WINDOW_LINES + CONTROL_LINES
            && let Some(line) = self.control.pop_front()
        {
            self.in_flight.push_back(Class::Other);
            out.push(Effect::Send { conn, line });
        }
    }

    /// Gives the socket what may go now. Returns when the bucket opens again, where something waits for it.
    pub fn pump(&mut self, conn: ConnId, tags: Tags, asks: &mut Asks, out: &mut Vec<Effect>) -> Option<Time> {
        self.pump_control(conn, out);
        let now = self.bucket.now();
        while self.in_flight.len() < WINDOW_LINES {
            let (line, class) = match self.take_next(asks, now) {
                Next::Fence => (asks.timed_fence(now), Class::Other),
                Next::Line(queued) => {
                    let part = queued.part().cloned();
                    let class = if part.is_some() { Class::Chat } else { Class::Other };
                    let mut line = queued.line;
                    if let Some(part) = part {
                        self.unnoted = Some(part.saying.seq);
                        self.sent.goes(now, part.clone(), line.clone());
                        line = if tags == Tags::Shown { tagged(line, &part) } else { line };
                    }
                    let line = match queued.asker {
                        Some(asker) => asks.ask(now, asker, line),
                        None => line,
                    };
                    (line, class)
                }
                Next::Wait(until) => return Some(until),
                Next::Nothing => return None,
            };
            // Of lines that go as one the last one counts; nothing may come in between.
            let mut lines = line.split('\n').peekable();
            while let Some(line) = lines.next() {
                let is_last = lines.peek().is_none();
                self.in_flight.push_back(if is_last { class } else { Class::Other });
                out.push(Effect::Send { conn, line: line.to_owned() });
            }
        }
        None
    }

    /// Whether there is room for all lines that go as one.
    fn has_window(&self, queued: &Queued) -> bool {
        let lines = queued.line.matches('\n').count();
        lines == 0 || self.in_flight.is_empty() || self.in_flight.len() + lines < WINDOW_LINES
    }

    /// What all lines that go as one cost.
    fn cost(&self, queued: &Queued) -> u32 {
        queued.line.split('\n').map(|line| self.bucket.cost(line.len())).fold(0, u32::saturating_add)
    }

    fn take_next(&mut self, asks: &Asks, now: Time) -> Next {
        let fence = asks.fence(now);
        let next = self.command.front().or(self.chat.front());
        if next.map_or(fence == Fence::NotNow, |next| self.is_early(next) && fence != Fence::First) {
            return Next::Nothing;
        }
        let next = next.filter(|next| !self.is_early(next));
        let waits = asks.are_full() && next.is_some_and(|queued| queued.part().is_some());
        if waits && !asks.owe_fence() {
            return Next::Nothing;
        }
        if next.is_some_and(|queued| !self.has_window(queued)) {
            // The kernel takes lines before it is asked for more.
            return Next::Nothing;
        }
        let asker = next.and_then(|queued| queued.asker.as_ref());
        let fence_goes = waits || fence == Fence::First || asker.is_some_and(|asker| asks.blurs(asker));
        let cost = next.filter(|_| !fence_goes).map_or(1, |queued| self.cost(queued));
        if let Err(until) = self.bucket.take(cost) {
            return Next::Wait(until);
        }
        if fence_goes || next.is_none() {
            return Next::Fence;
        }
        self.command.pop_front().or_else(|| self.chat.pop_front()).map_or(Next::Fence, Next::Line)
    }

    /// True for a message that has to wait for the one before it to be noted.
    fn is_early(&self, queued: &Queued) -> bool {
        self.unnoted.is_some_and(|seq| queued.part().is_some_and(|part| part.saying.seq != seq))
    }

    /// This message will not be said again after a crash.
    pub fn noted(&mut self, seq: InboxSeq) {
        self.unnoted.take_if(|unnoted| *unnoted == seq);
    }

    /// The kernel took `lines` more: returns the parts of messages among them.
    pub fn written(&mut self, lines: u32) -> Vec<Part> {
        let taken = (lines as usize).min(self.in_flight.len());
        let chat = self.in_flight.drain(..taken).filter(|class| *class == Class::Chat).count();
        let parts = (0..chat).map_while(|_| self.sent.taken()).collect();
        if self.in_flight.is_empty() {
            self.shrink();
        }
        parts
    }

    /// An idle connection keeps no room for the burst it once had.
    fn shrink(&mut self) {
        if self.chat.is_empty() && self.chat.capacity() + self.in_flight.capacity() > 2 * IDLE_CAPACITY_MAX {
            self.chat.shrink_to(IDLE_CAPACITY_MAX);
            self.in_flight.shrink_to(IDLE_CAPACITY_MAX);
            self.control.shrink_to(IDLE_CAPACITY_MAX);
            self.command.shrink_to(IDLE_CAPACITY_MAX);
        }
    }

    /// The connection is over: every chat line that the kernel has not taken, in order, and what it has taken.
    pub fn end(mut self) -> (Vec<ChatLine>, Sent) {
        let mut unsent = self.sent.take_untaken();
        unsent.extend(self.chat.into_iter().filter_map(Queued::into_chat));
        (unsent, self.sent)
    }

    /// Takes out the waiting chat lines for which `gone` holds.
    pub fn withdraw(&mut self, gone: impl Fn(&Saying) -> bool) -> Vec<ChatLine> {
        let leaves = |queued: &Queued| queued.part().is_some_and(|part| gone(&part.saying));
        let mut withdrawn = Vec::new();
        for queued in std::mem::take(&mut self.chat) {
            if leaves(&queued) { withdrawn.extend(queued.into_chat()) } else { self.chat.push_back(queued) }
        }
        withdrawn
    }

    /// The lines of messages that wait.
    pub(super) fn waiting_parts(&self) -> impl Iterator<Item = &Part> {
        self.chat.iter().filter_map(Queued::part)
    }

    /// Puts other lines in the place of those of a message that waits whole. `false` where it does not, or they are too
    /// many.
    pub(super) fn requeue(&mut self, seq: InboxSeq, lines: Vec<ChatLine>) -> bool {
        let is_of = |queued: &Queued| queued.part().is_some_and(|part| part.saying.seq == seq);
        let is_first = |queued: &Queued| is_of(queued) && queued.part().is_some_and(|part| part.index == 0);
        let Some(at) = self.chat.iter().position(is_first) else { return false };
        let before = self.chat.iter().filter(|queued| is_of(queued)).count();
        if self.chat.len() - before + lines.len() > CHAT_LINES_MAX {
            return false;
        }
        self.chat.retain(|queued| !is_of(queued));
        let behind = self.chat.split_off(at);
        self.chat.extend(lines.into_iter().map(queued));
        self.chat.extend(behind);
        true
    }

    /// Lines that wait.
    pub(super) fn len(&self) -> usize {
        self.control.len() + self.command.len() + self.chat.len()
    }

    /// Commands of somebody outside that wait to be sent.
    pub fn commands(&self) -> usize {
        self.command.iter().filter(|queued| matches!(queued.asker, Some(Asker::Command(_)))).count()
    }

    /// Takes out the commands of somebody outside that were not sent: the connection is over.
    pub fn take_commands(&mut self) -> Vec<Command> {
        let taken = std::mem::take(&mut self.command).into_iter();
        taken
            .filter_map(|queued| if let Some(Asker::Command(c)) = queued.asker { Some(*c) } else { None })
            .collect()
    }
}

fn queued(ChatLine { line, of }: ChatLine) -> Queued {
    Queued { line, asker: of.map(Asker::Line) }
}

/// What may go next.
enum Next {
    Line(Queued),
    Fence,
    Wait(Time),
    Nothing,
}
