//! Which ghosts are in which rooms, which should be, and the steps between.
//!
//! Nothing here is a queue of what happened: a return takes back a leave that waits, and what is under way is judged anew
//! when it is done. So a netsplit whose people come back in time costs nothing, and nothing has to outlive the process.
//!
//! ```text
//!   here() ─▶ joins  ─ soon ──▶ ready ─▶ next() ─▶ under way ─▶ done(): whoever asks tells anew who is here
//!   gone() ─▶ leaves ─ grace ─▶   │ joins before leaves; who came lately before others
//! ```
//!
//! It knows rooms and ghosts; who is in a channel, and who of them is one of ours, it is told. It never asks for a leave
//! while nobody knows who is in the channel.

mod open;
mod storm;
mod wish;

use std::collections::{BTreeMap, BTreeSet};

use self::open::{Class, Open, Place, Turn};
use self::storm::Storm;
pub use self::wish::{Arrival, Cause, Counts, Due, Wish};
use crate::bridge::channel::roster::Going;
use crate::bridge::input::StepResult;
use crate::bridge::policy;
use crate::bridge::session::seen::Quitting;
use crate::ids::{Nick, RoomId, Time, UserId};

/// Steps of one network that are with the homeserver at once; the others wait here, where a return can take them back.
pub const WINDOW: usize = 16;
/// Joins and leaves that wait, over all rooms of a network, about 60 MB. More are left out, and their rooms compared
/// again in a minute.
pub const OPEN_MAX: usize = 200_000;
/// Who came is shown after so long: whoever is gone by then was never in the room.
pub const JOIN_MS: u64 = 5_000;
/// Refusals in a row after which a room is left alone for [`REST_MS`].
pub const REFUSALS_MAX: u32 = 16;
/// Ghosts whose refusal is remembered for one room; with one more the room is left alone for [`REST_MS`] and tries all anew.
pub const REFUSED_MAX: usize = 1_024;
pub const REST_MS: u64 = 3_600_000;
/// When a room is compared again because something had to be left out.
pub const AGAIN_MS: u64 = 60_000;

/// The ghosts of a network's rooms.
#[derive(Debug)]
pub struct Memberships {
    rules: policy::Members,
    rooms: BTreeMap<RoomId, Room>,
    /// What is not due yet.
    waiting: BTreeSet<(Time, RoomId, UserId)>,
    ready: BTreeSet<(Turn, RoomId, UserId)>,
    under_way: BTreeMap<(RoomId, UserId), Way>,
    /// Rooms to be compared as a whole, and when.
    again: BTreeMap<RoomId, Time>,
    turns: u64,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

#[derive(Debug, Default)]
struct Room {
    /// Those in it, as far as we know.
    ghosts: BTreeSet<UserId>,
    open: BTreeMap<UserId, Open>,
    /// Whom the room refused; not tried until something changes. At most [`REFUSED_MAX`].
    refused: BTreeSet<UserId>,
    refusals_in_a_row: u32,
    rests_until: Option<Time>,
    /// Somebody found no place.
    is_crowded: bool,
    storm: Storm,
}

impl Memberships {
    pub fn new(rules: policy::Members) -> Self {
        Self {
            rules,
            rooms: BTreeMap::new(),
            waiting: BTreeSet::new(),
            ready: BTreeSet::new(),
            under_way: BTreeMap::new(),
            again: BTreeMap::new(),
            turns: 0,
            counts: Counts::default(),
        }
    }

    /// This ghost is in the room, by the homeserver's word or because it speaks there: whoever speaks is let in before.
    pub fn inside(&mut self, room: &RoomId, user: &UserId) {
        let is_join = |open: &Open| matches!(open.wish, Wish::Join(_));
        let state = self.rooms.entry(room.clone()).or_default();
        state.refused.remove(user);
        if state.ghosts.insert(user.clone()) && state.open.get(user).is_some_and(is_join) {
            self.close(room, user);
        }
    }

