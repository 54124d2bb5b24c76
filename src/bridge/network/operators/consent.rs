//! Whether a room may be made for a channel, where its operators are asked first.
//!
//! Who asks for an alias is not known to us, and may be anybody: so the operators of one channel hear of it once in an hour, the
//! whole network of three channels a minute, and the alias is not there until one of them has said so. The question is
//! kept over restarts with the other rules, and any operator of the channel can answer at any time.

use std::collections::VecDeque;

use super::super::super::effect::{CommandAnswer, Effect};
use super::super::super::operators::answer::Answer;
use super::super::super::operators::command::Who;
use super::super::super::operators::rules::{Asked, Full, Rule};
use super::super::super::policy::Consent;
use super::super::super::queries::Who as Known;
use super::super::super::session::Session;
use super::super::super::session::question::{Command, Giver};
use super::super::Network;
use super::super::queries::is_service;
use crate::ids::{ChannelName, ConnId, Nick, Time};
use crate::text::line::Line;

/// How long the operators of a channel have before they may be asked again.
const AGAIN_MS: u64 = 3_600_000;
/// Operators of a channel who are asked.
const OPERATORS_MAX: usize = 3;
/// Channels that wait for an answer, at most. Full: others are not asked.
const REQUESTS_MAX: usize = 200;
/// Channels whose operators are asked in a minute, at most.
const CHANNELS_MAX: usize = 3;
const MINUTE_MS: u64 = 60_000;
/// RPL_NAMREPLY (RFC 2812 section 5.1).
const NAMES: &str = "353";

/// When channels were asked, within the last minute.
#[derive(Debug, Default)]
pub(super) struct Asking(VecDeque<Time>);

impl Asking {
    fn may(&mut self, now: Time) -> bool {
        while self.0.front().is_some_and(|at| now.since_ms(*at) >= MINUTE_MS) {
            self.0.pop_front();
        }
        let may = self.0.len() < CHANNELS_MAX;
        if may {
            self.0.push_back(now);
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
        let asked = self.operators.rules.get(channel, &Asked::Requested).map(|rule| rule.since);
        let may = match asked {
            Some(since) => self.now.since_ms(since) >= AGAIN_MS,
            None => self.operators.rules.requested() < REQUESTS_MAX,
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
            // Where no more channels have rules it may be asked again sooner.
            let _ = self.keep(channel, rule);
        }
    }

    /// The server has said who is in a channel that somebody wants to be bridged.
    pub(in super::super) fn operators_heard(
        &mut self,
        conn: ConnId,
        channel: &ChannelName,
        answer: &CommandAnswer,
    ) {
        let map = self.map();
        let of_it = |line: &&Line| line.command == NAMES && map.eq(line.param(2), channel.as_str());
        let entries = answer.lines.iter().filter(of_it).flat_map(|line| line.param(3).split(' '));
        let prefixes = &self.isupport.prefixes;
        let operator = |entry: &str| {
            let (modes, nick) = prefixes.split(entry);
            let nick = Nick::new(nick.split('!').next().unwrap_or_default(), map)?;
            let is_person = !self.nicks.is_ours(&nick) && !is_service(&nick, &Known::default());
            (is_person && Who::Operators.has(&modes, prefixes)).then_some(nick)
        };
        let operators: Vec<Nick> = entries.filter_map(operator).take(OPERATORS_MAX).collect();
        if operators.is_empty() {
            // Nobody was asked: the next who wants it may find somebody there.
            self.forget_rule(channel, &Asked::Requested);
        }
        let server = self.policy.server_name.clone();
        let question = Answer::Asked { channel: channel.to_string(), server };
        for nick in operators {
            self.notify(conn, &nick, &question);
        }
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
