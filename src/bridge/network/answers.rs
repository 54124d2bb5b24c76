//! What became of what was asked of a server, and the commands that people outside give their puppets.

use std::sync::Arc;

use super::super::effect::{Asked, CommandAnswer, Extent, Refusal, Verdict};
use super::super::errand::Report;
use super::super::input::AskId;
use super::super::session::Session;
use super::super::session::places::Standing;
use super::super::session::question::{Answered, Asker, Command, Giver};
use super::super::session::send::Part;
use super::Network;
use super::reasons::Unexplained;
use crate::ids::{ChannelName, ConnId, Nick, PuppetId, UserId};
use crate::text::line::Line;
use crate::text::numerics::{self, Trouble};

/// RPL_TRYAGAIN: the server is too busy to work on a command (RFC 2812 section 5.1).
const TRY_AGAIN: &str = "263";
/// Numerics with which a PART is refused because we are not in the channel, or there is none.
const NOT_THERE: [&str; 2] = ["403", "442"];

/// True for a refusal that is over by itself: the server is busy, or joins come too fast for it.
pub(super) fn is_passing(refusal: &Refusal) -> bool {
    let trouble = numerics::trouble(&refusal.code, &refusal.params);
    refusal.code == TRY_AGAIN || trouble == Some(Trouble::TooFast)
}

/// True for a refusal that is only about formatting codes.
fn is_for_codes(refusal: &Refusal) -> bool {
    numerics::trouble(&refusal.code, &refusal.params) == Some(Trouble::NoFormatting)
}

impl Network {
    /// Somebody lets their puppet say one line; the answer is an effect, now or later.
    pub(super) fn command(&mut self, ask: AskId, user: &UserId, text: &str) {
        let id = self.puppet_ids.get(user).copied();
        let ready =
            id.filter(|id| self.puppets[id.0 as usize].session.as_ref().is_some_and(Session::is_ready));
        let sent = match (ready, self.commandable(text)) {
            (_, Err(refusal)) => Err(refusal),
            (None, Ok(_)) => {
                let words = format!("{user} has no connection to {}", self.policy.network_name);
                Err(Refusal::ours("NOT_CONNECTED", &words))
            }
            (Some(id), Ok(line)) => self.send_command(id, ask, &line),
        };
        if let Err(refusal) = sent {
            let (lines, extent) = (Vec::new(), Extent::Whole);
            let answer = CommandAnswer { verdict: Verdict::Refused(refusal), lines, extent };
            self.reported(ask, Report::Line(answer));
        }
    }

    /// The line as it may be sent, or why not.
    fn commandable(&self, text: &str) -> Result<Line, Refusal> {
        let line = Line::parse(text).map(|line| Line { tags: Vec::new(), source: None, ..line });
        // As it will be on the wire: building leaves out of a command what hides it from the list below.
        let Some(line) = line.and_then(|line| Line::parse(&line.build())) else {
            return Err(Refusal::ours("EMPTY", "there is no command in it"));
        };
        let words = match line.command.as_str() {
            "QUIT" => "the bridge keeps the connection; leave the bridged rooms to end it",
            "NICK" => "the nick follows the display name; change that",
            "CAP" | "AUTHENTICATE" | "PASS" | "USER" | "WEBIRC" | "STARTTLS" | "PING" | "PONG" => {
                "the bridge says this itself, at the right time"
            }
            // CR and LF end a line.
            _ if line.build().len() + 2 > self.isupport.line_bytes_max => "it is too long for one IRC line",
            _ => return Ok(line),
        };
        Err(Refusal::ours("NOT_ALLOWED", words))
    }

    fn send_command(&mut self, id: PuppetId, ask: AskId, line: &Line) -> Result<(), Refusal> {
        let command = Command::new(Giver::Outside(ask), line);
        let sent = self.with_session(id, |session, out| {
            let sent = session.send_command(command, line.build(), out);
            (session.conn, sent)
        });
        if let Some((conn, sent)) = sent {
            self.take_answers(conn);
            if sent.is_err() {
                return Err(Refusal::ours("TOO_MANY", "too many commands wait for their answers"));
            }
        }
        Ok(())
    }

    /// Acts on what became known on a connection.
    pub(super) fn take_answers(&mut self, conn: ConnId) {
        let Some(puppet) = self.puppet_of(conn) else { return };
        let answers = puppet.session.as_mut().map(Session::take_answers).unwrap_or_default();
        for answered in answers {
            self.answered(conn, answered);
        }
    }

    fn answered(&mut self, conn: ConnId, Answered { asker, verdict }: Answered) {
        self.counts.answered(&verdict);
        match (asker, verdict) {
            (Asker::Command(command), verdict) => self.command_answered(conn, *command, verdict),
            (Asker::Line(part), verdict) => {
                if let Some(refused) = self.line_answered(conn, &part, verdict) {
                    self.tell_refusal(conn, refused);
                }
            }
            (Asker::Join(channels), Verdict::Refused(refusal)) if !is_passing(&refusal) => {
                for channel in channels {
                    self.join_refused(conn, &channel, &refusal);
                }
            }
            (Asker::Part(channel), Verdict::Refused(refusal)) => {
                self.part_refused(conn, &channel, &refusal.code)
            }
            (Asker::Nick(nick), Verdict::Refused(refusal)) => {
                if numerics::trouble(&refusal.code, &refusal.params) == Some(Trouble::NickIllegal) {
                    self.nick_is_illegal(Some(&nick));
                }
                self.nick_answered(conn, &nick);
            }
            (Asker::Nick(nick), Verdict::Accepted) => self.nick_answered(conn, &nick),
            // What was not answered, or not with what it asks for, is late after a while and asked again.
            (
                Asker::Join(_) | Asker::Part(_) | Asker::Nick(_),
                Verdict::Accepted | Verdict::Refused(_) | Verdict::Doubtful(_) | Verdict::Unknown,
            ) => {}
            (Asker::Topic(channel), verdict) => self.topic_answered(conn, &channel, verdict),
            (Asker::Invite(channel, nick), verdict) => self.invite_answered(conn, &channel, &nick, verdict),
            (Asker::Deed(deed), verdict) => self.deed_answered(deed.number, verdict),
            (
                Asker::Notice(_)
                | Asker::Names(_)
                | Asker::TopicRead(_)
                | Asker::ModesRead(_)
                | Asker::Modes(_)
                | Asker::Listing(_),
                _,
            ) => {}
        }
    }