    /// Somebody of Matrix put this ghost out: it is not let in again until its person comes anew, or speaks.
    pub fn put_out(&mut self, now: Time, room: &RoomId, user: &UserId) {
        self.close(room, user);
        if let Some(state) = self.rooms.get_mut(room) {
            state.ghosts.remove(user);
        }
        self.bar(now, room, user);
    }

    /// Somebody of Matrix wants this ghost in the room: an earlier refusal means nothing any more.
    pub fn welcome(&mut self, room: &RoomId, user: &UserId) {
        if let Some(state) = self.rooms.get_mut(room) {
            state.refused.remove(user);
        }
    }

    /// This person is in the channel and is to be shown in the room.
    pub fn here(&mut self, now: Time, room: &RoomId, user: &UserId, nick: &Nick, arrival: Arrival) {
        self.stays(room, user);
        let state = self.rooms.entry(room.clone()).or_default();
        if state.rests_until.is_some_and(|until| until <= now) {
            state.rest_is_over();
        }
        if arrival == Arrival::Lately {
            state.refused.remove(user);
        }
        let is_barred = state.rests_until.is_some() || state.refused.contains(user);
        let is_settled = state.ghosts.contains(user) || state.open.contains_key(user);
        if is_barred || is_settled || self.is_under_way(room, user) {
            return;
        }
        let place = match arrival {
            Arrival::Lately => Place::Waiting(now.plus_ms(JOIN_MS)),
            Arrival::Listed => Place::Ready(self.turn(Class::Listed)),
        };
        self.open(now, room, user, Wish::Join(nick.clone()), place);
    }

    /// This ghost may stay in the room if it is there: a leave that waits is taken back.
    pub fn stays(&mut self, room: &RoomId, user: &UserId) {
        let open = self.rooms.get(room).and_then(|state| state.open.get(user));
        if open.is_some_and(|open| matches!(open.wish, Wish::Leave(_))) {
            self.close(room, user);
        }
    }

    /// This person is not in the channel. A ghost that is in the room leaves it, late enough for a return.
    pub fn gone(&mut self, now: Time, room: &RoomId, user: &UserId, cause: Cause) {
        if let Cause::Went(Going::Quit(_)) = cause
            && self.rooms.get_mut(room).is_some_and(|state| state.storm.quit(now))
        {
            self.postpone(now, room);
        }
        let Some(state) = self.rooms.get(room) else { return };
        if !state.ghosts.contains(user) {
            return self.close(room, user);
        }
        let is_settled = state.open.contains_key(user) || state.refused.contains(user);
        if is_settled || self.is_under_way(room, user) {
            return;
        }
        let at = now.plus_ms(self.grace_ms(state, &cause, now));
        self.open(now, room, user, Wish::Leave(cause), Place::Waiting(at));
    }

    fn grace_ms(&self, state: &Room, cause: &Cause, now: Time) -> u64 {
        match cause {
            // Whoever put them out wants them to be seen out.
            Cause::Went(Going::Kicked { .. }) => 0,
            Cause::Went(Going::Parted | Going::Renamed(_)) => self.rules.grace_ms,
            Cause::Went(Going::Quit(Quitting::Gone | Quitting::ThrownOff)) if !state.storm.rages(now) => {
                self.rules.grace_ms
            }
            Cause::Went(Going::Quit(_)) | Cause::Unlisted | Cause::Outside => self.rules.split_grace_ms,
        }
    }

    /// So many quit in a moment that it is a netsplit, whatever its reason says: who quit with them waits as long.
    fn postpone(&mut self, now: Time, room: &RoomId) {
        let Some(state) = self.rooms.get_mut(room) else { return };
        for (user, open) in &mut state.open {
            let is_quit = matches!(open.wish, Wish::Leave(Cause::Went(Going::Quit(_))));
            if let Place::Waiting(at) = open.place
                && is_quit
                && storm::is_of_now(open.since, now)
            {
                let later = open.since.plus_ms(self.rules.split_grace_ms).max(at);
                self.waiting.remove(&(at, room.clone(), user.clone()));
                self.waiting.insert((later, room.clone(), user.clone()));
                open.place = Place::Waiting(later);
            }
        }
    }

