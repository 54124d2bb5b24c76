//! What rooms say of their channel to clients, and whether they stand in the directory: their [`Plate`]s.
//!
//! At the start the rooms are gone through one by one, a second apart and behind all else, so that thousands of rooms
//! cost nobody anything; what changes later is looked at at once. A room of a channel that is hidden, or of which nobody
//! knows whether it is, stands in no directory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::channel::Channel;
use super::super::effect::{Effect, Listing, Plate, RoomStep, Standing};
use super::super::input::{PortalOrigin, PortalRow, StepResult, Whose};
use super::super::policy::Shown;
use super::super::timer::Timer;
use super::{Life, Network};
use crate::ids::{ChannelName, RoomId};

/// Rooms that are looked at with the homeserver at once.
const WINDOW: usize = 4;
/// The rooms of the start are looked at one in so many milliseconds.
const WALK_MS: u64 = 1_000;
/// A room for which there was no place is looked at again after so long.
const AGAIN_MS: u64 = 30_000;

/// Plates that are to be looked at, and were.
#[derive(Debug, Default)]
pub(super) struct Plates {
    /// Rooms of the start.
    walk: VecDeque<RoomId>,
    /// Rooms whose plate may be another now.
    due: BTreeSet<RoomId>,
    /// Plates that are to be blank, by room and channel.
    over: BTreeMap<(RoomId, String), Plate>,
    under_way: BTreeSet<RoomId>,
    /// What each room was last to say.
    hung: BTreeMap<RoomId, Plate>,
}

impl Network {
    /// All rooms are known: each is looked at once.
    pub(super) fn walk_plates(&mut self) {
        if self.are_plates_left_alone() {
            return;
        }
        let rooms = self.portals.all().map(|portal| portal.room.clone());
        self.plates.walk.extend(rooms);
        self.timers.arm(Timer::Plates, self.now.plus_ms(WALK_MS));
        self.hang_due();
    }

    fn are_plates_left_alone(&self) -> bool {
        let rules = &self.policy.directory;
        (rules.plates, rules.publish) == (Shown::Off, Shown::Off)
    }

    /// The next room of the start.
    pub(super) fn plates_due(&mut self) {
        if self.plates.under_way.is_empty()
            && let Some(room) = self.plates.walk.pop_front()
        {
            self.plates.due.insert(room);
        }
        self.hang_due();
        // A room that has nothing new to say is done with.
        if self.plates.under_way.is_empty() && !self.plates.walk.is_empty() {
            self.timers.arm(Timer::Plates, self.now.plus_ms(WALK_MS));
        }
    }

    /// A pairing is new, or another one.
    pub(super) fn plate_of(&mut self, room: &RoomId, before: Option<&ChannelName>) {
        if let Some(before) = before {
            self.blank(room, before.as_str());
        }
        if self.life != Life::Loading && !self.are_plates_left_alone() {
            self.plates.due.insert(room.clone());
            self.hang_due();
        }
    }

    /// Whether a channel is hidden may be another.
    pub(super) fn plate_changed(&mut self, channel: &ChannelName) {
        if self.policy.directory.publish == Shown::Off {
            return;
        }
        let rooms: Vec<RoomId> = self.portals.of_channel(channel).map(|portal| portal.room.clone()).collect();
        self.plates.due.extend(rooms);
        self.hang_due();
    }

    /// The pairing of a room is about to end.
    pub(super) fn plate_over(&mut self, room: &RoomId) {
        if let Some(channel) = self.portals.of_room(room).map(|portal| portal.channel.clone()) {
            self.plates.due.remove(room);
            self.plates.walk.retain(|other| other != room);
            self.plates.hung.remove(room);
            self.blank(room, channel.as_str());
            self.hang_due();
        }
    }

    /// The pairing of an earlier run has ended since.
    pub(super) fn pairing_over(&mut self, row: &PortalRow) {
        self.blank(&row.room, &row.channel);
        self.space_leaves(&row.room);
    }

    fn blank(&mut self, room: &RoomId, channel: &str) {
        let listing = self.portals.of_room(room).filter(|portal| portal.origin == PortalOrigin::Alias);
        let listing = listing.map(|_| Listing::Private);
        let plate = Plate { standing: Standing::Over, listing, ..self.plate(channel, PortalOrigin::Config) };
        self.plates.over.insert((room.clone(), channel.to_owned()), plate);
    }

    fn plate(&self, channel: &str, origin: PortalOrigin) -> Plate {
        let (standing, listing) = match origin.whose() {
            Whose::Bridge => (Standing::Portal, Some(self.listing(channel))),
            Whose::People => (Standing::Plumbed, None),
        };
        let is_said = self.policy.directory.plates == Shown::On;
        let standing = if is_said { standing } else { Standing::Unsaid };
        let network = self.policy.network.clone();
        let (network_name, channel) = (self.policy.network_name.clone(), channel.to_owned());
        Plate { network, network_name, channel, standing, listing }
    }

    fn listing(&self, channel: &str) -> Listing {
        let name = ChannelName::new(channel, self.map()).filter(|name| !self.is_excluded(name));
        let is_open = name.is_some_and(|name| {
            let is_shut = self.channels.get(&name).is_none_or(Channel::is_shut);
            !is_shut && self.are_modes_settled(&name)
        });
        if is_open && self.policy.directory.publish == Shown::On { Listing::Public } else { Listing::Private }
    }

    /// Looks at what is due, as far as there is a place. One plate of a room is hung at a time.
    fn hang_due(&mut self) {
        if self.life != Life::Running || self.are_plates_left_alone() {
            return;
        }
        while self.plates.under_way.len() < WINDOW
            && let Some((room, plate)) = self.next_plate()
        {
            self.plates.under_way.insert(room.clone());
            self.out.push(Effect::Step { room, step: RoomStep::Plate(plate) });
        }
    }

    fn next_plate(&mut self) -> Option<(RoomId, Plate)> {
        let is_free = |room: &RoomId| !self.plates.under_way.contains(room);
        let over = self.plates.over.keys().find(|(room, _)| is_free(room)).cloned();
        if let Some((key, plate)) = over.and_then(|key| self.plates.over.remove_entry(&key)) {
            return Some((key.0, plate));
        }
        loop {
            let is_free = |room: &&RoomId| !self.plates.under_way.contains(*room);
            let room = self.plates.due.iter().find(is_free).cloned()?;
            self.plates.due.remove(&room);
            let Some(portal) = self.portals.of_room(&room) else { continue };
            let plate = self.plate(portal.channel.as_str(), portal.origin);
            let says_nothing = plate.standing == Standing::Unsaid && plate.listing.is_none();
            if !says_nothing && self.plates.hung.get(&room) != Some(&plate) {
                self.plates.hung.insert(room.clone(), plate.clone());
                return Some((room, plate));
            }
        }
    }

    /// What became of a plate. A room where the bot may not is left as it is, without a word: it is for programs alone.
    pub(super) fn plate_done(&mut self, room: &RoomId, result: &StepResult) {
        self.plates.under_way.remove(room);
        let wait = match result {
            StepResult::Done | StepResult::Refused(_) => WALK_MS,
            StepResult::NotTaken => {
                self.plates.hung.remove(room);
                self.plates.walk.push_back(room.clone());
                AGAIN_MS
            }
        };
        if !self.plates.walk.is_empty() {
            self.timers.arm(Timer::Plates, self.now.plus_ms(wait));
        }
        self.hang_due();
    }
}
