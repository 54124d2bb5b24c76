//! Whether a room may be made for a channel, where its operators are asked first.
//!
//! ```text
//!   an alias is asked for ─▶ NAMES ─┬─ operators of ours ─▶ asked in their room
//!                                   ├─ the first time, where set so ─▶ PRIVMSG @#channel ─ refused ┐
//!                                   └─ else ─▶ NOTICE to three of the others ◀────────────────────┘
//! ```
//!
//! Who asks for an alias is not known to us, and may be anybody: so the operators of one channel hear of it once in an hour, the
//! whole network of three channels a minute, and the alias is not there until one of them has said so. The question is
//! kept over restarts with the other rules, and any operator of the channel can answer at any time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::super::effect::{CommandAnswer, Effect, Verdict};
use super::super::super::operators::answer::Answer;
use super::super::super::operators::command::Who;
use super::super::super::operators::rules::{Asked, Full, Rule};
use super::super::super::policy::{Asks, Consent};
use super::super::super::queries::Who as Known;
use super::super::super::session::Session;
use super::super::super::session::question::{Command, Giver};
use super::super::Network;
use super::super::queries::is_service;
use super::NOTICES_MAX;
use crate::ids::{ChannelName, ConnId, Nick, RoomId, Time};
use crate::text::line::Line;
use crate::text::split::body_lines;

/// How long the operators of a channel have before they may be asked again.
const AGAIN_MS: u64 = 3_600_000;
/// Operators of a channel who are asked.
pub(super) const OPERATORS_MAX: usize = 3;
/// Channels that wait for an answer, at most. Full: the one that has waited longest is waited for no more, and can be asked for
/// again.
const REQUESTS_MAX: usize = 200;
/// Channels whose operators are asked in a minute, at most.
const CHANNELS_MAX: usize = 3;
const MINUTE_MS: u64 = 60_000;
/// `PRIVMSG`, blanks, a colon, and the line's end.
const AROUND_BYTES: usize = "PRIVMSG  :\r\n".len();
/// RPL_NAMREPLY (RFC 2812 section 5.1).
const NAMES: &str = "353";

/// Who is being asked. Everything in it ends with the bot's connection, and is for a few channels.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// When channels were asked, within the last minute.
    lately: VecDeque<Time>,
    /// Channels that were never asked before.
    new: BTreeSet<ChannelName>,
    /// Who is asked where the channel does not let the question in.
    instead: BTreeMap<ChannelName, Instead>,
    /// The same of questions about rooms.
    pub(super) instead_about: BTreeMap<(ChannelName, RoomId), Vec<Nick>>,
}

/// See [`Asking`].
#[derive(Debug)]
struct Instead {
    operators: Vec<Nick>,
    /// Operators who are asked on Matrix.
    ours: usize,
}

impl Asking {
    pub(super) fn may(&mut self, now: Time) -> bool {
        while self.lately.front().is_some_and(|at| now.since_ms(*at) >= MINUTE_MS) {
            self.lately.pop_front();
        }
        let may = self.lately.len() < CHANNELS_MAX;
        if may {
            self.lately.push_back(now);
        }
        may
    }
}

impl Network {
    /// Whether a room may be made for the channel. Where its operators have not said so, they are asked.
    pub(in super::super) fn has_consent(&mut self, channel: &ChannelName) -> bool {
        let has = match self.policy.operators.consent {
            Consent::Open => true,
            Consent::ByConsent => {
                let is_allowed = self.operators.rules.get(channel, &Asked::Allowed).is_some();
                is_allowed || self.portals.own_room(channel).is_some()
            }
        };
        if !has {
            self.request(channel);
        }
        has
    }

    fn request(&mut self, channel: &ChannelName) {
        let asked = self.operators.rules.get(channel, &Asked::Requested);
        let is_new = asked.is_none();
        let may = match asked {
            // Somebody has answered that there is to be none.
            Some(rule) if !rule.by.is_empty() => false,
            Some(rule) => self.now.since_ms(rule.since) >= AGAIN_MS,
            None => true,
        };
        let Some(bot) = self.operators.bot.filter(|_| may) else { return };
        let is_ready = self.puppets[bot.0 as usize].session.as_ref().is_some_and(Session::is_ready);
        if !is_ready || !self.operators.asking.may(self.now) {
            return;
        }
        let line = Line::new("NAMES", &[channel.as_str()]);
        let command = Command::new(Giver::Operators(channel.clone()), &line);
        let sent = self.with_session(bot, |session, out| session.send_command(command, line.build(), out));
        if sent.is_some_and(|sent| sent.is_ok()) {
            let (by, reason, since) = (String::new(), None, self.now);
            let rule = Rule { channel: channel.to_string(), asked: Asked::Requested, by, reason, since };
            if is_new {
                self.make_way_for_a_request();
            }
            // Where no more channels have rules it may be asked again sooner.
            let _ = self.keep(channel, rule);
            if is_new {
                self.operators.asking.new.insert(channel.clone());
            }
        }
    }

    /// Nobody has to answer: what was asked of some operators long ago keeps no others from being asked.
    fn make_way_for_a_request(&mut self) {
        while self.operators.rules.requested() >= REQUESTS_MAX {
            let Some(oldest) = self.operators.rules.oldest_request() else { return };
            self.forget_rule(&oldest, &Asked::Requested);
        }
    }

