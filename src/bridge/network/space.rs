//! The network's space, and which rooms are in it: see [`portal::space`](super::super::portal::space).
//!
//! ```text
//!   start ─▶ Find ─┬─ found ─▶ rooms are put in and taken out, a few at a time, where that is news
//!                  └─ not ─▶ later again ◀─ a room cannot be put in: perhaps the space is no more
//! ```
//!
//! A room is put in while its channel is known to be neither hidden nor closed, and taken out at once when it is. While
//! nobody of ours is in the channel to tell, the room stays where it is for [`UNSEEN_MS`], and is then taken out: a restart or
//! a lost connection changes nothing in the space. What the space holds already is read by whoever does the step.

use std::collections::{BTreeMap, BTreeSet};

use super::super::channel::Channel;
use super::super::effect::{Effect, Listing, RoomStep};
use super::super::input::StepResult;
use super::super::policy::{Rooms, Shown};
use super::super::portal::space::{Placed, SpacePlace, SpaceWish, WantedSpace};
use super::super::timer::Timer;
use super::{Life, Network};
use crate::ids::{ChannelName, RoomId, Time};

/// How long a room stays in the space while nobody knows its channel.
const UNSEEN_MS: u64 = 600_000;
/// Rooms that are put in or taken out at once.
const WINDOW: usize = 4;
/// The wait before the space is looked for again; it doubles up to 64 times as long.
const AGAIN_MS: u64 = 60_000;
/// A room for which there was no place is looked at again after so long.
const PLACE_MS: u64 = 30_000;
/// Where rooms cannot be put in the space is looked for again, once in so long.
const LOOK_MS: u64 = 600_000;

/// The space, and what is known of it.
#[derive(Debug, Default)]
pub(super) struct Space {
    room: Option<RoomId>,
    search: Search,
    failures: u32,
    looked_at: Option<Time>,
    /// Rooms that are to be put in or taken out.
    due: BTreeMap<RoomId, Placed>,
    under_way: BTreeSet<RoomId>,
    /// What was last asked for each room.
    told: BTreeMap<RoomId, Placed>,
    /// Rooms of whose channels nothing is known, or for which there was no place: when they are looked at again.
    later: BTreeMap<RoomId, Time>,
    /// Rooms whose pairing an earlier run left and the configuration has no more.
    over: BTreeSet<RoomId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Search {
    #[default]
    None,
    Asked,
    Found,
    /// Not found, and to be looked for again then.
    Failed(Time),
}

impl Network {
    /// Where an earlier run had the space.
    pub(super) fn space_known(&mut self, room: RoomId) {
        self.space.room = Some(room);
    }

    /// Everything that was known is given.
    pub(super) fn begin_space(&mut self) {
        match (self.policy.directory.space, &self.space.room) {
            (Rooms::None, None) => {}
            // Switched off since: its rooms are taken out.
            (Rooms::None, Some(room)) => self.space_found(Ok(room.clone())),
            (Rooms::Portals | Rooms::All, _) => self.look_for_space(),
        }
    }

    fn look_for_space(&mut self) {
        let alias = self.policy.aliases.space(&self.policy.server_name);
        let Some(alias) = alias.filter(|_| self.space.search != Search::Asked) else { return };
        let listing =
            if self.policy.directory.publish == Shown::On { Listing::Public } else { Listing::Private };
        let (known, name) = (self.space.room.clone(), self.policy.network_name.clone());
        self.space.search = Search::Asked;
        self.space.looked_at = Some(self.now);
        self.out.push(Effect::Space(SpaceWish::Find(WantedSpace { known, alias, name, listing })));
    }

    /// The space, or words on why there is none yet.
    pub(super) fn space_found(&mut self, result: Result<RoomId, String>) {
        match result {
            Ok(room) => {
                if self.space.room.as_ref() != Some(&room) {
                    self.space.told.clear();
                }
                (self.space.room, self.space.search, self.space.failures) = (Some(room), Search::Found, 0);
                let over = std::mem::take(&mut self.space.over).into_iter();
                let rooms: Vec<RoomId> =
                    self.portals.all().map(|portal| portal.room.clone()).chain(over).collect();
                rooms.iter().for_each(|room| self.put_in_place(room));
                self.place_due();
                self.forget_space_if_empty();
            }
            Err(_) => {
                let again = self.now.plus_ms(AGAIN_MS << self.space.failures.min(6));
                self.space.failures += 1;
                self.space.search = Search::Failed(again);
                self.timers.arm(Timer::Space, again);
            }
        }
    }

    /// Whether a channel is hidden or closed may be another.
    pub(super) fn space_changed(&mut self, channel: &ChannelName) {
        let rooms: Vec<RoomId> = self.portals.of_channel(channel).map(|portal| portal.room.clone()).collect();
        rooms.iter().for_each(|room| self.put_in_place(room));
        self.place_due();
    }

    /// A room is paired, or no longer.
    pub(super) fn space_follows(&mut self, room: &RoomId) {
        self.put_in_place(room);
        self.place_due();
    }

