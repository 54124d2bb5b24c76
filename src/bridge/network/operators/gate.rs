//! What operators' rules do to messages on their way out: who is muted is told so, and what is over a limit waits with its
//! puppet for its turn, in the order in which it came.
//!
//! Nothing here keeps a message: it waits where messages wait, so it can be edited, taken back and become too old there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::super::super::effect::Outcome;
use super::super::super::operators::answer::counted;
use super::super::super::operators::rules::{Asked, Rule};
use super::super::super::relay::to_irc::Saying;
use super::super::super::relay::to_irc::compose::compose;
use super::super::super::timer::Timer;
use super::super::Network;
use crate::ids::{ChannelName, InboxSeq, PuppetId, Target, Time, UserId};
use crate::text::casemap::CaseMap;

/// What a limit counts in.
const MINUTE_MS: u64 = 60_000;
/// How long a message waits for its turn: the minute that is full, and the next.
const WAIT_MS_MAX: u64 = 2 * MINUTE_MS;

/// What was said in channels that have a limit.
#[derive(Debug, Default)]
pub(super) struct Limits {
    channels: BTreeMap<ChannelName, Limited>,
    /// A message whose turn it is: it has been counted.
    passes: Option<InboxSeq>,
}

#[derive(Debug, Default)]
struct Limited {
    /// Lines of the last minute; no more than the limit, but for one message that is longer than that.
    said: VecDeque<(Time, usize)>,
    /// Messages that wait: no more than wait with puppets.
    waiting: BTreeMap<InboxSeq, Turn>,
}

/// A message that waits for its turn.
#[derive(Clone, Copy, Debug)]
struct Turn {
    by: PuppetId,
    lines: usize,
    since: Time,
}

impl Limits {
    pub(super) fn refold(&mut self, map: CaseMap) {
        let limits = std::mem::take(&mut self.channels).into_iter();
        self.channels = limits.map(|(channel, limited)| (channel.refolded(map), limited)).collect();
    }
}

impl Limited {
    /// Whether so many lines more fit into this minute; then they count. What is longer than a minute's lines goes when
    /// nothing else was said.
    fn takes(&mut self, now: Time, lines: usize, max: usize) -> bool {
        while self.said.front().is_some_and(|(at, _)| now.since_ms(*at) >= MINUTE_MS) {
            self.said.pop_front();
        }
        let count: usize = self.said.iter().map(|(_, lines)| lines).sum();
        let fits = count == 0 || count + lines <= max;
        if fits {
            self.said.push_back((now, lines));
        }
        fits
    }

    /// When something waiting may go, or has waited for too long.
    fn next(&self) -> Option<Time> {
        let (_, turn) = self.waiting.first_key_value()?;
        let free = self.said.front().map(|(at, _)| at.plus_ms(MINUTE_MS));
        free.into_iter().chain([turn.since.plus_ms(WAIT_MS_MAX)]).min()
    }
}

impl Network {
    /// Why nothing of this person is said in the channel, where an operator wants it so.
    pub(in super::super) fn silenced(&self, user: &UserId, target: &Target) -> Option<String> {
        self.operators.rules.silences(target.channel()?, user).and_then(Rule::why_silent)
    }

    /// What is not said because of a rule fails, and its sender is told. Of what people of other networks say in a room whose
    /// channel has sent the bridge away, the room was told then, once for all of it.
    pub(in super::super) fn fail_silenced(&mut self, saying: &Saying, why: &str) {
        let is_dismissed = saying.target.channel().is_some_and(|channel| self.is_dismissed(channel));
        if is_dismissed && self.is_neighbour(&saying.sender) {
            return self.settle(saying.seq, Outcome::Failed(why.to_owned()));
        }
        self.failed(saying, why);
    }

    /// True for a channel whose operators count what is said there.
    pub(in super::super) fn is_limited(&self, channel: &ChannelName) -> bool {
        self.operators.rules.limit(channel).is_some()
    }

    /// True when operators have sent the bridge out of the channel.
    pub(in super::super) fn is_dismissed(&self, channel: &ChannelName) -> bool {
        self.operators.rules.dismissed(channel).is_some()
    }

    /// True for a message that has to wait because enough is said in its channel this minute; it waits then, or has failed.
    pub(in super::super) fn is_over_limit(
        &mut self,
        id: PuppetId,
        saying: &Arc<Saying>,
        lines: usize,
    ) -> bool {
        let Some(channel) = saying.target.channel().cloned() else { return false };
        let Some(max) = self.operators.rules.limit(&channel) else { return false };
        // What is said once more was counted.
        if self.is_under_way(saying.seq) || self.operators.limits.passes == Some(saying.seq) {
            return false;
        }
        let (now, seq) = (self.now, saying.seq);
        let limited = self.operators.limits.channels.entry(channel.clone()).or_default();
        let is_first = limited.waiting.keys().next().is_none_or(|first| *first >= seq);
        if is_first && limited.takes(now, lines, max as usize) {
            limited.waiting.remove(&seq);
            return false;
        }
        if let Err(saying) = self.puppet(id).wait(Arc::clone(saying)) {
            self.failed(&saying, "too many of your messages wait for their turn");
            return true;
        }
        self.arm_expiry(id);
        if let Some(limited) = self.operators.limits.channels.get_mut(&channel) {
            limited.waiting.entry(seq).or_insert(Turn { by: id, lines, since: now });
            let next = limited.next();
            self.timers.arm_if(Timer::Limit(channel), next);
        }
        true
    }

