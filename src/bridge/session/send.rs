//! What one connection still has to say, and how fast it may.
//!
//! Three classes: `Control` (registration, PONG, our own PING, QUIT) goes at once; `Command` (JOIN, NICK, MODE)
//! goes before chat (PRIVMSG, NOTICE, PART: what must keep its order among itself); both wait for the flood
//! bucket. At most [`WINDOW_LINES`] lines are with the socket and not yet taken by the kernel.
//!
//! Full: a message that would make more than [`CHAT_LINES_MAX`] chat lines wait is refused and its sender is
//! told; a command that finds [`COMMAND_LINES_MAX`] waiting is refused, and whoever waits for its answer asks
//! again when that wait ends.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::bridge::clock::Bucket;
use crate::bridge::effect::Effect;
use crate::bridge::relay::to_irc::Saying;
use crate::ids::{ConnId, Time};

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

/// How a line that is no chat is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Control,
    Command,
}

/// A line that keeps its order among what is said: of a message, or a PART.
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

/// No room left.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// The queues of one connection.
#[derive(Debug)]
pub struct SendQueue {
    control: VecDeque<String>,
    command: VecDeque<String>,
    chat: VecDeque<ChatLine>,
    /// With the socket, oldest first.
    in_flight: VecDeque<Option<ChatLine>>,
    bucket: Bucket,
}

impl SendQueue {
    pub fn new(bucket: Bucket) -> Self {
        Self {
            control: VecDeque::new(),
            command: VecDeque::new(),
            chat: VecDeque::new(),
            in_flight: VecDeque::new(),
            bucket,
        }
    }

    /// Queues a line that is no chat.
    pub fn push(&mut self, class: Class, line: String) -> Result<(), Full> {
        let queue = match class {
            Class::Control => &mut self.control,
            Class::Command => &mut self.command,
        };
        if queue.len() >= COMMAND_LINES_MAX {
            return Err(Full);
        }
        queue.push_back(line);
        Ok(())
    }

    /// Queues all lines of a message, or none of them.
    pub fn push_chat(&mut self, lines: Vec<ChatLine>) -> Result<(), Full> {
        if self.chat.len() + lines.len() > CHAT_LINES_MAX {
            return Err(Full);
        }
        self.chat.extend(lines);
        Ok(())
    }

    /// Queues a PART behind what is said; beyond the bound, because staying is no answer to a full queue. There
    /// are no more of them than channels.
    pub fn push_part(&mut self, line: String) {
        self.chat.push_back(ChatLine { line, of: None });
    }

    /// Gives the socket the control lines that may go now.
    pub fn pump_control(&mut self, conn: ConnId, out: &mut Vec<Effect>) {
        while self.in_flight.len() < WINDOW_LINES + CONTROL_LINES
            && let Some(line) = self.control.pop_front()
        {
            self.in_flight.push_back(None);
            out.push(Effect::Send { conn, line });
        }
    }

    /// Gives the socket what may go now. Returns when the bucket opens again, where something waits for it.
    pub fn pump(&mut self, conn: ConnId, out: &mut Vec<Effect>) -> Option<Time> {
        self.pump_control(conn, out);
        while self.in_flight.len() < WINDOW_LINES {
            let (line, chat) = match self.take_next() {
                Next::Line(line) => (line, None),
                Next::Chat(chat) => (chat.line.clone(), Some(chat)),
                Next::Wait(until) => return Some(until),
                Next::Nothing => return None,
            };
            self.in_flight.push_back(chat);
            out.push(Effect::Send { conn, line });
        }
        None
    }

    fn take_next(&mut self) -> Next {
        if self.command.is_empty() && self.chat.is_empty() {
            return Next::Nothing;
        }
        if let Err(until) = self.bucket.take() {
            return Next::Wait(until);
        }
        match self.command.pop_front() {
            Some(line) => Next::Line(line),
            None => self.chat.pop_front().map_or(Next::Nothing, Next::Chat),
        }
    }

    /// The kernel took `lines` more: returns the parts of messages among them.
    pub fn written(&mut self, lines: u32) -> Vec<Part> {
        let taken = (lines as usize).min(self.in_flight.len());
        let parts = self.in_flight.drain(..taken).flatten().filter_map(|chat| chat.of).collect();
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

    /// Takes out every chat line the kernel has not taken, in order: the connection is over.
    pub fn into_unsent(self) -> impl Iterator<Item = ChatLine> {
        self.in_flight.into_iter().flatten().chain(self.chat)
    }

    /// Takes out the waiting chat lines for which `gone` holds: their channel was left.
    pub fn withdraw(&mut self, gone: impl Fn(&Saying) -> bool) -> Vec<ChatLine> {
        let leaves = |chat: &ChatLine| chat.of.as_ref().is_some_and(|part| gone(&part.saying));
        let (out, stay) = std::mem::take(&mut self.chat).into_iter().partition(leaves);
        self.chat = stay;
        Vec::from_iter::<VecDeque<ChatLine>>(out)
    }
}

/// What may go next.
enum Next {
    Line(String),
    Chat(ChatLine),
    Wait(Time),
    Nothing,
}
