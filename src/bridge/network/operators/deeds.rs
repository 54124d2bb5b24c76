//! What each command of an operator does, once it is known that they may.

use super::super::super::effect::Effect;
use super::super::super::operators::answer::{Answer, Room, Shown, Status, Whose};
use super::super::super::operators::command::{Deed, Whom};
use super::super::super::operators::rules::{Asked, Full, ROOMLESS_MAX, Rule};
use super::super::super::policy::Consent;
use super::super::super::session::places::Standing;
use super::super::Network;
use super::Open;
use crate::ids::{ChannelName, Nick, PuppetId, UserId};

impl Network {
    /// Does what somebody with the rank for it has asked for.
    pub(super) fn obey(&mut self, open: &Open) -> Answer {
        let Open { channel, order, .. } = open;
        let shown = || order.channel.clone();
        let is_known =
            self.portals.of_channel(channel).next().is_some() || !self.operators.rules.of(channel).is_empty();
        // Whether the bridge may come is said before it does.
        let is_about_coming = matches!(order.deed, Deed::Dismiss(_))
            || (order.deed == Deed::Welcome && self.policy.operators.consent == Consent::ByConsent);
        if let Some(answer) = self.obey_about_room(open) {
            return answer;
        }
        if !is_known && !is_about_coming {
            return Answer::NotBridged(shown());
        }
        if !is_known && !self.may_have_first_rule(open) {
            return Answer::NoMoreChannels;
        }
        match &order.deed {
            Deed::Help(_) => self.explain(order),
            Deed::Status => Answer::Status(Box::new(self.status(channel, shown()))),
            Deed::People => Answer::People { channel: shown(), people: self.people(channel) },
            Deed::Mute { whom, reason } => self.mute(open, whom, reason.clone()),
            Deed::Unmute(whom) => self.unmute(open, whom),
            Deed::Block { server, reason } => self.block(open, server, reason.clone()),
            Deed::Unblock(server) => {
                let (channel, server) = (shown(), server.clone());
                match self.lift_rule(open, &Asked::Block(server.clone())) {
                    Some(_) => Answer::Unblocked { channel, server },
                    None => Answer::NotBlocked { channel, server },
                }
            }
            Deed::Limit(Some(lines)) => self.limit(open, *lines),
            Deed::Limit(None) => match self.lift_rule(open, &Asked::Limit(0)) {
                Some(_) => Answer::Unlimited(shown()),
                None => Answer::NotLimited(shown()),
            },
            Deed::Dismiss(reason) => self.dismiss(open, reason.clone()),
            Deed::Welcome => self.welcome(open),
            Deed::Admit(_) | Deed::Refuse { .. } => Answer::NotBridged(shown()),
        }
    }

    /// Whether a channel without a room and without rules may get one: anybody is an operator of a channel that they make.
    fn may_have_first_rule(&mut self, open: &Open) -> bool {
        let has_room = |channel: &&ChannelName| self.portals.of_channel(channel).next().is_some();
        let roomless = self.operators.rules.channels().filter(|channel| !has_room(channel)).count();
        roomless < ROOMLESS_MAX && self.operators.firsts.take(self.now, &open.mask)
    }

    fn status(&self, channel: &ChannelName, shown: String) -> Status {
        let rooms = self.portals.of_channel(channel);
        let alias = self.policy.aliases.alias(channel, &self.policy.server_name);
        let room = rooms.map(|portal| {
            let (name, whose) = match (portal.origin.whose(), &alias) {
                (Whose::Bridge, Some(alias)) => (alias.as_str(), Whose::Bridge),
                (Whose::Bridge, None) => (portal.room.as_str(), Whose::Bridge),
                (Whose::People, _) => (portal.room.as_str(), Whose::People),
            };
            Room { name: name.to_owned(), people: self.portals.members(&portal.room).count(), whose }
        });
        let rooms: Vec<Room> = room.collect();
        let people = self.people(channel);
        let present = people.iter().filter(|shown| shown.nick.is_some()).count();
        let rules = self.operators.rules.of(channel).to_vec();
        Status { channel: shown, rooms, people: people.len(), present, rules }
    }

