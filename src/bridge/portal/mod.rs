//! Which room is paired with which channel, and who is in the room.
//!
//! A room belongs to one channel; a channel may have several rooms. Only people of Matrix are members here:
//! ghosts and the bot are left out where they enter.

pub mod access;
pub mod birth;
pub mod door;
pub mod gate;
pub mod membership;
pub mod modes;
pub mod origin;
pub mod plate;
pub mod space;
pub mod topic;

use std::collections::{BTreeMap, BTreeSet};

use super::input::{PortalOrigin, PortalRow};
use super::relay::memory::Order;
use crate::ids::{ChannelName, RoomId, UserId};
use crate::text::casemap::CaseMap;

/// One pairing.
#[derive(Clone, Debug)]
pub struct Portal {
    pub room: RoomId,
    pub channel: ChannelName,
    pub origin: PortalOrigin,
    /// With the place in the network's order from which on each has seen what is said; `None` for who was in before
    /// this run.
    members: BTreeMap<UserId, Option<Order>>,
    /// Whose membership changed since the pairing became known; `None` once the whole list was given.
    changed: Option<BTreeSet<UserId>>,
}

/// All pairings of a network.
#[derive(Debug, Default)]
pub struct Portals {
    rooms: BTreeMap<RoomId, Portal>,
    channels: BTreeMap<ChannelName, BTreeSet<RoomId>>,
}

impl Portals {
    /// Adds a pairing; a room that is already paired keeps its members and moves to the new channel.
    pub fn add(&mut self, row: &PortalRow, map: CaseMap) -> Option<&Portal> {
        let channel = ChannelName::new(&row.channel, map)?;
        let members = self.remove(&row.room).map(|portal| portal.members).unwrap_or_default();
        self.channels.entry(channel.clone()).or_default().insert(row.room.clone());
        let portal = Portal {
            room: row.room.clone(),
            channel,
            origin: row.origin,
            members,
            changed: Some(BTreeSet::new()),
        };
        Some(self.rooms.entry(row.room.clone()).or_insert(portal))
    }

    /// Ends a pairing.
    pub fn remove(&mut self, room: &RoomId) -> Option<Portal> {
        let portal = self.rooms.remove(room)?;
        if let Some(rooms) = self.channels.get_mut(&portal.channel) {
            rooms.remove(room);
            if rooms.is_empty() {
                self.channels.remove(&portal.channel);
            }
        }
        Some(portal)
    }

    /// The case mapping turned out to be another: spells every channel anew.
    pub fn refold(&mut self, map: CaseMap) {
        let portals = std::mem::take(&mut self.rooms);
        self.channels.clear();
        for (room, mut portal) in portals {
            if let Some(channel) = ChannelName::new(portal.channel.as_str(), map) {
                portal.channel = channel.clone();
                self.channels.entry(channel).or_default().insert(room.clone());
                self.rooms.insert(room, portal);
            }
        }
    }

    pub fn of_room(&self, room: &RoomId) -> Option<&Portal> {
        self.rooms.get(room)
    }

