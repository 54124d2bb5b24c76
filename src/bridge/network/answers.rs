//! What became of what was asked of a server: of lines, joins, nicks, and of the commands that people let their puppets give.

use std::sync::Arc;

use super::super::effect::{Refusal, Verdict};
use super::super::session::Session;
use super::super::session::places::Standing;
use super::super::session::question::{Answered, Asker, Command, Giver};
use super::super::session::send::Part;
use super::Network;
use super::reasons::Unexplained;
use crate::ids::{ChannelName, ConnId, Nick};
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
        let named = if let Asker::Nick(nick) = &asker { Some((nick.clone(), verdict.clone())) } else { None };
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
        if let Some((nick, verdict)) = named {
            self.naming_answered(conn, &nick, verdict);
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
            Giver::Asked(channel) => self.question_heard(conn, &channel, &answer.verdict),
            Giver::Bans(channel) => self.bans_heard(conn, &channel, &answer),
            Giver::Plumb(ask) => self.names_for_errand(ask, &answer),
            Giver::AskedAbout(channel, room) => {
                self.room_question_heard(conn, &channel, &room, &answer.verdict)
            }
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
                        Giver::Outside(ask) => self.line_reported(ask, answer),
                        Giver::Reason(channel) => self.reason_heard(conn, channel, answer.lines),
                        // With all else that this connection was to do, below.
                        Giver::Deed(_) => {}
                        Giver::Rank(number) => self.rank_unheard(conn, number),
                        Giver::Operators(channel) | Giver::Asked(channel) => self.not_asked(&channel),
                        Giver::Bans(channel) => self.bans_unheard(&channel),
                        Giver::Plumb(ask) => self.names_for_errand(ask, &answer),
                        Giver::AskedAbout(channel, room) => self.room_not_asked(&channel, &room),
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