    /// Everybody who is in a room of the channel.
    fn people(&self, channel: &ChannelName) -> Vec<Shown> {
        let rooms = self.portals.of_channel(channel);
        let mut users: Vec<&UserId> = rooms.flat_map(|portal| self.portals.members(&portal.room)).collect();
        users.sort_unstable();
        users.dedup();
        let shown = |user: &UserId| Shown {
            user: user.clone(),
            nick: self.nick_in(user, channel),
            is_silent: self.operators.rules.silences(channel, user).is_some(),
        };
        users.into_iter().map(shown).collect()
    }

    /// Somebody's nick, while their puppet is in the channel.
    fn nick_in(&self, user: &UserId, channel: &ChannelName) -> Option<String> {
        let id = self.puppet_ids.get(user).copied()?;
        let session = self.puppets[id.0 as usize].session.as_ref()?;
        (self.standing(id, channel) == Some(Standing::In)).then(|| session.nick().map(ToString::to_string))?
    }

    /// Whom of Matrix an operator means; the answer where it is nobody.
    fn meant(&self, open: &Open, whom: &Whom) -> Result<UserId, Answer> {
        let channel = || open.order.channel.clone();
        match whom {
            Whom::User(user) if self.is_ours(user) && !self.is_neighbour(user) => {
                Err(Answer::NotOfMatrix { channel: channel(), nick: user.to_string() })
            }
            Whom::User(user) => Ok(user.clone()),
            Whom::Nick(text) => {
                let nick = Nick::new(text, self.map());
                let holder = nick.as_ref().and_then(|nick| {
                    self.nicks
                        .candidates(nick)
                        .find(|conn| self.nicks.has(*conn, nick) && !self.is_bot(conn.puppet))
                });
                let nick = text.clone();
                match holder {
                    Some(conn) => Ok(self.puppets[conn.puppet.0 as usize].user.clone()),
                    None if self.is_there(&open.channel, text) => {
                        Err(Answer::NotOfMatrix { channel: channel(), nick })
                    }
                    None => Err(Answer::NobodyByNick { channel: channel(), nick }),
                }
            }
        }
    }

    fn is_there(&self, channel: &ChannelName, nick: &str) -> bool {
        let roster = self.channels.get(channel).map(|channel| channel.roster());
        Nick::new(nick, self.map()).zip(roster).is_some_and(|(nick, roster)| roster.get(&nick).is_some())
    }

    fn mute(&mut self, open: &Open, whom: &Whom, reason: Option<String>) -> Answer {
        let channel = open.order.channel.clone();
        let user = match self.meant(open, whom) {
            Ok(user) => user,
            Err(answer) => return answer,
        };
        let nick = self.nick_in(&user, &open.channel);
        match self.set(open, Asked::Mute(user.clone()), reason) {
            Ok(()) => Answer::Muted { channel, user, nick },
            Err(Full) => Answer::NoMoreMutes(channel),
        }
    }

    fn unmute(&mut self, open: &Open, whom: &Whom) -> Answer {
        let channel = open.order.channel.clone();
        let user = match self.meant(open, whom) {
            Ok(user) => user,
            Err(answer) => return answer,
        };
        match self.lift_rule(open, &Asked::Mute(user.clone())) {
            Some(_) => Answer::Unmuted { channel, user },
            None => Answer::NotMuted { channel, user },
        }
    }

    fn block(&mut self, open: &Open, server: &str, reason: Option<String>) -> Answer {
        let (channel, server) = (open.order.channel.clone(), server.to_owned());
        match self.set(open, Asked::Block(server.clone()), reason) {
            Ok(()) => Answer::Blocked { channel, server },
            Err(Full) => Answer::NoMoreBlocks(channel),
        }
    }

    fn limit(&mut self, open: &Open, lines: u32) -> Answer {
        if self.set(open, Asked::Limit(lines), None) == Err(Full) {
            return Answer::NoMoreChannels;
        }
        Answer::Limited { channel: open.order.channel.clone(), lines }
    }

    fn dismiss(&mut self, open: &Open, reason: Option<String>) -> Answer {
        let channel = open.order.channel.clone();
        if let Some(rule) = self.operators.rules.dismissed(&open.channel) {
            return Answer::DismissedBefore { channel, by: rule.by.clone() };
        }
        if self.set(open, Asked::Dismissed, reason) == Err(Full) {
            return Answer::NoMoreChannels;
        }
        self.forget_rule(&open.channel, &Asked::Requested);
        self.forget_rule(&open.channel, &Asked::Allowed);
        let rooms = self.portals.of_channel(&open.channel).count();
        self.end_rooms_of_people(open);
        Answer::Dismissed { channel, rooms }
    }

