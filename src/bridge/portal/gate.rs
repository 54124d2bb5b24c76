//! Who is in a room while their puppet is not in its channel, and for how long that has been so.
//!
//! ```text
//!   out of the channel ─▶ Waiting ── the grace is over ─▶ Asked ── the homeserver has removed them ─▶ Removed
//!                            │                              │
//!                            └──── in the channel, or out of the room: forgotten ────┘
//! ```
//!
//! A clock for each person and room; in another room of the same channel it goes on where it stood. It runs while there is something to read (others of ours are in the channel) and the
//! puppet had its turn to connect: neither an outage of the network nor our own pace makes anybody late. It knows no
//! channel, no puppet and no words but those it is given; what follows of a time is decided by whoever asks.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::{RoomId, Time, UserId};

/// For how long it is remembered who was removed or left.
pub const LATELY_MS: u64 = 3_600_000;
/// How many are remembered; with one more the oldest is forgotten, and would have the grace again.
const LATELY_MAX: usize = 4_096;
/// The first wait before a channel is asked again, doubled each time.
const AGAIN_MS_MIN: u64 = 30_000;
const AGAIN_MS_MAX: u64 = 600_000;

/// What has happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// People who are in a room and not in its channel.
    pub waiting: u64,
    /// People who were removed from a room.
    pub removed: u64,
    /// Attempts to remove somebody that the homeserver refused.
    pub refused: u64,
}

/// All who are in a room and not in its channel.
#[derive(Debug, Default)]
pub struct Gate {
    waiters: BTreeMap<(RoomId, UserId), Waiter>,
    /// Who was removed, or left while the clock ran, the latest last.
    lately: VecDeque<(Time, RoomId, UserId)>,
    counts: Counts,
}

/// Somebody in a room whose puppet is not in the channel.
#[derive(Clone, Debug, Default)]
pub struct Waiter {
    spent_ms: u64,
    /// Since when the clock runs.
    runs_since: Option<Time>,
    had_turn: bool,
    /// They, or the room, know.
    pub told: Told,
    /// The channel's own refusal, in words for people.
    pub refusal: Option<Refused>,
    pub stage: Stage,
    /// Their removal, once it was asked for.
    pub removal: Removal,
    /// They were here a while ago, and have had their grace.
    pub is_back: bool,
}

/// Whether something was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    Yes,
    #[default]
    NotYet,
}

/// What was asked of the homeserver, and how often it refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    pub reason: String,
    /// When it is asked again, where it has refused.
    pub again: Option<Time>,
    tries: u32,
}

impl Removal {
    /// The homeserver has refused: it is asked again, later each time. `true` for the first time.
    pub fn try_later(&mut self, now: Time) -> bool {
        self.again = Some(now.plus_ms(later_ms(self.tries)));
        self.tries = self.tries.saturating_add(1);
        self.tries == 1
    }
}

/// How far somebody's removal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    #[default]
    Waiting,
    /// The homeserver was asked to remove them.
    Asked,
    /// It has, and has yet to show it.
    Removed,
}

/// A channel does not let somebody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub words: String,
    /// When the channel is asked again by itself, if at all.
    pub again: Option<Time>,
    tries: u32,
}

impl Refused {
    /// Refused once more, after `before`.
    pub fn new(words: String, before: Option<&Self>) -> Self {
        Self { words, again: None, tries: before.map_or(0, |before| before.tries) }
    }

    /// Lets the channel be asked again, later each time.
    pub fn try_later(&mut self, now: Time) {
        self.again = Some(now.plus_ms(later_ms(self.tries)));
        self.tries = self.tries.saturating_add(1);
    }
}

/// How long to wait after so many refusals.
fn later_ms(tries: u32) -> u64 {
    AGAIN_MS_MIN.saturating_mul(1 << tries.min(10)).min(AGAIN_MS_MAX)
}

impl Waiter {
    /// How much of the grace is used up.
    pub fn spent_ms(&self, now: Time) -> u64 {
        self.spent_ms + self.runs_since.map_or(0, |since| now.since_ms(since))
    }

    /// When so much of it will be, if nothing changes.
    pub fn when_spent(&self, ms: u64) -> Option<Time> {
        Some(self.runs_since?.plus_ms(ms.saturating_sub(self.spent_ms)))
    }

    /// True while there is something to read for them, and it is up to them.
    pub fn is_running(&self) -> bool {
        self.runs_since.is_some()
    }

    /// There is something to read. It counts once the puppet had its turn.
    pub fn read(&mut self, now: Time, has_turn: bool) {
        self.had_turn |= has_turn;
        if self.had_turn {
            self.runs_since.get_or_insert(now);
        }
    }

    /// There is nothing to read, and whoever comes back needs a turn again.
    pub fn unread(&mut self, now: Time) {
        self.spent_ms = self.spent_ms(now);
        self.runs_since = None;
        self.had_turn = false;
    }
}