    /// The pairing of a room is over since the last run.
    pub(super) fn space_leaves(&mut self, room: &RoomId) {
        self.space.over.insert(room.clone());
    }

    fn put_in_place(&mut self, room: &RoomId) {
        if self.space.search != Search::Found {
            return;
        }
        let Some(placed) = self.placed(room) else {
            let at = self.now.plus_ms(UNSEEN_MS);
            let at = *self.space.later.entry(room.clone()).or_insert(at);
            return self.timers.arm(Timer::Space, at);
        };
        self.space.later.remove(room);
        self.wants_place(room, placed);
    }

    fn wants_place(&mut self, room: &RoomId, placed: Placed) {
        if self.space.told.get(room) == Some(&placed) {
            self.space.due.remove(room);
        } else {
            self.space.due.insert(room.clone(), placed);
        }
    }

    /// Where a room belongs; `None` while nobody knows.
    fn placed(&self, room: &RoomId) -> Option<Placed> {
        let meant = self.policy.directory.space;
        let portal = self.portals.of_room(room).filter(|portal| meant.has(portal.origin));
        let Some(name) = portal.map(|portal| &portal.channel).filter(|name| !self.is_excluded(name)) else {
            return Some(Placed::Out);
        };
        let channel = self.channels.get(name).filter(|channel| channel.roster().is_known())?;
        match Channel::is_shut(channel) {
            true => Some(Placed::Out),
            false => self.are_modes_settled(name).then_some(Placed::In),
        }
    }

    /// Puts in and takes out what is due, as far as there is a place. One step for a room is done at a time.
    fn place_due(&mut self) {
        let Some(space) = self.space.room.clone() else { return };
        if self.life != Life::Running || self.space.search != Search::Found {
            return;
        }
        while self.space.under_way.len() < WINDOW {
            let is_free = |room: &RoomId| !self.space.under_way.contains(room);
            let free = || self.space.due.iter().filter(|(room, _)| is_free(room));
            // What is hidden goes first.
            let out = free().find(|(_, placed)| **placed == Placed::Out);
            let next = out.or_else(|| free().next()).map(|(room, _)| room.clone());
            let Some((room, placed)) = next.and_then(|room| self.space.due.remove_entry(&room)) else {
                return;
            };
            self.space.under_way.insert(room.clone());
            self.space.told.insert(room.clone(), placed);
            let step = RoomStep::Place(SpacePlace { room, placed });
            self.out.push(Effect::Step { room: space.clone(), step });
        }
    }

    /// What became of a step.
    pub(super) fn place_done(&mut self, space: &RoomId, room: &RoomId, result: &StepResult) {
        self.space.under_way.remove(room);
        if self.space.room.as_ref() != Some(space) {
            return self.place_due();
        }
        match result {
            StepResult::Done => {}
            StepResult::NotTaken => {
                let at = self.now.plus_ms(PLACE_MS);
                self.space.told.remove(room);
                self.space.later.insert(room.clone(), at);
                return self.timers.arm(Timer::Space, at);
            }
            // What is to be out of it is not left in it.
            StepResult::Refused(_) if self.space.told.get(room) == Some(&Placed::Out) => {
                let at = self.now.plus_ms(LOOK_MS);
                self.space.told.remove(room);
                self.space.later.insert(room.clone(), at);
                return self.timers.arm(Timer::Space, at);
            }
            StepResult::Refused(_) => {
                let is_lately = self.space.looked_at.is_some_and(|at| self.now.since_ms(at) < LOOK_MS);
                if !is_lately && self.policy.directory.space != Rooms::None {
                    // In the space that is found it is tried once more.
                    self.space.told.remove(room);
                    return self.look_for_space();
                }
            }
        }
        if self.portals.of_room(room).is_none() && !self.space.due.contains_key(room) {
            self.space.told.remove(room);
        }
        self.place_due();
        self.forget_space_if_empty();
    }

    fn forget_space_if_empty(&mut self) {
        let is_idle = self.space.due.is_empty() && self.space.under_way.is_empty();
        if self.policy.directory.space == Rooms::None && is_idle && self.space.room.take().is_some() {
            self.space.search = Search::None;
            self.out.push(Effect::Space(SpaceWish::Forget));
        }
    }

    /// The space is to be looked for again, or nobody has known a channel for long enough.
    pub(super) fn space_due(&mut self) {
        let now = self.now;
        match self.space.search {
            Search::Failed(again) if again <= now => self.look_for_space(),
            Search::Failed(again) => self.timers.arm(Timer::Space, again),
            Search::None | Search::Asked | Search::Found => {}
        }
        let due = self.space.later.iter().filter(|(_, at)| **at <= now);
        let due: Vec<RoomId> = due.map(|(room, _)| room.clone()).collect();
        for room in due {
            self.space.later.remove(&room);
            let placed = self.placed(&room).unwrap_or(Placed::Out);
            self.wants_place(&room, placed);
        }
        self.timers.arm_if(Timer::Space, self.space.later.values().min().copied());
        self.place_due();
    }
}