    fn welcome(&mut self, open: &Open) -> Answer {
        let channel = open.order.channel.clone();
        let (was_dismissed, is_new) = match self.allow(open) {
            Ok(is_new) => (self.lift_rule(open, &Asked::Dismissed).is_some(), is_new),
            Err(Full) => return Answer::NoMoreChannels,
        };
        let has_room = self.portals.of_channel(&open.channel).next().is_some();
        match (was_dismissed, is_new) {
            (false, false) => self.which_room(open).unwrap_or(Answer::NotDismissed(channel)),
            (true, _) if has_room => Answer::Welcomed { channel, people: self.people(&open.channel).len() },
            (true, _) | (false, true) => Answer::Allowed(channel),
        }
    }

    /// Remembers that the bridge may come, where that is asked. Gives whether that is news.
    pub(super) fn allow(&mut self, open: &Open) -> Result<bool, Full> {
        let is_asked = self.policy.operators.consent == Consent::ByConsent;
        if !is_asked || self.operators.rules.get(&open.channel, &Asked::Allowed).is_some() {
            return Ok(false);
        }
        let (channel, by) = (open.channel.to_string(), open.from.to_string());
        let rule = Rule { channel, asked: Asked::Allowed, by, reason: None, since: self.now };
        self.keep(&open.channel, rule)?;
        self.forget_rule(&open.channel, &Asked::Requested);
        Ok(true)
    }

    /// Keeps a rule, tells the rooms of it, and has it followed.
    fn set(&mut self, open: &Open, asked: Asked, reason: Option<String>) -> Result<(), Full> {
        let (channel, by) = (open.channel.as_str().to_owned(), open.from.to_string());
        let rule = Rule { channel, asked: asked.clone(), by, reason, since: self.now };
        self.operators.rules.set(&open.channel, rule.clone())?;
        self.tell_rooms(&open.channel, &self.rule_told(&rule));
        self.out.push(Effect::SaveRule(rule));
        self.rule_set(&open.channel, &asked);
        Ok(())
    }

    /// Takes a rule away, tells the rooms of it, and has that followed.
    fn lift_rule(&mut self, open: &Open, asked: &Asked) -> Option<Rule> {
        let rule = self.operators.rules.lift(&open.channel, asked)?;
        self.tell_rooms(&open.channel, &self.lifting_told(&rule, &open.from));
        let (channel, asked) = (rule.channel.clone(), rule.asked.clone());
        self.out.push(Effect::DropRule { channel, asked });
        self.rule_lifted(&open.channel, &rule.asked);
        Some(rule)
    }

    /// Everybody of ours leaves a channel whose operators want it so.
    pub(super) fn withdraw_from(&mut self, channel: &ChannelName) {
        self.silence_waiting(channel);
        let mut leaving: Vec<PuppetId> = (0..self.puppets.len() as u32).map(PuppetId).collect();
        // Who observes goes last: else each that goes would hand its duty to the next, who asks for all names.
        leaving.sort_by_key(|id| self.observes(*id, channel));
        for id in leaving {
            if self.puppet(id).wanted.remove(channel) {
                self.leave_channel(id, channel);
                self.linger_if_alone(id);
            }
        }
    }

    fn observes(&self, id: PuppetId, channel: &ChannelName) -> bool {
        let session = self.puppets[id.0 as usize].session.as_ref();
        let channel = self.channels.get(channel);
        session.zip(channel).is_some_and(|(session, channel)| channel.is_observer(session.conn))
    }

    /// Everybody in the rooms of a channel is to be in it again.
    pub(super) fn return_to(&mut self, channel: &ChannelName) {
        for user in self.people(channel).into_iter().map(|shown| shown.user) {
            let id = self.ensure_puppet(&user, None);
            self.puppet(id).alone_since = None;
            self.puppet(id).forgive(channel);
            let is_new = self.puppet(id).wanted.insert(channel.clone());
            if is_new || self.standing(id, channel).is_none() {
                self.join_channels(id, vec![channel.clone()]);
            }
            self.ask_to_dial(id);
        }
        self.bot_goes();
    }
}
