//! Lines that people let their puppets say: with a connection that is made for it where there is none, and with all that
//! the server says to it.
//!
//! What would break the bridge's own work is refused, with what to do instead.

use super::super::super::effect::{CommandAnswer, Refusal, Verdict};
use super::super::super::errand::Report;
use super::super::super::input::AskId;
use super::super::super::policy::Shown;
use super::super::super::session::question::{Command, Giver};
use super::super::Network;
use super::waiting::{Needs, Stage};
use super::{NOT_ALLOWED, TOO_MANY};
use crate::ids::{ChannelName, ConnId, Nick, PuppetId, UserId};
use crate::text::line::Line;

impl Network {
    pub(super) fn line_asked(&mut self, ask: AskId, user: &UserId, text: &str) -> Result<(), Refusal> {
        let line = self.sayable(text)?;
        self.may_say(user, &line)?;
        self.may_reach(user, &line)?;
        let id = self.ensure_puppet(user, None);
        self.wait_for(ask, id, Needs::Connection, Stage::Line(line))
    }

    /// The line as it may be sent, or why not.
    fn sayable(&self, text: &str) -> Result<Line, Refusal> {
        let line = Line::parse(text).map(|line| Line { tags: Vec::new(), source: None, ..line });
        // As it will be on the wire: building leaves out of a command what hides it from the list below.
        let Some(line) = line.and_then(|line| Line::parse(&line.build())) else {
            return Err(Refusal::ours("EMPTY", "there is no command in it"));
        };
        let words = match line.command.as_str() {
            "QUIT" => "use the command quit: then the bridge does not connect again by itself",
            "NICK" => "use the command nick: then the nick is kept",
            "JOIN" => "use the command join: then you come into the channel's room as well",
            "PART" => "use the command part: then you leave the channel's room as well",
            "CAP" | "AUTHENTICATE" | "PASS" | "USER" | "WEBIRC" | "STARTTLS" | "PING" | "PONG" => {
                "the bridge says this itself, at the right time"
            }
            // CR and LF end a line.
            _ if line.build().len() + 2 > self.isupport.line_bytes_max => "it is too long for one IRC line",
            _ => return Ok(line),
        };
        Err(Refusal::ours(NOT_ALLOWED, words))
    }

    /// What operators of a channel have forbidden somebody in its room they have forbidden by a command, too.
    fn may_say(&self, user: &UserId, line: &Line) -> Result<(), Refusal> {
        let refuse = |words: &str| Err(Refusal::ours(NOT_ALLOWED, words));
        let speaks = speaks(line);
        let acts = ["KICK", "MODE", "TOPIC", "INVITE"].contains(&line.command.as_str());
        if !(speaks || acts) || line.params.len() < 2 {
            return Ok(());
        }
        for word in line.params.iter().take(2).flat_map(|param| param.split(',')) {
            let name = word.trim_start_matches(|sign| !self.isupport.channel_signs.contains(sign));
            let channel = ChannelName::new(name, self.map()).filter(|_| self.isupport.is_channel(name));
            let Some(channel) = channel else { continue };
            if let Some(why) = self.silenced(user, &channel.clone().into()) {
                return refuse(&why);
            }
            if speaks && self.is_limited(&channel) {
                return refuse("its operators count what is said there: write in its room");
            }
        }
        let is_shut = self.policy.queries.from_matrix == Shown::Off;
        if speaks && is_shut && !self.isupport.is_channel(line.param(0)) {
            return refuse("private messages from Matrix are switched off here");
        }
        Ok(())
    }

    /// A line to strangers begins as many private chats as it has targets.
    fn may_reach(&mut self, user: &UserId, line: &Line) -> Result<(), Refusal> {
        if !speaks(line) {
            return Ok(());
        }
        for word in line.param(0).split(',') {
            let name = word.trim_start_matches(|sign| !self.isupport.channel_signs.contains(sign));
            // Who is named with more than their nick is named all the same.
            let nick = Nick::new(word.split(['!', '@']).next().unwrap_or_default(), self.map());
            let is_known = nick.is_some_and(|nick| self.queries.get(&(user.clone(), nick)).is_some());
            if is_known || self.isupport.is_channel(name) {
                continue;
            }
            self.may_write_first(user).map_err(|why| Refusal::ours(NOT_ALLOWED, &why))?;
        }
        Ok(())
    }

    /// Says the line, where the connection may be used.
    pub(super) fn say_line(&mut self, ask: AskId, id: PuppetId, line: &Line) {
        let Some(conn) = self.ready_conn(id) else { return };
        self.errands.turn(ask, Stage::Asked(conn));
        self.give_line(ask, id, line);
    }

    /// The connection of a puppet, if it may be used.
    pub(super) fn ready_conn(&self, id: PuppetId) -> Option<ConnId> {
        let session = self.puppets[id.0 as usize].session.as_ref();
        session.filter(|session| session.is_ready()).map(|session| session.conn)
    }

    /// Gives a line to a connection; its answer comes to [`line_reported`](Self::line_reported).
    pub(super) fn give_line(&mut self, ask: AskId, id: PuppetId, line: &Line) {
        let command = Command::new(Giver::Outside(ask), line);
        let sent = self.with_session(id, |session, out| {
            let sent = session.send_command(command, line.build(), out);
            (session.conn, sent)
        });
        if let Some((conn, sent)) = sent {
            self.take_answers(conn);
            if sent.is_err() {
                let words = "too many commands wait for their answers: try again in a moment";
                self.refuse_errand(ask, Refusal::ours(TOO_MANY, words));
            }
        }
    }

    /// What became of a line that was said for an errand.
    pub(in super::super) fn line_reported(&mut self, ask: AskId, answer: CommandAnswer) {
        match self.errands.stage(ask).cloned() {
            Some(Stage::Written(pair, _)) => match answer.verdict {
                Verdict::Accepted => self.talk(ask, pair),
                Verdict::Refused(refusal) | Verdict::Doubtful(refusal) => {
                    let refusal = self.in_words(refusal);
                    self.refuse_errand(ask, refusal);
                }
                Verdict::Unknown => self.end_errand(ask, Report::Unknown),
            },
            Some(_) => self.end_errand(ask, Report::Line(answer)),
            // It took too long, and that was reported.
            None => {}
        }
    }

    /// A refusal with its meaning and the next step in place of the server's words. Our own are so already.
    pub(super) fn in_words(&self, refusal: Refusal) -> Refusal {
        if refusal.params.is_empty() {
            return refusal;
        }
        Refusal { words: self.explained(&refusal), ..refusal }
    }
}

/// True for what somebody reads as said to them.
fn speaks(line: &Line) -> bool {
    ["PRIVMSG", "NOTICE", "TAGMSG", "CPRIVMSG", "CNOTICE"].contains(&line.command.as_str())
}
