//! Who is in a room while their puppet is not in its channel, and for how long that has been so.
//!
//! ```text
//!   out of the channel ─▶ Waiting ── the grace is over ─▶ Asked ── the homeserver has removed them ─▶ Removed
//!                            │                              │
//!                            └──── in the channel, or out of the room: forgotten ────┘
//! ```
//!
//! A clock for each person and room. It runs while there is something to read (others of ours are in the channel) and the
//! puppet had its turn to connect: neither an outage of the network nor our own pace makes anybody late. It knows no
//! channel, no puppet and no words but those it is given; what follows of a time is decided by whoever asks.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::{RoomId, Time, UserId};

/// For how long it is remembered who was removed or left.
const LATELY_MS: u64 = 3_600_000;
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
#[derive(Debug, Default)]
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
        let wait = AGAIN_MS_MIN.saturating_mul(1 << self.tries.min(10)).min(AGAIN_MS_MAX);
        self.tries = self.tries.saturating_add(1);
        self.again = Some(now.plus_ms(wait));
    }
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
    /// Somebody in a room, whose puppet is not in the channel.
    pub fn out(&mut self, now: Time, room: &RoomId, user: &UserId) -> &mut Waiter {
        let is_back = self.was_removed_lately(now, room, user);
        let waiter = self.waiters.entry((room.clone(), user.clone()));
        waiter.or_insert_with(|| Waiter { is_back, ..Waiter::default() })
    }

    fn was_removed_lately(&self, now: Time, room: &RoomId, user: &UserId) -> bool {
        let is_it = |(at, of, who): &&(Time, RoomId, UserId)| {
            of == room && who == user && now.since_ms(*at) < LATELY_MS
        };
        self.lately.iter().rev().any(|entry| is_it(&entry))
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

    /// They are in the channel: whatever was is over.
    pub fn admit(&mut self, room: &RoomId, user: &UserId) -> Option<Waiter> {
        self.lately.retain(|(_, of, who)| (of, who) != (room, user));
        self.forget(room, user)
    }

    /// They are to be looked at anew.
    pub fn forget(&mut self, room: &RoomId, user: &UserId) -> Option<Waiter> {
        self.waiters.remove(&(room.clone(), user.clone()))
    }

    /// The homeserver is asked to remove them.
    pub fn asks(&mut self, now: Time, room: &RoomId, user: &UserId) {
        self.out(now, room, user).stage = Stage::Asked;
        self.note_lately(now, room, user);
    }

    fn note_lately(&mut self, now: Time, room: &RoomId, user: &UserId) {
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
        gate.asks(Time(0), &room(), &user("@a:hs"));
        gate.left(Time(0), &room(), &user("@a:hs"));
        assert!(gate.out(Time(1_000), &room(), &user("@a:hs")).is_back);
        gate.out(Time(1_000), &room(), &user("@b:hs")).read(Time(2_000), true);
        gate.left(Time(3_000), &room(), &user("@b:hs"));
        assert!(gate.out(Time(3_000), &room(), &user("@b:hs")).is_back, "leaving in time is no way round it");
        assert!(!gate.out(Time(1_000), &room(), &user("@c:hs")).is_back);
        gate.forget(&room(), &user("@a:hs"));
        assert!(!gate.out(Time(LATELY_MS), &room(), &user("@a:hs")).is_back);
        gate.admit(&room(), &user("@b:hs"));
        assert!(!gate.out(Time(4_000), &room(), &user("@b:hs")).is_back, "he was in the channel since");
    }

    #[test]
    fn who_was_removed_is_remembered_within_bounds() {
        let mut gate = Gate::default();
        for n in 0..=LATELY_MAX {
            let user = user(&format!("@u{n}:hs"));
            gate.asks(Time(0), &room(), &user);
            gate.forget(&room(), &user);
        }
        assert_eq!(gate.lately.len(), LATELY_MAX);
        assert!(!gate.out(Time(1), &room(), &user("@u0:hs")).is_back);
        assert!(gate.out(Time(1), &room(), &user("@u1:hs")).is_back);
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
        gate.asks(Time(0), &room(), &user("@a:hs"));
        gate.forget(&room(), &user("@a:hs"));
        gate.out(Time(1), &room(), &user("@a:hs"));
        gate.removed(&room(), &user("@a:hs"));
        assert_eq!(gate.get(&room(), &user("@a:hs")).unwrap().stage, Stage::Waiting, "they came back since");
        assert_eq!(gate.counts(), Counts { waiting: 1, removed: 1, refused: 0 });
    }
}
