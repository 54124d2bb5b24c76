//! Operators of a channel who are in it through the bridge: asked for their consent in their room, they answer there with
//! the words that they would use on IRC.
//!
//! Such a channel has a room of people's own. What they write is an answer only while the channel waits for one and their
//! puppet has the rank, by the stream that shows who has which; else it is chat, and goes to the channel.

use super::super::super::channel::Channel;
use super::super::super::input::BodyKind;
use super::super::super::operators::answer::Answer;
use super::super::super::operators::command::{self, Deed, Order, Who};
use super::super::super::operators::rules::{Asked, Full, Rule};
use super::super::super::session::places::Standing;
use super::super::Network;
use super::super::say::Arrival;
use super::Open;
use crate::ids::{ChannelName, ConnId, Nick, RoomId, UserId};

/// People who are named in one question; more are operators too, and may answer as well.
const NAMED_MAX: usize = 5;

impl Network {
    /// Asks operators who are ours, each in a room of the channel that they are in; gives how many.
    /// The question is `wish`, and how to answer is `how`.
    pub(super) fn ask_here(
        &mut self,
        channel: &ChannelName,
        operators: &[Nick],
        wish: &str,
        how: &str,
    ) -> usize {
        let named = operators.iter().filter_map(|nick| {
            let conn = self.nicks.candidates(nick).find(|conn| self.nicks.has(*conn, nick))?;
            (!self.is_bot(conn.puppet)).then(|| self.puppets[conn.puppet.0 as usize].user.clone())
        });
        let users: Vec<UserId> = named.collect();
        let rooms: Vec<RoomId> = self.portals.of_channel(channel).map(|portal| portal.room.clone()).collect();
        let (mut asked, network) = (0, self.policy.network_name.clone());
        for room in rooms {
            let here: Vec<&str> =
                users.iter().filter(|user| self.portals.has(&room, user)).map(UserId::as_str).collect();
            if here.is_empty() {
                continue;
            }
            asked += here.len();
            let named = here[..here.len().min(NAMED_MAX)].join(", ");
            let text = format!(
                "{named}: {wish}. You are an operator of {channel} on {network}, so you decide: write {how} here. It is not said \
                 on IRC."
            );
            self.tell(&room, text, None);
        }
        asked
    }

    /// True for an answer to such a question, which is done.
    pub(in super::super) fn consents(&mut self, arrival: &Arrival) -> bool {
        let Some((channel, order, open)) = self.consent_in(arrival) else { return false };
        let answer = match order.deed {
            Deed::Welcome => match self.allow(&open) {
                Ok(_) => Answer::Allowed(channel.to_string()),
                Err(Full) => Answer::NoMoreChannels,
            },
            Deed::Dismiss(reason) => self.deny(&channel, &open.from, reason),
            Deed::Admit(_) | Deed::Refuse { .. } => match self.obey_about_room(&open) {
                Some(answer) => answer,
                None => return false,
            },
            Deed::Help(_)
            | Deed::Status
            | Deed::People
            | Deed::Mute { .. }
            | Deed::Unmute(_)
            | Deed::Block { .. }
            | Deed::Unblock(_)
            | Deed::Limit(_) => return false,
        };
        let bot = self.policy.operators.nick.clone().unwrap_or_default();
        let text = answer.lines(&bot).join("\n");
        self.tell(&arrival.room.clone(), text, Some(arrival.event_id.clone()));
        true
    }

    /// What somebody answers whose answer counts.
    fn consent_in(&self, arrival: &Arrival) -> Option<(ChannelName, Order, Open)> {
        if arrival.body.kind != BodyKind::Text || arrival.body.media.is_some() {
            return None;
        }
        let order = command::read(arrival.body.text.trim()).ok()?;
        let channel = ChannelName::new(&order.channel, self.map())?;
        let asked = match order.deed.room() {
            Some(room) => self.operators.rules.wish(&channel, room),
            None => self.operators.rules.get(&channel, &Asked::Requested),
        };
        asked.filter(|rule| rule.by.is_empty())?;
        if !self.portals.of_channel(&channel).any(|portal| portal.room == arrival.room) {
            return None;
        }
        let (conn, from) = self.rank_here(&arrival.sender, &channel)?;
        let open = Open {
            from,
            mask: String::new(),
            conn,
            by: conn,
            channel: channel.clone(),
            order: order.clone(),
            tries: 0,
        };
        Some((channel, order, open))
    }

    /// The connection and the nick of somebody whose puppet is an operator of the channel now.
    pub(in super::super) fn rank_here(&self, user: &UserId, channel: &ChannelName) -> Option<(ConnId, Nick)> {
        let id = self.puppet_ids.get(user).copied()?;
        let session = self.puppets[id.0 as usize].session.as_ref()?;
        let (conn, nick) = (session.conn, session.nick()?.clone());
        let roster = self.channels.get(channel).map(Channel::roster).filter(|roster| roster.is_known())?;
        let is_there = self.standing(id, channel) == Some(Standing::In);
        let modes = roster.get(&nick).filter(|_| is_there).map(|present| present.modes.clone())?;
        Who::Operators.has(&modes, &self.isupport.prefixes).then_some((conn, nick))
    }

    /// There is to be no room; the question stays as what was answered, so that it is not asked again.
    fn deny(&mut self, channel: &ChannelName, by: &Nick, reason: Option<String>) -> Answer {
        let (by, since) = (by.to_string(), self.now);
        let rule = Rule { channel: channel.to_string(), asked: Asked::Requested, by, reason, since };
        match self.keep(channel, rule) {
            Ok(()) => Answer::Denied(channel.to_string()),
            Err(Full) => Answer::NoMoreChannels,
        }
    }
}
