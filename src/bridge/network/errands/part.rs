//! Out of a channel: the puppet by PART, its person by a removal from those of the channel's rooms that we made.
//!
//! People's own rooms are theirs to leave: who is in one of the channel's is told so, and nothing is done.

use super::super::super::effect::Refusal;
use super::super::super::errand::Report;
use super::super::super::input::{AskId, PortalOrigin, Whose};
use super::super::Network;
use super::NOT_ALLOWED;
use super::comings::in_a_line;
use super::waiting::{Needs, Stage};
use crate::ids::{ChannelName, PuppetId, RoomId, UserId};

impl Network {
    pub(super) fn part_asked(
        &mut self,
        ask: AskId,
        user: &UserId,
        name: &str,
        reason: Option<&str>,
    ) -> Result<Option<Report>, Refusal> {
        let channel = self.channel_named(name)?;
        let id = self.puppet_ids.get(user).copied();
        let is_there = |id: PuppetId| {
            self.puppets[id.0 as usize].wanted.contains(&channel) || self.standing(id, &channel).is_some()
        };
        let Some(id) = id.filter(|id| is_there(*id)) else {
            let words = format!("you are not in {channel}");
            return Err(Refusal::ours("NOT_IN_CHANNEL", &words));
        };
        let (ours, theirs) = self.rooms_of_person(user, &channel);
        if let Some(room) = theirs.first() {
            let words = format!(
                "{channel} is bridged to a room of its own ({room}): leave that room, and your IRC user leaves the channel"
            );
            return Err(Refusal::ours(NOT_ALLOWED, &words));
        }
        self.wait_for(ask, id, Needs::Nothing, Stage::Leaving(channel.clone()))?;
        for room in ours {
            self.remove(&room, user, format!("You left {channel} by your own command"));
        }
        let reason = in_a_line(reason);
        self.errands.visits.remove(&(id, channel.clone()));
        self.fail_waiting(id, &channel, "you left the channel before it could be sent");
        self.no_longer_wants(id, &channel);
        self.leave_channel_saying(id, &channel, &reason);
        self.linger_if_alone(id);
        Ok(None)
    }

    /// The rooms of a channel that somebody is in: those that we made, and people's own.
    fn rooms_of_person(&self, user: &UserId, channel: &ChannelName) -> (Vec<RoomId>, Vec<RoomId>) {
        let theirs = self.portals.of_channel(channel).filter(|portal| self.portals.has(&portal.room, user));
        let (ours, others): (Vec<_>, Vec<_>) = theirs
            .map(|portal| (portal.room.clone(), portal.origin))
            .partition(|(_, origin)| origin.whose() == Whose::Bridge);
        let rooms = |pairs: Vec<(RoomId, PortalOrigin)>| pairs.into_iter().map(|(room, _)| room).collect();
        (rooms(ours), rooms(others))
    }
}
