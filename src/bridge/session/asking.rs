//! Asking: a session's lines whose answers are wanted, and the commands that somebody outside gives.

use super::Session;
use super::ask::Asks;
use super::labels::Offer;
use super::question::{Answered, Asker, Command};
use crate::bridge::effect::{Effect, Refusal, Verdict};
use crate::ids::Nick;

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