    /// Nobody of ours is in the channel: who is there is not known, and nobody is made to come or leave.
    pub fn unknown(&mut self, room: &RoomId) {
        let Some(state) = self.rooms.get_mut(room) else { return };
        state.storm = Storm::default();
        let users: Vec<UserId> = state.open.keys().cloned().collect();
        users.iter().for_each(|user| self.close(room, user));
    }

    /// The room is no channel's any more: whoever is in it stays there.
    pub fn forget(&mut self, room: &RoomId) {
        self.unknown(room);
        self.rooms.remove(room);
        self.again.remove(room);
    }

    /// The ghosts that are in a room, as far as we know.
    pub fn ghosts(&self, room: &RoomId) -> impl Iterator<Item = &UserId> {
        self.rooms.get(room).into_iter().flat_map(|state| &state.ghosts)
    }

    /// How many are still to join a room, and how many to leave it.
    pub fn steps_open(&self, room: &RoomId) -> (usize, usize) {
        let waiting = self.rooms.get(room).into_iter().flat_map(|state| state.open.values());
        let ways = waiting.map(|open| if matches!(open.wish, Wish::Join(_)) { Way::In } else { Way::Out });
        let under_way = self.under_way.iter().filter(|((other, _), _)| other == room).map(|(_, way)| *way);
        let (coming, going): (Vec<Way>, Vec<Way>) = ways.chain(under_way).partition(|way| *way == Way::In);
        (coming.len(), going.len())
    }

    /// True when this ghost is in the room, as far as we know.
    pub fn has(&self, room: &RoomId, user: &UserId) -> bool {
        self.rooms.get(room).is_some_and(|state| state.ghosts.contains(user))
    }

    /// The next step, while there is a place for one under way. It is forgotten here, unless [`begin`](Self::begin) follows.
    pub fn next(&mut self, now: Time) -> Option<Due> {
        self.ripen(now);
        while self.under_way.len() < WINDOW
            && let Some((_, room, user)) = self.ready.first().cloned()
        {
            let open = self.close_open(&room, &user)?;
            if matches!(open.wish, Wish::Leave(_)) || self.has_place(&room) {
                return Some(Due { room, user, wish: open.wish });
            }
        }
        None
    }

    /// True where one more ghost may join. A room that rests is compared again anyway; who finds none joins when they speak, or when a place is free.
    fn has_place(&mut self, room: &RoomId) -> bool {
        let on_their_way =
            self.under_way.iter().filter(|((other, _), way)| other == room && **way == Way::In);
        let on_their_way = on_their_way.count();
        let Some(state) = self.rooms.get_mut(room) else { return false };
        if state.rests_until.is_some() {
            return false;
        }
        let has_place = state.ghosts.len() + on_their_way < self.rules.ghosts_max;
        state.is_crowded |= !has_place;
        has_place
    }

    /// The step is with the homeserver.
    pub fn begin(&mut self, due: &Due) {
        let way = match due.wish {
            Wish::Join(_) => Way::In,
            Wish::Leave(_) => Way::Out,
        };
        self.under_way.insert((due.room.clone(), due.user.clone()), way);
    }

    /// What became of a step.
    pub fn done(&mut self, now: Time, room: &RoomId, user: &UserId, result: &StepResult) {
        let Some(way) = self.under_way.remove(&(room.clone(), user.clone())) else { return };
        let state = self.rooms.entry(room.clone()).or_default();
        match (way, result) {
            (Way::In, StepResult::Done) => {
                state.refusals_in_a_row = 0;
                state.ghosts.insert(user.clone());
                self.counts.joined += 1;
            }
            (Way::Out, StepResult::Done) => {
                state.ghosts.remove(user);
                self.counts.left += 1;
                if std::mem::take(&mut state.is_crowded) {
                    self.compare_later(room, now.plus_ms(AGAIN_MS));
                }
            }
            (Way::In | Way::Out, StepResult::Refused(_)) => {
                self.counts.refused += 1;
                state.refusals_in_a_row += 1;
                self.bar(now, room, user);
            }
            (Way::In | Way::Out, StepResult::NotTaken) => self.compare_later(room, now.plus_ms(AGAIN_MS)),
        }
    }