impl Gate {
    /// Somebody in a room, whose puppet is not in the channel. `rooms` are all of the channel: one grace is theirs for all of
    /// them, and one refusal.
    pub fn out(&mut self, now: Time, room: &RoomId, user: &UserId, rooms: &[RoomId]) -> &mut Waiter {
        let key = (room.clone(), user.clone());
        if !self.waiters.contains_key(&key) {
            let waiter = self.begun(now, room, user, rooms);
            self.waiters.insert(key.clone(), waiter);
        }
        self.waiters.entry(key).or_default()
    }

    /// How somebody begins to wait: as they do in another room, or anew.
    fn begun(&self, now: Time, room: &RoomId, user: &UserId, rooms: &[RoomId]) -> Waiter {
        let is_back = self.was_removed_lately(now, user, |of| of == room || rooms.contains(of));
        let others = rooms.iter().filter_map(|other| self.get(other, user));
        match others.max_by_key(|other| other.spent_ms(now)) {
            Some(other) => Waiter {
                told: Told::NotYet,
                stage: Stage::Waiting,
                removal: Removal::default(),
                is_back: is_back || other.is_back,
                ..other.clone()
            },
            None => Waiter { is_back, ..Waiter::default() },
        }
    }

    fn was_removed_lately(&self, now: Time, user: &UserId, is_meant: impl Fn(&RoomId) -> bool) -> bool {
        let is_it = |(at, of, who): &(Time, RoomId, UserId)| {
            who == user && now.since_ms(*at) < LATELY_MS && is_meant(of)
        };
        self.lately.iter().rev().any(is_it)
    }

    pub fn get(&self, room: &RoomId, user: &UserId) -> Option<&Waiter> {
        self.waiters.get(&(room.clone(), user.clone()))
    }

    pub fn get_mut(&mut self, room: &RoomId, user: &UserId) -> Option<&mut Waiter> {
        self.waiters.get_mut(&(room.clone(), user.clone()))
    }

    /// They left the room; who comes back has had the grace.
    pub fn left(&mut self, now: Time, room: &RoomId, user: &UserId) -> Option<Waiter> {
        let waiter = self.forget(room, user)?;
        if waiter.spent_ms(now) > 0 {
            self.note_lately(now, room, user);
        }
        Some(waiter)
    }

    /// They are in the channel, of which `rooms` are all: whatever was is over.
    pub fn admit(&mut self, room: &RoomId, user: &UserId, rooms: &[RoomId]) -> Option<Waiter> {
        self.lately.retain(|(_, of, who)| who != user || (of != room && !rooms.contains(of)));
        self.forget(room, user)
    }

    /// They are to be looked at anew.
    pub fn forget(&mut self, room: &RoomId, user: &UserId) -> Option<Waiter> {
        self.waiters.remove(&(room.clone(), user.clone()))
    }

    /// The homeserver is asked to remove them.
    pub fn asks(&mut self, now: Time, room: &RoomId, user: &UserId, reason: &str) {
        let waiter = self.waiters.entry((room.clone(), user.clone())).or_default();
        waiter.stage = Stage::Asked;
        waiter.removal = Removal { reason: reason.to_owned(), ..Removal::default() };
        self.note_lately(now, room, user);
    }

    /// They have had the grace: back in this room they get none within [`LATELY_MS`].
    pub fn note_lately(&mut self, now: Time, room: &RoomId, user: &UserId) {
        self.lately.retain(|(at, of, who)| now.since_ms(*at) < LATELY_MS && (of, who) != (room, user));
        if self.lately.len() >= LATELY_MAX {
            self.lately.pop_front();
        }
        self.lately.push_back((now, room.clone(), user.clone()));
    }

    /// The homeserver has removed somebody; they may have come back since.
    pub fn removed(&mut self, room: &RoomId, user: &UserId) {
        self.counts.removed += 1;
        if let Some(waiter) = self.get_mut(room, user).filter(|waiter| waiter.stage == Stage::Asked) {
            waiter.stage = Stage::Removed;
        }
    }

    /// The homeserver does not remove somebody.
    pub fn refused(&mut self) {
        self.counts.refused += 1;
    }

    /// All of them, by room.
    pub fn all(&self) -> impl Iterator<Item = (&RoomId, &UserId, &Waiter)> {
        self.waiters.iter().map(|((room, user), waiter)| (room, user, waiter))
    }