    /// The server has said who is in a channel that somebody wants to be bridged.
    pub(in super::super) fn operators_heard(
        &mut self,
        conn: ConnId,
        channel: &ChannelName,
        answer: &CommandAnswer,
    ) {
        let (ours, mut operators) = self.operators_in(channel, answer);
        operators.truncate(OPERATORS_MAX);
        let wish = format!(
            "people of Matrix want a room for {channel} that anybody may join, each with an IRC user of their own there"
        );
        let ours =
            self.ask_here(channel, &ours, &wish, &format!("\"allow {channel}\" or \"deny {channel}\""));
        let instead = Instead { operators, ours };
        let is_new = self.operators.asking.new.remove(channel);
        if is_new
            && self.policy.operators.asks == Asks::InChannel
            && self.ask_there(conn, channel, &self.consent_question(channel), &Giver::Asked(channel.clone()))
        {
            self.operators.asking.instead.insert(channel.clone(), instead);
        } else {
            self.ask_alone(conn, channel, instead);
        }
    }

    /// Those of an answer to NAMES who may say whether the bridge may come: ours, and the others.
    pub(in super::super) fn operators_in(
        &self,
        channel: &ChannelName,
        answer: &CommandAnswer,
    ) -> (Vec<Nick>, Vec<Nick>) {
        let map = self.map();
        let of_it = |line: &&Line| line.command == NAMES && map.eq(line.param(2), channel.as_str());
        let entries = answer.lines.iter().filter(of_it).flat_map(|line| line.param(3).split(' '));
        let prefixes = &self.isupport.prefixes;
        let operator = |entry: &str| {
            let (modes, nick) = prefixes.split(entry);
            let nick = Nick::new(nick.split('!').next().unwrap_or_default(), map)?;
            let is_person = !is_service(&nick, &Known::default());
            (is_person && Who::Operators.has(&modes, prefixes)).then_some(nick)
        };
        entries.filter_map(operator).partition(|nick| self.nicks.is_ours(nick))
    }

    /// Asks in the channel itself: its operators alone, where the network has that. By PRIVMSG: servers do not say that a
    /// NOTICE was not let in (RFC 2812 section 3.3.2).
    pub(super) fn ask_there(
        &mut self,
        conn: ConnId,
        channel: &ChannelName,
        question: &Answer,
        giver: &Giver,
    ) -> bool {
        let Some(session) = self.puppet_of(conn).and_then(|puppet| puppet.session.as_ref()) else {
            return false;
        };
        let bot = session.nick().map(Nick::as_str).unwrap_or_default().to_owned();
        let target =
            self.isupport.target_of_rank('o', channel.as_str()).unwrap_or_else(|| channel.to_string());
        let limits = self.limits(conn.puppet);
        let bytes_max =
            limits.line_bytes_max.saturating_sub(limits.source_bytes + target.len() + AROUND_BYTES);
        let text = question.lines(&bot).join("\n");
        let mut is_sent = false;
        for text in body_lines(&text, bytes_max, NOTICES_MAX).lines {
            let line = Line::new("PRIVMSG", &[&target, &text]);
            let command = Command::new(giver.clone(), &line);
            let sent = self
                .with_session(conn.puppet, |session, out| session.send_command(command, line.build(), out));
            is_sent |= sent.is_some_and(|sent| sent.is_ok());
        }
        is_sent
    }

    /// The channel has let the question in, or not.
    pub(in super::super) fn question_heard(
        &mut self,
        conn: ConnId,
        channel: &ChannelName,
        verdict: &Verdict,
    ) {
        // The first line of it tells.
        let Some(instead) = self.operators.asking.instead.remove(channel) else { return };
        match verdict {
            Verdict::Refused(_) => self.ask_alone(conn, channel, instead),
            Verdict::Accepted | Verdict::Doubtful(_) | Verdict::Unknown => {}
        }
    }

    fn ask_alone(&mut self, conn: ConnId, channel: &ChannelName, instead: Instead) {
        let Instead { operators, ours } = instead;
        if operators.is_empty() && ours == 0 {
            // Nobody was asked: the next who wants it may find somebody there.
            return self.forget_rule(channel, &Asked::Requested);
        }
        let question = self.consent_question(channel);
        for nick in operators {
            self.notify(conn, &nick, &question);
        }
    }

    /// The bot's connection ended before anybody was asked for sure.
    pub(in super::super) fn not_asked(&mut self, channel: &ChannelName) {
        self.operators.asking.new.remove(channel);
        self.operators.asking.instead.remove(channel);
        self.forget_rule(channel, &Asked::Requested);
    }

    fn consent_question(&self, channel: &ChannelName) -> Answer {
        Answer::Asked { channel: channel.to_string(), server: self.policy.server_name.clone() }
    }

    /// Keeps a rule that no room is told of.
    pub(super) fn keep(&mut self, channel: &ChannelName, rule: Rule) -> Result<(), Full> {
        self.operators.rules.set(channel, rule.clone())?;
        self.out.push(Effect::SaveRule(rule));
        Ok(())
    }

    /// Forgets a rule that no room was told of.
    pub(in super::super) fn forget_rule(&mut self, channel: &ChannelName, asked: &Asked) {
        if let Some(rule) = self.operators.rules.lift(channel, asked) {
            let Rule { channel, asked, .. } = rule;
            self.out.push(Effect::DropRule { channel, asked });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_aliases_ask_three_channels_a_minute() {
        let mut asking = Asking::default();
        let asked = (0..120_000u64).step_by(100).filter(|ms| asking.may(Time(*ms)));
        assert_eq!(asked.count(), 2 * CHANNELS_MAX);
    }
}