    /// The rooms of a channel, in a stable order.
    pub fn of_channel<'a>(&'a self, channel: &ChannelName) -> impl Iterator<Item = &'a Portal> {
        self.channels.get(channel).into_iter().flatten().filter_map(|room| self.rooms.get(room))
    }

    /// The channels that have rooms, in a stable order.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.channels.keys()
    }

    /// The room we made for a channel, if we made one.
    pub fn own_room(&self, channel: &ChannelName) -> Option<&Portal> {
        self.of_channel(channel).find(|portal| portal.origin == PortalOrigin::Alias)
    }

    /// Somebody is in the room now. Returns the channel when they are new to it.
    /// They see what is said from `since` on; `None` for who was in before anything of this run was said.
    pub fn enter(&mut self, room: &RoomId, user: &UserId, since: Option<Order>) -> Option<ChannelName> {
        let portal = self.rooms.get_mut(room)?;
        if portal.members.contains_key(user) {
            return None;
        }
        portal.members.insert(user.clone(), since);
        Some(portal.channel.clone())
    }

    /// Somebody is no longer in the room. Returns the channel when they are in no other room of it.
    pub fn leave(&mut self, room: &RoomId, user: &UserId) -> Option<ChannelName> {
        let portal = self.rooms.get_mut(room)?;
        portal.members.remove(user)?;
        let channel = portal.channel.clone();
        (!self.wants(&channel, user)).then_some(channel)
    }

    /// A membership event spoke of this user: a list that was made before it knows less.
    pub fn note_change(&mut self, room: &RoomId, user: &UserId) {
        if let Some(changed) = self.rooms.get_mut(room).and_then(|portal| portal.changed.as_mut()) {
            changed.insert(user.clone());
        }
    }

    /// The whole list of a room comes: gives those whose membership changed while it was made.
    pub fn take_changed(&mut self, room: &RoomId) -> BTreeSet<UserId> {
        self.rooms.get_mut(room).and_then(|portal| portal.changed.take()).unwrap_or_default()
    }

    /// True when somebody is in any room of the channel.
    pub fn wants(&self, channel: &ChannelName, user: &UserId) -> bool {
        self.of_channel(channel).any(|portal| portal.members.contains_key(user))
    }

    /// The channels somebody wants to be in.
    pub fn wanted_by(&self, user: &UserId) -> BTreeSet<ChannelName> {
        let theirs = self.rooms.values().filter(|portal| portal.members.contains_key(user));
        theirs.map(|portal| portal.channel.clone()).collect()
    }

    /// All pairings, in a stable order.
    pub fn all(&self) -> impl Iterator<Item = &Portal> {
        self.rooms.values()
    }

    /// True when this user is known to be in this room.
    pub fn has(&self, room: &RoomId, user: &UserId) -> bool {
        self.rooms.get(room).is_some_and(|portal| portal.members.contains_key(user))
    }

    /// True when somebody in the room was in it when this was said. Of who was in before this run it is known only of
    /// what was said in this run, which begins at `begin`.
    pub fn saw(&self, room: &RoomId, user: &UserId, said: Order, begin: Order) -> bool {
        let since = self.rooms.get(room).and_then(|portal| portal.members.get(user));
        since.is_some_and(|since| since.unwrap_or(begin) <= said)
    }

    /// Who is in the room.
    pub fn members(&self, room: &RoomId) -> impl Iterator<Item = &UserId> {
        self.rooms.get(room).into_iter().flat_map(|portal| portal.members.keys())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(room: &str, channel: &str) -> PortalRow {
        PortalRow { room: RoomId::new(room).unwrap(), channel: channel.into(), origin: PortalOrigin::Alias }
    }

    #[test]
    fn a_channel_is_wanted_until_its_last_room_is_left() {
        let (a, b) = (row("!a", "#C"), row("!b", "#c"));
        let user = UserId::new("@u:hs").unwrap();
        let mut portals = Portals::default();
        portals.add(&a, CaseMap::Ascii);
        portals.add(&b, CaseMap::Ascii);
        assert!(portals.enter(&a.room, &user, None).is_some());
        assert!(portals.enter(&b.room, &user, None).is_some());
        assert_eq!(portals.leave(&a.room, &user), None);
        assert_eq!(portals.leave(&a.room, &user), None, "leaving twice is leaving once");
        assert_eq!(portals.leave(&b.room, &user), ChannelName::new("#c", CaseMap::Ascii));
    }

    #[test]
    fn who_comes_late_has_not_seen_what_was_said_before() {
        let room = row("!a", "#c");
        let (ada, bob) = (UserId::new("@ada:hs").unwrap(), UserId::new("@bob:hs").unwrap());
        let mut portals = Portals::default();
        portals.add(&room, CaseMap::Ascii);
        portals.enter(&room.room, &ada, None);
        portals.enter(&room.room, &bob, Some(Order(7)));
        let saw = |portals: &Portals, user, said| portals.saw(&room.room, user, Order(said), Order(3));
        assert!(saw(&portals, &bob, 7) && !saw(&portals, &bob, 6));
        assert!(saw(&portals, &ada, 3) && !saw(&portals, &ada, 2), "she may have come just before this run");
        portals.leave(&room.room, &bob);
        assert!(!saw(&portals, &bob, 9));
        portals.enter(&room.room, &bob, Some(Order(9)));
        assert!(!saw(&portals, &bob, 8), "what was said while he was away");
    }

    #[test]
    fn another_case_mapping_brings_spellings_together() {
        let mut portals = Portals::default();
        portals.add(&row("!a", "#x[]"), CaseMap::Ascii);
        portals.add(&row("!b", "#x{}"), CaseMap::Ascii);
        let ascii = ChannelName::new("#x[]", CaseMap::Ascii).unwrap();
        assert_eq!(portals.of_channel(&ascii).count(), 1);
        portals.refold(CaseMap::Rfc1459);
        let rfc1459 = ChannelName::new("#X[]", CaseMap::Rfc1459).unwrap();
        assert_eq!(portals.of_channel(&rfc1459).count(), 2);
    }
}