    /// Something that waits in a channel with a limit may go, or has waited for too long.
    pub(in super::super) fn limit_due(&mut self, channel: &ChannelName) {
        let max = self.operators.rules.limit(channel);
        while let Some((seq, turn)) = self.first_turn(channel) {
            // It may have been edited while it waited.
            let (now, lines) = (self.now, self.lines_waiting(turn.by, seq).unwrap_or(turn.lines));
            let Some(limited) = self.operators.limits.channels.get_mut(channel) else { return };
            let goes = max.is_none_or(|max| limited.takes(now, lines, max as usize));
            if !goes && now.since_ms(turn.since) < WAIT_MS_MAX {
                self.timers.arm_if(Timer::Limit(channel.clone()), limited.next());
                break;
            }
            limited.waiting.remove(&seq);
            let Some(message) = self.puppet(turn.by).take_message(seq) else { continue };
            match max.filter(|_| !goes) {
                Some(max) => self.failed(&message.saying, &too_many(channel, max)),
                None => {
                    self.operators.limits.passes = Some(seq);
                    self.say(turn.by, message.saying);
                    self.operators.limits.passes = None;
                }
            }
        }
        if max.is_none() {
            self.operators.limits.channels.remove(channel);
        }
    }

    /// How many lines a message has that waits.
    fn lines_waiting(&mut self, id: PuppetId, seq: InboxSeq) -> Option<usize> {
        let saying = self.puppets[id.0 as usize].message(seq)?;
        let spoken = self.spoken(&saying);
        let (limits, link) = (self.limits(id), self.text_link(&saying));
        Some(compose(&saying, &spoken, &limits, link.as_deref()).lines.len())
    }

    /// True where so many lines more of a message that has been counted have a place in this minute; then they count.
    pub(in super::super) fn may_grow(&mut self, saying: &Saying, more: usize) -> bool {
        let Some(channel) = saying.target.channel().filter(|_| more > 0) else { return true };
        let Some(max) = self.operators.rules.limit(channel) else { return true };
        let now = self.now;
        let limited = self.operators.limits.channels.entry(channel.clone()).or_default();
        limited.waiting.is_empty() && limited.takes(now, more, max as usize)
    }

    /// The message that waits for its turn longest. What was taken back or ended otherwise waits no more, and what waits for
    /// its connection as well comes here again from there, in its order.
    fn first_turn(&mut self, channel: &ChannelName) -> Option<(InboxSeq, Turn)> {
        loop {
            let limited = self.operators.limits.channels.get(channel)?;
            let (seq, turn) = limited.waiting.first_key_value().map(|(seq, turn)| (*seq, *turn))?;
            if self.may_say_in(turn.by, channel) && self.puppets[turn.by.0 as usize].has_message(seq) {
                return Some((seq, turn));
            }
            self.operators.limits.channels.get_mut(channel)?.waiting.remove(&seq);
        }
    }

    /// What waits of people who are silent in the channel now is not said.
    pub(super) fn silence_waiting(&mut self, channel: &ChannelName) {
        let target = Target::Channel(channel.clone());
        for id in (0..self.puppets.len() as u32).map(PuppetId) {
            let Some(why) = self.silenced(&self.puppets[id.0 as usize].user, &target) else { continue };
            self.fail_waiting(id, channel, &why);
            let withdrawn = self.with_session(id, |session, _| session.withdraw(channel));
            self.fail_lines(withdrawn.unwrap_or_default(), &why);
        }
    }

    /// A rule for the channel was set: what is under way follows it.
    pub(super) fn rule_set(&mut self, channel: &ChannelName, asked: &Asked) {
        match asked {
            Asked::Mute(_) | Asked::Block(_) => self.silence_waiting(channel),
            Asked::Limit(_) => self.limit_due(channel),
            Asked::Dismissed => self.withdraw_from(channel),
            Asked::Allowed | Asked::Requested | Asked::Room(_) => {}
        }
    }

    /// A rule for the channel was taken away.
    pub(super) fn rule_lifted(&mut self, channel: &ChannelName, asked: &Asked) {
        match asked {
            Asked::Mute(_) | Asked::Block(_) | Asked::Allowed | Asked::Requested | Asked::Room(_) => {}
            Asked::Limit(_) => self.limit_due(channel),
            Asked::Dismissed => self.return_to(channel),
        }
    }
}

fn too_many(channel: &ChannelName, lines: u32) -> String {
    let lines = counted(lines as usize, "line", "lines");
    format!(
        "the operators of {channel} let {lines} a minute in from Matrix, and more were waiting; try again in a minute"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_lines_than_the_limit() {
        let (mut limited, mut said) = (Limited::default(), Vec::new());
        for ms in (0..300_000u64).step_by(700) {
            if limited.takes(Time(ms), 2, 5) {
                said.push(ms);
            }
        }
        assert_eq!(said.len(), 2 * 5, "two messages of two lines in each of five minutes");
        for from in &said {
            let minute = said.iter().filter(|at| **at >= *from && **at < from + MINUTE_MS);
            assert!(minute.count() * 2 <= 5, "{said:?}");
        }
    }

    #[test]
    fn what_is_longer_than_a_minute_goes_alone() {
        let mut limited = Limited::default();
        assert!(limited.takes(Time(0), 8, 3));
        assert!(!limited.takes(Time(MINUTE_MS - 1), 1, 3));
        assert!(limited.takes(Time(MINUTE_MS), 1, 3));
    }
}
