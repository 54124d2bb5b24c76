//! Whether people outside find the rooms that we made: not those of hidden channels, nor of those that let nobody in. See [`RoomDoor`].

use std::collections::BTreeSet;

use super::super::effect::Effect;
use super::super::input::{PortalOrigin, StepResult};
use super::super::step::{Door, RoomDoor, RoomStep};
use super::Network;
use crate::ids::{ChannelName, RoomId};

/// Rooms that were shut since the start.
pub(super) type Doors = BTreeSet<RoomId>;

impl Network {
    /// Whether people outside may know of a channel may have changed: its room's door follows.
    pub(super) fn door_follows(&mut self, name: &ChannelName) {
        let Some(channel) = self.channels.get(name).filter(|channel| channel.roster().is_known()) else {
            return;
        };
        let is_shut = channel.is_shut();
        let ours = self.portals.of_channel(name).filter(|portal| portal.origin == PortalOrigin::Alias);
        let rooms: Vec<RoomId> = ours.map(|portal| portal.room.clone()).collect();
        let is_sure = self.are_modes_settled(name);
        for room in rooms {
            // It may be closed: until that is known it is not opened again.
            if !is_shut && !is_sure && self.doors.contains(&room) {
                continue;
            }
            // One that an earlier run shut is opened when somebody asks for it.
            let is_news = if is_shut { self.doors.insert(room.clone()) } else { self.doors.remove(&room) };
            if is_news {
                self.set_door(name, room, if is_shut { Door::Shut } else { Door::Open });
            }
        }
    }

    fn set_door(&mut self, name: &ChannelName, room: RoomId, door: Door) {
        let aliases = self.policy.aliases.clone();
        let Some(alias) = aliases.alias(name, &self.policy.server_name) else { return };
        self.out.push(Effect::Step { room, step: RoomStep::Door(RoomDoor { door, alias, aliases }) });
    }

    /// True while nobody outside is to learn that there is a room of ours for this channel: it is shut, or its people are
    /// on their way there, or have not yet been told its modes.
    pub(super) fn is_shut(&self, name: &ChannelName, room: &RoomId) -> bool {
        match self.channels.get(name).filter(|channel| channel.roster().is_known()) {
            Some(channel) => channel.is_shut() || !self.are_modes_settled(name),
            None => self.doors.contains(room) || self.portals.members(room).next().is_some(),
        }
    }

    /// What became of the step. What found no place is found again with the next whole list of names.
    pub(super) fn door_set(&mut self, room: &RoomId, result: &StepResult) {
        match result {
            StepResult::Done => {}
            StepResult::Refused(_) | StepResult::NotTaken => {
                if !self.doors.remove(room) {
                    self.doors.insert(room.clone());
                }
            }
        }
    }
}