    /// Nothing more of this ghost is tried here, and of the whole room where that is usual.
    fn bar(&mut self, now: Time, room: &RoomId, user: &UserId) {
        let Some(state) = self.rooms.get_mut(room) else { return };
        state.refused.insert(user.clone());
        if state.refusals_in_a_row >= REFUSALS_MAX || state.refused.len() >= REFUSED_MAX {
            let until = now.plus_ms(REST_MS);
            state.rests_until = Some(until);
            self.compare_later(room, until);
        }
    }

    fn compare_later(&mut self, room: &RoomId, at: Time) {
        let due = self.again.entry(room.clone()).or_insert(at);
        *due = (*due).min(at);
    }

    /// The rooms that are to be compared as a whole now, because something was left out.
    pub fn due_again(&mut self, now: Time) -> Vec<RoomId> {
        let due: Vec<RoomId> =
            self.again.iter().filter(|(_, at)| **at <= now).map(|(room, _)| room.clone()).collect();
        due.iter().for_each(|room| {
            self.again.remove(room);
        });
        due
    }

    /// When something will be due. With all places taken that is when one is free, which is no matter of time.
    pub fn poll_timeout(&self) -> Option<Time> {
        let is_full = self.under_way.len() >= WINDOW;
        let next = self.waiting.first().map(|(at, ..)| *at).filter(|_| !is_full);
        self.again.values().copied().chain(next).min()
    }

    pub fn counts(&self) -> Counts {
        let waiting = self.waiting.len() + self.ready.len() + self.under_way.len();
        Counts { waiting: waiting as u64, ..self.counts }
    }

    fn is_under_way(&self, room: &RoomId, user: &UserId) -> bool {
        self.under_way.contains_key(&(room.clone(), user.clone()))
    }

    fn turn(&mut self, class: Class) -> Turn {
        self.turns += 1;
        Turn(class, self.turns)
    }

    fn open(&mut self, now: Time, room: &RoomId, user: &UserId, wish: Wish, place: Place) {
        if self.waiting.len() + self.ready.len() >= OPEN_MAX {
            return self.compare_later(room, now.plus_ms(AGAIN_MS));
        }
        self.put(room, user, place);
        let state = self.rooms.entry(room.clone()).or_default();
        state.open.insert(user.clone(), Open { wish, since: now, place });
    }

    fn put(&mut self, room: &RoomId, user: &UserId, place: Place) {
        let (room, user) = (room.clone(), user.clone());
        match place {
            Place::Waiting(at) => self.waiting.insert((at, room, user)),
            Place::Ready(turn) => self.ready.insert((turn, room, user)),
        };
    }

    /// What waited long enough is ready.
    fn ripen(&mut self, now: Time) {
        while let Some((_, room, user)) = self.waiting.first().filter(|(at, ..)| *at <= now).cloned() {
            let Some(open) = self.close_open(&room, &user) else { return };
            let place = Place::Ready(self.turn(match open.wish {
                Wish::Join(_) => Class::CameLately,
                Wish::Leave(_) => Class::Leaves,
            }));
            self.put(&room, &user, place);
            let state = self.rooms.entry(room).or_default();
            state.open.insert(user, Open { place, ..open });
        }
    }

    fn close(&mut self, room: &RoomId, user: &UserId) {
        self.close_open(room, user);
    }

    fn close_open(&mut self, room: &RoomId, user: &UserId) -> Option<Open> {
        let open = self.rooms.get_mut(room)?.open.remove(user)?;
        match open.place {
            Place::Waiting(at) => self.waiting.remove(&(at, room.clone(), user.clone())),
            Place::Ready(turn) => self.ready.remove(&(turn, room.clone(), user.clone())),
        };
        Some(open)
    }
}

impl Room {
    /// Everybody may be tried again.
    fn rest_is_over(&mut self) {
        self.rests_until = None;
        self.refused.clear();
        self.refusals_in_a_row = 0;
    }
}

#[cfg(test)]
mod tests;
