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
use crate::ids::{ChannelName, ConnId, Time};

/// Lines given to the socket and not yet taken by the kernel, at most.
pub const WINDOW_LINES: usize = 64;
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
    pub of: Option<Arc<Saying>>,
    /// The channel that this line, a PART, leaves.
    pub leaves: Option<ChannelName>,
    pub place: Place,
}

/// Whether more lines of the same message follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Inner,
    Last,
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

    /// Gives the socket what may go now. Returns when the bucket opens again, where something waits for it.
    pub fn pump(&mut self, conn: ConnId, out: &mut Vec<Effect>) -> Option<Time> {
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
        if let Some(line) = self.control.pop_front() {
            return Next::Line(line);
        }
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

    /// The kernel took `lines` more: returns the messages whose last line is among them.
    pub fn written(&mut self, lines: u32) -> Vec<Arc<Saying>> {
        let taken = (lines as usize).min(self.in_flight.len());
        let ended = |chat: ChatLine| if chat.place == Place::Last { chat.of } else { None };
        self.in_flight.drain(..taken).flatten().filter_map(ended).collect()
    }

    /// Takes out every chat line the kernel has not taken, in order: the connection is over.
    pub fn into_unsent(self) -> impl Iterator<Item = ChatLine> {
        self.in_flight.into_iter().flatten().chain(self.chat)
    }

    /// True while a PART of this channel waits.
    pub fn is_leaving(&self, channel: &ChannelName) -> bool {
        self.chat.iter().any(|chat| chat.leaves.as_ref() == Some(channel))
    }

    /// Takes out the waiting chat lines for which `gone` holds: their channel was left.
    pub fn withdraw(&mut self, gone: impl Fn(&Saying) -> bool) -> Vec<ChatLine> {
        let leaves = |chat: &ChatLine| chat.of.as_ref().is_some_and(|saying| gone(saying));
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
