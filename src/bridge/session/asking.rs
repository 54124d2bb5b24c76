//! Asking: a session's lines whose answers are wanted, and the commands that somebody outside gives.

use super::Session;
use super::ask::Asks;
use super::labels::Offer;
use super::question::{Answered, Asker, Command, Deed};
use super::send::Full;
use crate::bridge::effect::{Effect, Refusal, Verdict};
use crate::ids::{ChannelName, Nick};
use crate::text::line::Line;

/// Commands of somebody outside that wait for their answer on one connection, at most. Full: refused.
const COMMANDS_MAX: usize = 8;

impl Session {
    /// Queues a line whose answer is wanted. Where no room is left it is not sent, and whoever waits for it asks
    /// again when that wait ends.
    pub(super) fn ask(&mut self, line: String, asker: Asker, out: &mut Vec<Effect>) {
        let _ = self.queue.push_command(line, Some(asker));
        self.pump(out);
    }

    /// Queues a line whose answer is known for what it is.
    pub(super) fn say_unasked(&mut self, line: String, out: &mut Vec<Effect>) {
        let _ = self.queue.push_command(line, None);
        self.pump(out);
    }

    /// Sends a line whose whole answer is wanted; `Err` gives it back: too many wait, or the connection is over.
    pub fn send_command(
        &mut self,
        command: Command,
        line: String,
        out: &mut Vec<Effect>,
    ) -> Result<(), Box<Command>> {
        if self.asks.are_over() || self.asks.commands() + self.queue.commands() >= COMMANDS_MAX {
            return Err(Box::new(command));
        }
        let queued = self.queue.push_command(line, Some(Asker::Command(Box::new(command))));
        self.pump(out);
        match queued {
            Err(Some(Asker::Command(command))) => Err(command),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Asks for a new nick; the answer is a `Renamed`, or one to [`Asker::Nick`].
    pub fn ask_nick(&mut self, nick: Nick, out: &mut Vec<Effect>) {
        self.command("NICK", &[nick.as_str()], Asker::Nick(nick.clone()), out);
        self.nick_asked = Some(nick);
    }

    /// Asks the server to tell when these nicks, with commas between, come or go (`+`), or no longer (`-`) (IRCv3
    /// "monitor").
    pub fn monitor(&mut self, sign: &str, nicks: &str, out: &mut Vec<Effect>) {
        self.control(Line::new("MONITOR", &[sign, nicks]).build(), out);
    }

    /// Writes to the network's services. What they answer is theirs to say in their own time.
    pub fn write_to(&mut self, services: &str, words: &str, out: &mut Vec<Effect>) {
        self.control(Line::new("PRIVMSG", &[services, words]).build(), out);
    }

    /// Asks who is in the channel.
    pub fn names(&mut self, channel: &ChannelName, out: &mut Vec<Effect>) {
        self.command("NAMES", &[channel.as_str()], Asker::Names(channel.clone()), out);
    }

    /// Asks what the topic is.
    pub fn topic(&mut self, channel: &ChannelName, out: &mut Vec<Effect>) {
        self.command("TOPIC", &[channel.as_str()], Asker::TopicRead(channel.clone()), out);
    }

    /// Sets the topic. `Err` where no room is left to wait.
    pub fn set_topic(
        &mut self,
        channel: &ChannelName,
        text: &str,
        out: &mut Vec<Effect>,
    ) -> Result<(), Full> {
        let line = Line::new("TOPIC", &[channel.as_str(), text]).build();
        let queued = self.queue.push_command(line, Some(Asker::Topic(channel.clone())));
        self.pump(out);
        queued.map_err(|_| Full)
    }

    /// Invites somebody to a channel. `Err` where no room is left to wait.
    pub fn invite(&mut self, nick: &Nick, channel: &ChannelName, out: &mut Vec<Effect>) -> Result<(), Full> {
        let line = Line::new("INVITE", &[nick.as_str(), channel.as_str()]).build();
        let queued = self.queue.push_command(line, Some(Asker::Invite(channel.clone(), nick.clone())));
        self.pump(out);
        queued.map_err(|_| Full)
    }

    /// Asks what the channel's modes are.
    pub fn read_modes(&mut self, channel: &ChannelName, out: &mut Vec<Effect>) {
        self.command("MODE", &[channel.as_str()], Asker::ModesRead(channel.clone()), out);
    }

    /// Does what somebody wants done in a channel. `Err` where no room is left to wait.
    pub fn act(&mut self, deed: Deed, line: String, out: &mut Vec<Effect>) -> Result<(), Full> {
        let queued = self.queue.push_command(line, Some(Asker::Deed(Box::new(deed))));
        self.pump(out);
        queued.map_err(|_| Full)
    }

    /// Sets our own user modes.
    pub fn user_modes(&mut self, modes: &str, out: &mut Vec<Effect>) {
        if let Some(nick) = self.nick.clone() {
            self.command("MODE", &[nick.as_str(), modes], Asker::Modes(nick.clone()), out);
        }
    }

    /// Answers somebody with a NOTICE, which nothing may answer (RFC 2812 section 3.3.2).
    pub fn notice(&mut self, target: &Nick, text: &str, out: &mut Vec<Effect>) {
        self.command("NOTICE", &[target.as_str(), text], Asker::Notice(target.clone()), out);
    }

    /// As [`notice`](Self::notice), before everything else, and also when the connection is about to end.
    pub fn notice_at_once(&mut self, target: &Nick, text: &str, out: &mut Vec<Effect>) {
        self.control(Line::new("NOTICE", &[target.as_str(), text]).build(), out);
    }

    fn command(&mut self, command: &str, params: &[&str], asker: Asker, out: &mut Vec<Effect>) {
        self.ask(Line::new(command, params).build(), asker, out);
    }

    /// Whether the server labels its answers, as far as it has said.
    pub fn set_labels(&mut self, offer: Offer) {
        self.asks.set_labels(offer);
    }

    /// What became known since the last time.
    pub fn take_answers(&mut self) -> Vec<Answered> {
        self.asks.take_answers()
    }

    /// The connection is over: every question gets its answer now.
    pub fn end_asks(&mut self) -> Vec<Answered> {
        self.asks.end();
        let mut answers = self.asks.take_answers();
        for command in self.queue.take_commands() {
            let refusal = Refusal::ours("NOT_SENT", "the connection ended before it could be sent");
            let asker = Asker::Command(Box::new(command));
            answers.push(Answered { asker, verdict: Verdict::Refused(refusal) });
        }
        answers
    }

    /// The server has answered our wish for this nick, and it is not ours.
    pub fn nick_missed(&mut self, nick: &Nick) {
        if self.nick_asked.as_ref() == Some(nick) {
            self.nick_asked = None;
        }
    }

    /// Questions that the server has not finished with.
    pub fn asks(&self) -> &Asks {
        &self.asks
    }
}
