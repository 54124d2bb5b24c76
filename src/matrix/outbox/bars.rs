//! Who is to be removed from which room, and the rooms where that is refused.
//!
//! A removal that is refused stays at the head of its room's lane and keeps back what was said after it, until the
//! homeserver takes it or somebody pardons it. That is bounded for one room and in rooms, so that rooms where all is well keep
//! their places. Pure: knows neither lanes nor time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::ids::{RoomId, UserId};

/// The first wait after a refusal, doubled each time.
const WAIT_MIN: Duration = Duration::from_secs(30);
const WAIT_MAX: Duration = Duration::from_secs(600);

/// Things that wait behind a removal in one room. Full: the oldest line goes, and the room is told how many went.
pub const WITHHELD_MAX: usize = 1_000;
/// Rooms in which things wait behind a removal. With all of them full, half of what may wait in all is theirs. Where one more
/// refuses, nothing waits: what is said goes, and the room is told how many lines that were.
pub const BARRED_MAX: usize = 100;

/// Removals that are not over.
#[derive(Default)]
pub(super) struct Bars {
    open: HashMap<(RoomId, UserId), Bar>,
    barred: BTreeMap<RoomId, Barred>,
}

/// A removal that stands at the head of a room's lane, refused.
struct Barred {
    user: UserId,
    place: Place,
}

/// Whether what is said behind a removal is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Kept,
    Nowhere,
}

#[derive(Default)]
struct Bar {
    /// Removals of this person that wait in the room's lane, or are in hand.
    count: u32,
    is_pardoned: bool,
}

impl Bars {
    /// Somebody is to be removed, whatever was said before.
    pub(super) fn begin(&mut self, room: &RoomId, user: &UserId) {
        let bar = self.open.entry((room.clone(), user.clone())).or_default();
        bar.count += 1;
        bar.is_pardoned = false;
    }

    /// Somebody need not be removed. `true` when their room's lane waits for it.
    pub(super) fn pardon(&mut self, room: &RoomId, user: &UserId) -> bool {
        let Some(bar) = self.open.get_mut(&(room.clone(), user.clone())) else { return false };
        bar.is_pardoned = true;
        self.is_barred_by(room, user)
    }

    /// True when this removal is to be left out.
    pub(super) fn is_pardoned(&self, room: &RoomId, user: &UserId) -> bool {
        self.open.get(&(room.clone(), user.clone())).is_some_and(|bar| bar.is_pardoned)
    }

    /// The homeserver refuses: the lane waits from now on.
    pub(super) fn refused(&mut self, room: &RoomId, user: &UserId) {
        let kept = self.barred.values().filter(|barred| barred.place == Place::Kept).count();
        let place = if kept < BARRED_MAX { Place::Kept } else { Place::Nowhere };
        let barred = Barred { user: user.clone(), place };
        self.barred.entry(room.clone()).or_insert(barred).user = user.clone();
    }

    fn is_barred_by(&self, room: &RoomId, user: &UserId) -> bool {
        self.barred.get(room).is_some_and(|barred| barred.user == *user)
    }

    /// How much may wait behind the removal in this room's lane; `None` where none is refused.
    pub(super) fn place(&self, room: &RoomId) -> Option<usize> {
        self.barred.get(room).map(|barred| match barred.place {
            Place::Kept => WITHHELD_MAX,
            Place::Nowhere => 0,
        })
    }

    /// One removal has been done, or left out.
    pub(super) fn end(&mut self, room: &RoomId, user: &UserId) {
        if self.is_barred_by(room, user) {
            self.barred.remove(room);
        }
        let key = (room.clone(), user.clone());
        if let Some(bar) = self.open.get_mut(&key) {
            bar.count -= 1;
            if bar.count == 0 {
                self.open.remove(&key);
            }
        }
    }

    /// Rooms whose lanes wait.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.barred.keys()
    }
}

/// How long to wait after so many refusals.
pub(super) fn wait(refusals: u32) -> Duration {
    WAIT_MIN.saturating_mul(1 << refusals.saturating_sub(1).min(10)).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pardon_counts_for_those_before_it_and_not_for_those_after() {
        let (room, user) = (RoomId::new("!r").unwrap(), UserId::new("@a:s").unwrap());
        let mut bars = Bars::default();
        assert!(!bars.pardon(&room, &user), "nobody is to go");
        bars.begin(&room, &user);
        assert!(!bars.pardon(&room, &user), "it is not the room's lane that waits");
        assert!(bars.is_pardoned(&room, &user));
        bars.begin(&room, &user);
        assert!(!bars.is_pardoned(&room, &user));
        bars.refused(&room, &user);
        assert_eq!(bars.rooms().count(), 1);
        assert!(bars.pardon(&room, &user));
        bars.end(&room, &user);
        bars.end(&room, &user);
        assert!(bars.rooms().next().is_none() && bars.open.is_empty());
    }

    #[test]
    fn so_many_rooms_keep_back_and_one_that_is_over_gives_its_place_to_the_next() {
        let user = UserId::new("@a:s").unwrap();
        let room = |n: usize| RoomId::new(&format!("!r{n}")).unwrap();
        let mut bars = Bars::default();
        for n in 0..=BARRED_MAX {
            bars.begin(&room(n), &user);
            bars.refused(&room(n), &user);
            bars.refused(&room(n), &user);
        }
        assert_eq!((bars.place(&room(0)), bars.place(&room(BARRED_MAX))), (Some(WITHHELD_MAX), Some(0)));
        bars.end(&room(0), &user);
        bars.end(&room(BARRED_MAX), &user);
        assert_eq!(bars.place(&room(0)), None);
        bars.refused(&room(BARRED_MAX), &user);
        assert_eq!(bars.place(&room(BARRED_MAX)), Some(WITHHELD_MAX));
    }

    #[test]
    fn the_homeserver_is_asked_again_later_and_later() {
        assert_eq!([1, 2, 3, 6, 40].map(|n| wait(n).as_secs()), [30, 60, 120, 600, 600]);
    }
}
