//! Who is to be removed from which room, and the rooms where that is refused.
//!
//! A removal that is refused stays at the head of its room's lane and keeps back what was said after it, until the
//! homeserver takes it or somebody pardons it. That is bounded for one room and in rooms, so that rooms where all is well keep
//! their places. Pure: knows neither lanes nor time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::bridge::effect::Meanwhile;
use crate::ids::{RoomId, UserId};

/// The first wait after a refusal, doubled each time.
const WAIT_MIN: Duration = Duration::from_secs(30);
const WAIT_MAX: Duration = Duration::from_secs(600);

/// Things that wait behind a removal in one room. Full: the oldest line goes, and the room is told how many went.
pub const WITHHELD_MAX: usize = 1_000;
/// Rooms in which things wait behind a removal. With all of them full, half of what may wait in all is theirs. Where one more
/// refuses, nothing waits: what is said goes, and the room is told how many lines that were.
pub const BARRED_MAX: usize = 100;

/// Removals that wait or are in hand, beside what else the outbox holds: chat never takes their place. One more is not taken, and
/// whoever asked for it is told.
pub const REMOVALS_MAX: usize = 50_000;

/// Removals that are not over.
#[derive(Default)]
pub(super) struct Bars {
    open: HashMap<RoomId, HashMap<UserId, Bar>>,
    barred: BTreeMap<RoomId, Barred>,
    count: usize,
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

struct Bar {
    /// Removals of this person that wait in the room's lane, or are in hand.
    count: u32,
    is_pardoned: bool,
    meanwhile: Meanwhile,
}

impl Bars {
    /// Somebody is to be removed, whatever was said before.
    pub(super) fn begin(&mut self, room: &RoomId, user: &UserId, meanwhile: Meanwhile) {
        let people = self.open.entry(room.clone()).or_default();
        let bar = people.entry(user.clone()).or_insert(Bar { count: 0, is_pardoned: false, meanwhile });
        bar.count += 1;
        self.count += 1;
        bar.is_pardoned = false;
        bar.meanwhile = meanwhile;
    }

    /// True while somebody may read in this room who must not: from when their removal is asked for until it is over. What is
    /// not in the room's lane has to wait as well.
    pub(super) fn withholds(&self, room: &RoomId) -> bool {
        let counts = |bar: &Bar| !bar.is_pardoned && bar.meanwhile == Meanwhile::Withheld;
        self.open.get(room).is_some_and(|people| people.values().any(counts))
    }

    /// True while one more may wait.
    pub(super) fn has_place(&self) -> bool {
        self.count < REMOVALS_MAX
    }

    /// Who is to be removed from this room, and must not read on.
    pub(super) fn people(&self, room: &RoomId) -> Vec<UserId> {
        let people = self.open.get(room).into_iter().flatten();
        let counts = |bar: &Bar| !bar.is_pardoned && bar.meanwhile == Meanwhile::Withheld;
        people.filter(|(_, bar)| counts(bar)).map(|(user, _)| user.clone()).collect()
    }

    fn bar(&self, room: &RoomId, user: &UserId) -> Option<&Bar> {
        self.open.get(room)?.get(user)
    }

    /// Somebody need not be removed. `true` when their room's lane waits for it.
    pub(super) fn pardon(&mut self, room: &RoomId, user: &UserId) -> bool {
        let Some(bar) = self.open.get_mut(room).and_then(|people| people.get_mut(user)) else { return false };
        bar.is_pardoned = true;
        self.is_barred_by(room, user)
    }

    /// True when this removal is to be left out.
    pub(super) fn is_pardoned(&self, room: &RoomId, user: &UserId) -> bool {
        self.bar(room, user).is_some_and(|bar| bar.is_pardoned)
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
        let Some(people) = self.open.get_mut(room) else { return };
        if let Some(bar) = people.get_mut(user) {
            bar.count -= 1;
            self.count -= 1;
            if bar.count == 0 {
                people.remove(user);
            }
        }
        if people.is_empty() {
            self.open.remove(room);
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
        bars.begin(&room, &user, Meanwhile::Withheld);
        assert!(bars.withholds(&room));
        assert!(!bars.pardon(&room, &user), "it is not the room's lane that waits");
        assert!(bars.is_pardoned(&room, &user) && !bars.withholds(&room));
        bars.begin(&room, &user, Meanwhile::Withheld);
        assert!(!bars.is_pardoned(&room, &user) && bars.withholds(&room));
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
            bars.begin(&room(n), &user, Meanwhile::Withheld);
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