    pub fn counts(&self) -> Counts {
        Counts { waiting: self.waiters.len() as u64, ..self.counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> RoomId {
        RoomId::new("!r").unwrap()
    }

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn the_clock_runs_while_there_is_something_to_read_and_after_a_turn() {
        let mut waiter = Waiter::default();
        waiter.read(Time(0), false);
        assert_eq!((waiter.spent_ms(Time(500)), waiter.when_spent(900)), (0, None), "no turn yet");
        waiter.read(Time(1_000), true);
        waiter.read(Time(1_200), false);
        assert_eq!(waiter.spent_ms(Time(1_500)), 500);
        assert_eq!(waiter.when_spent(900), Some(Time(1_900)));
        waiter.unread(Time(1_600));
        assert_eq!(waiter.spent_ms(Time(9_000)), 600);
        waiter.read(Time(10_000), false);
        assert_eq!(waiter.spent_ms(Time(11_000)), 600, "an outage is over: everybody needs a turn again");
        waiter.read(Time(12_000), true);
        assert_eq!(waiter.when_spent(900), Some(Time(12_300)), "what was spent stays spent");
    }

    #[test]
    fn who_comes_back_has_had_the_grace_for_a_while() {
        let mut gate = Gate::default();
        gate.asks(Time(0), &room(), &user("@a:hs"), "no");
        gate.left(Time(0), &room(), &user("@a:hs"));
        assert!(gate.out(Time(1_000), &room(), &user("@a:hs"), &[]).is_back);
        gate.out(Time(1_000), &room(), &user("@b:hs"), &[]).read(Time(2_000), true);
        gate.left(Time(3_000), &room(), &user("@b:hs"));
        assert!(
            gate.out(Time(3_000), &room(), &user("@b:hs"), &[]).is_back,
            "leaving in time is no way round it"
        );
        assert!(!gate.out(Time(1_000), &room(), &user("@c:hs"), &[]).is_back);
        gate.forget(&room(), &user("@a:hs"));
        assert!(!gate.out(Time(LATELY_MS), &room(), &user("@a:hs"), &[]).is_back);
        gate.admit(&room(), &user("@b:hs"), &[]);
        assert!(!gate.out(Time(4_000), &room(), &user("@b:hs"), &[]).is_back, "he was in the channel since");
    }

    #[test]
    fn who_was_removed_is_remembered_within_bounds() {
        let mut gate = Gate::default();
        for n in 0..=LATELY_MAX {
            let user = user(&format!("@u{n}:hs"));
            gate.asks(Time(0), &room(), &user, "no");
            gate.forget(&room(), &user);
        }
        assert_eq!(gate.lately.len(), LATELY_MAX);
        assert!(!gate.out(Time(1), &room(), &user("@u0:hs"), &[]).is_back);
        assert!(gate.out(Time(1), &room(), &user("@u1:hs"), &[]).is_back);
    }

    #[test]
    fn another_room_of_the_channel_is_no_new_grace() {
        let (other, ada) = (RoomId::new("!other").unwrap(), user("@ada:hs"));
        let rooms = [room(), other.clone()];
        let mut gate = Gate::default();
        gate.out(Time(0), &room(), &ada, &rooms).read(Time(0), true);
        gate.get_mut(&room(), &ada).unwrap().told = Told::Yes;
        let there = gate.out(Time(700), &other, &ada, &rooms);
        assert_eq!(
            (there.spent_ms(Time(900)), there.told),
            (900, Told::NotYet),
            "that room has not heard of it"
        );
        gate.asks(Time(1_000), &room(), &ada, "no");
        gate.left(Time(1_000), &room(), &ada);
        gate.left(Time(1_000), &other, &ada);
        assert!(
            gate.out(Time(2_000), &other, &ada, &rooms).is_back,
            "removed from one is known in the other"
        );
        let elsewhere = RoomId::new("!elsewhere").unwrap();
        assert!(!gate.out(Time(2_000), &elsewhere, &ada, &[]).is_back);
    }

    #[test]
    fn a_removal_that_is_refused_is_asked_for_again_later_and_later() {
        let mut removal = Removal::default();
        let firsts = [0, 1, 2].map(|_| removal.try_later(Time(0)));
        assert_eq!((firsts, removal.again), ([true, false, false], Some(Time(120_000))));
    }

    #[test]
    fn a_channel_is_asked_again_later_and_later() {
        let mut refused: Option<Refused> = None;
        let mut waits = Vec::new();
        for _ in 0..7 {
            let mut next = Refused::new("full".into(), refused.as_ref());
            next.try_later(Time(0));
            waits.push(next.again.unwrap().0);
            refused = Some(next);
        }
        assert_eq!(waits, [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
    }

    #[test]
    fn an_answer_that_comes_late_lets_nobody_read() {
        let mut gate = Gate::default();
        gate.asks(Time(0), &room(), &user("@a:hs"), "no");
        gate.forget(&room(), &user("@a:hs"));
        gate.out(Time(1), &room(), &user("@a:hs"), &[]);
        gate.removed(&room(), &user("@a:hs"));
        assert_eq!(gate.get(&room(), &user("@a:hs")).unwrap().stage, Stage::Waiting, "they came back since");
        assert_eq!(gate.counts(), Counts { waiting: 1, removed: 1, refused: 0 });
    }
}