    /// The server has answered for a line of a message, or will not. Returns what its sender is to be told, with the
    /// reason.
    fn line_answered(&mut self, conn: ConnId, part: &Part, verdict: Verdict) -> Option<Unexplained> {
        let answered = self.with_session(conn.puppet, |session, _| session.line_answered(part));
        let (seq, saying) = (part.saying.seq, Arc::clone(&part.saying));
        match verdict {
            Verdict::Accepted if answered == Some(true) => self.line_arrived(part),
            Verdict::Accepted => {}
            Verdict::Refused(refusal) => {
                if is_for_codes(&refusal) && self.say_plain(part) {
                    return None;
                }
                if self.ends_by_line(part) {
                    self.ends(seq);
                    return Some(Unexplained::Refused(saying, refusal));
                }
            }
            Verdict::Doubtful(refusal) => {
                if self.ends_by_line(part) {
                    self.ends(seq);
                    return Some(Unexplained::Doubtful(saying, refusal));
                }
            }
            Verdict::Unknown => {
                if self.ends_by_line(part) {
                    self.perhaps_lost(&saying, "the server does not answer");
                }
            }
        }
        None
    }

    /// What a refusal means and what can be done, without the last full stop.
    pub(super) fn explained(&self, refusal: &Refusal) -> String {
        let sentence = numerics::sentence(&refusal.code, &refusal.params, &self.policy.network_name);
        let sentence = sentence.trim_end_matches('.');
        match self.onward(refusal) {
            Some(onward) => format!("{sentence}. {onward}"),
            None => sentence.to_owned(),
        }
    }

    fn command_answered(&mut self, conn: ConnId, command: Command, verdict: Verdict) {
        let giver = command.giver.clone();
        let answer = command.into_answer(verdict);
        match giver {
            Giver::Outside(ask) => self.tell_refusal(conn, Unexplained::Command(ask, answer)),
            Giver::Reason(channel) => self.reason_heard(conn, channel, answer.lines),
            Giver::Deed(number) => self.host_heard(number, &answer.lines),
            Giver::Rank(number) => self.rank_heard(conn, number, &answer),
            Giver::Operators(channel) => self.operators_heard(conn, &channel, &answer),
        }
    }

    fn part_refused(&mut self, conn: ConnId, channel: &ChannelName, code: &str) {
        let is_leaving = matches!(self.standing(conn.puppet, channel), Some(Standing::Leaving(..)));
        if is_leaving && NOT_THERE.contains(&code) {
            self.left_ourselves(conn, channel);
        }
    }

    /// The server has worked on our wish for a nick. Where it was granted, its echo came first.
    fn nick_answered(&mut self, conn: ConnId, nick: &Nick) {
        if self.is_me(conn, nick) {
            return;
        }
        self.with_session(conn.puppet, |session, _| session.nick_missed(nick));
        self.note_nicks(conn.puppet);
        self.disown(conn, nick);
    }

    /// A connection ends: nobody waits for an answer any more, and nothing can be asked here. What became of
    /// messages may be known in other ways.
    pub(super) fn end_asks(&mut self, conn: ConnId) {
        let session = self.puppet(conn.puppet).session.as_mut();
        for Answered { asker, verdict } in session.map(Session::end_asks).unwrap_or_default() {
            match asker {
                Asker::Command(command) => {
                    let giver = command.giver.clone();
                    let answer = command.into_answer(verdict);
                    match giver {
                        Giver::Outside(ask) => self.reported(ask, Report::Line(answer)),
                        Giver::Reason(channel) => self.reason_heard(conn, channel, answer.lines),
                        // With all else that this connection was to do, below.
                        Giver::Deed(_) => {}
                        Giver::Rank(number) => self.rank_unheard(conn, number),
                        Giver::Operators(channel) => self.forget_rule(&channel, &Asked::Requested),
                    }
                }
                Asker::Line(part) if verdict != Verdict::Unknown => {
                    if let Some(refused) = self.line_answered(conn, &part, verdict) {
                        self.tell_as_it_came(refused);
                    }
                }
                Asker::Topic(channel) => self.topic_answered(conn, &channel, verdict),
                Asker::Invite(channel, nick) => self.invite_answered(conn, &channel, &nick, verdict),
                Asker::Line(_)
                | Asker::Notice(_)
                | Asker::Join(_)
                | Asker::Listing(_)
                | Asker::Part(_)
                | Asker::Nick(_)
                | Asker::Names(_)
                | Asker::TopicRead(_)
                | Asker::ModesRead(_)
                | Asker::Modes(_) => {}
                Asker::Deed(deed) => self.deed_answered(deed.number, verdict),
            }
        }
        self.topics_unanswered(conn);
        self.invites_unanswered(conn);
        self.deeds_unanswered(conn);
    }
}
