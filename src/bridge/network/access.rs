//! Who may what in a channel's rooms: the ranks of its people as power levels.
//!
//! What the levels should be is known from the roster alone, and given to the homeserver as a whole, at most once in
//! [`BATCH_MS`]; there it is compared with what the room has at that moment. So nothing is counted up from changes,
//! and what was missed is made good by the next whole list of names.

use std::collections::BTreeMap;

use super::super::channel::Whose;
use super::super::effect::Effect;
use super::super::input::PortalOrigin;
use super::super::portal::access::{Reach, RoomPower};
use super::super::step::{RoomStep, StepKey, StepResult};
use super::super::timer::Timer;
use super::Network;
use crate::ids::{ChannelName, RoomId, Time, UserId};

/// Changes within so many milliseconds become one.
const BATCH_MS: u64 = 1_000;
/// What somebody on Matrix changed is looked at once in so long: two who disagree do not fill a room with events.
const DISPUTE_MS: u64 = 30_000;
/// What found no place is tried again after so long.
const AGAIN_MS: u64 = 30_000;

/// What was asked for, by room.
#[derive(Debug, Default)]
pub(super) struct Access {
    asked: BTreeMap<RoomId, RoomPower>,
    /// When somebody's change may be looked at again.
    disputed: BTreeMap<RoomId, Time>,
}

impl Access {
    pub(super) fn forget(&mut self, room: &RoomId) {
        self.asked.remove(room);
    }
}

impl Network {
    /// Somebody in the channel may have another rank.
    pub(super) fn ranks_changed(&mut self, name: &ChannelName) {
        if self.portals.of_channel(name).any(|portal| self.policy.power.to_matrix.has(portal.origin)) {
            self.timers.arm(Timer::Access(name.clone()), self.now.plus_ms(BATCH_MS));
        }
    }

    /// Ranks have changed a moment ago.
    pub(super) fn access_due(&mut self, name: &ChannelName) {
        self.join_rules_to_rooms(name);
        let given = self.policy.power.to_matrix;
        let rooms = self.portals.of_channel(name).filter(|portal| given.has(portal.origin));
        let rooms: Vec<(RoomId, PortalOrigin)> = rooms.map(|p| (p.room.clone(), p.origin)).collect();
        let Some(levels) = self.levels_in(name).filter(|_| !rooms.is_empty()) else { return };
        self.topic_to_rooms(name);
        for (room, origin) in rooms {
            let reach = match origin {
                PortalOrigin::Alias => Reach::All,
                PortalOrigin::Config | PortalOrigin::Plumbed => Reach::Given,
            };
            let first = |user: &UserId| !self.is_ours(user);
            let power = RoomPower::new(levels.clone(), self.policy.power.ranks.most(), reach, first);
            let power = power.with_needs(self.needs_in(name, &room));
            if self.access.asked.get(&room) != Some(&power) {
                self.access.asked.insert(room.clone(), power.clone());
                self.out.push(Effect::Step { room, step: RoomStep::Power(power) });
            }
        }
    }

    /// The level of everybody who has a rank in the channel; `None` while it is not known who is there. Whom of ours a
    /// nick means is not always known: nobody gets a level by a guess.
    fn levels_in(&self, name: &ChannelName) -> Option<BTreeMap<UserId, i64>> {
        let channel = self.channels.get(name).filter(|channel| channel.roster().is_known())?;
        let mut levels = BTreeMap::new();
        for present in channel.roster().iter().filter(|present| !present.modes.is_empty()) {
            let level = self.policy.power.ranks.level(&present.modes, &self.isupport.prefixes);
            let user = match channel.whose(&present.nick, &self.nicks) {
                Whose::Ours(conn) => conn.map(|conn| self.puppets[conn.puppet.0 as usize].user.clone()),
                Whose::Theirs => self.policy.ghosts.user(&present.nick, &self.policy.server_name),
            };
            if let Some(user) = user.filter(|_| level > 0) {
                levels.insert(user, level);
            }
        }
        Some(levels)
    }

    /// Somebody changed levels in a room: what they may is seen when it is compared again.
    pub(super) fn room_power(&mut self, room: &RoomId, sender: &UserId) {
        let Some(name) = self.portals.of_room(room).map(|portal| portal.channel.clone()) else { return };
        if self.is_ours(sender) {
            return;
        }
        self.access.forget(room);
        let soon = self.now.plus_ms(BATCH_MS);
        let at = self.access.disputed.get(room).copied().unwrap_or_default().max(soon);
        self.access.disputed.insert(room.clone(), at.plus_ms(DISPUTE_MS));
        self.timers.arm(Timer::Access(name), at);
    }

    /// Somebody is put out of the channel: whoever is still there may not show it.
    pub(super) fn power_lost(&mut self, name: &ChannelName, user: &UserId) {
        let rooms: Vec<RoomId> = self.portals.of_channel(name).map(|portal| portal.room.clone()).collect();
        for room in rooms {
            let Some(power) = self.access.asked.get_mut(&room) else { continue };
            if power.levels.remove(user).is_some() {
                let step = RoomStep::Power(power.clone());
                self.out.push(Effect::Step { room, step });
            }
        }
    }

    /// What became of a step.
    pub(super) fn state_set(&mut self, room: &RoomId, key: &StepKey, result: &StepResult) {
        match result {
            StepResult::Done => {}
            StepResult::Refused(_) => self.step_failed(room, key, true),
            StepResult::NotTaken => {
                self.step_failed(room, key, false);
                if let Some(name) = self.portals.of_room(room).map(|portal| portal.channel.clone()) {
                    self.timers.arm(Timer::Access(name), self.now.plus_ms(AGAIN_MS));
                }
            }
        }
    }
}
