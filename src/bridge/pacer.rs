//! Who may dial next, over all puppets of a network: two queues, one pace, a bound on what is under way.
//!
//! ```text
//!   ask(eager) ─▶ eager ─┐ 4 : 1   rate (burst, interval)   places (at_once)
//!   ask(calm)  ─▶ calm  ─┴───────▶ slowed after a throttle ─▶ dial ─▶ registered, or over: place free
//! ```
//!
//! Never faster than configured. A server that throttles, or is full, halves the pace of the whole network and
//! lets it rest; then the pace grows back step by step. The queues are bounded by the number of puppets: each
//! is in one of them at most once.

use std::collections::{HashMap, HashSet, VecDeque};

use super::ending::Comeback;
use super::policy::ConnectPace;
use crate::ids::{PuppetId, Time};

/// After so many eager puppets in a row a calm one has its turn.
const EAGER_IN_A_ROW_MAX: u32 = 4;
/// The first retry comes within so many milliseconds, where the ending allows it.
const SOON_MS: u64 = 1_000;

/// Whether a puppet has something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Messages wait for the connection.
    Eager,
    Calm,
}

/// The puppets that wait to dial, and those that are at it.
#[derive(Debug)]
pub struct Pacer {
    eager: VecDeque<PuppetId>,
    calm: VecDeque<PuppetId>,
    queued: HashMap<PuppetId, Haste>,
    eager_in_a_row: u32,
    under_way: HashSet<PuppetId>,
    at_once: usize,
    rate: Rate,
}

impl Pacer {
    pub fn new(pace: &ConnectPace) -> Self {
        Self {
            eager: VecDeque::new(),
            calm: VecDeque::new(),
            queued: HashMap::new(),
            eager_in_a_row: 0,
            under_way: HashSet::new(),
            at_once: pace.at_once.max(1),
            rate: Rate::new(pace.burst, pace.interval_ms),
        }
    }

    /// Goes on at another pace. A network that is slowed by a wall stays so.
    pub fn set_pace(&mut self, pace: &ConnectPace) {
        self.at_once = pace.at_once.max(1);
        self.rate.burst = u64::from(pace.burst.max(1));
        self.rate.interval_ms = pace.interval_ms;
    }

    /// Gets in line, once; who has become eager meanwhile goes to that line's end.
    pub fn ask(&mut self, puppet: PuppetId, haste: Haste) {
        match (self.queued.get(&puppet), haste) {
            (Some(Haste::Eager), _) | (Some(Haste::Calm), Haste::Calm) => return,
            (Some(Haste::Calm), Haste::Eager) => self.calm.retain(|other| *other != puppet),
            (None, _) => {}
        }
        self.queued.insert(puppet, haste);
        match haste {
            Haste::Eager => self.eager.push_back(puppet),
            Haste::Calm => self.calm.push_back(puppet),
        }
    }

    /// Whose turn comes next.
    pub fn next(&self) -> Option<PuppetId> {
        let calm_first = self.eager_in_a_row >= EAGER_IN_A_ROW_MAX;
        let (first, second) = if calm_first { (&self.calm, &self.eager) } else { (&self.eager, &self.calm) };
        first.front().or(second.front()).copied()
    }

    /// Takes a puppet out of line: it does not want to dial any more.
    pub fn forget(&mut self, puppet: PuppetId) {
        if self.queued.remove(&puppet).is_some() {
            self.eager.retain(|other| *other != puppet);
            self.calm.retain(|other| *other != puppet);
        }
    }

    /// Lets the next one go, or says when it may: `Err(None)` when nobody waits, or all places are taken and
    /// the next [`Self::done`] will tell.
    pub fn turn(&mut self, now: Time) -> Result<PuppetId, Option<Time>> {
        let Some(puppet) = self.next().filter(|_| self.under_way.len() < self.at_once) else {
            return Err(None);
        };
        self.rate.take(now).map_err(Some)?;
        match self.queued.remove(&puppet) {
            Some(Haste::Eager) => {
                self.eager.pop_front();
                self.eager_in_a_row += 1;
            }
            Some(Haste::Calm) | None => {
                self.calm.pop_front();
                self.eager_in_a_row = 0;
            }
        }
        self.under_way.insert(puppet);
        Ok(puppet)
    }

    /// A dial came to its end: registered, or over. `true` when a place became free by it.
    pub fn done(&mut self, puppet: PuppetId) -> bool {
        self.under_way.remove(&puppet)
    }

    /// Those that wait with something to say, in order.
    pub fn eager(&self) -> impl Iterator<Item = PuppetId> {
        self.eager.iter().copied()
    }

    /// The server does not take connections as fast as this: so ended one that was dialed at `dialed`.
    pub fn throttled(&mut self, now: Time, dialed: Time) {
        self.rate.halve(now, dialed);
    }
}

/// The pace at its full, in parts.
const SPEED_FULL: u64 = 64;
/// The slowest, in parts of the full pace.
const SPEED_MIN: u64 = 2;
/// How much faster it becomes with each step, and how long a step lasts.
const SPEED_STEP: u64 = 4;
const STEP_MS: u64 = 30_000;
/// How long the network rests after the first wall; doubles with each further one.
const REST_MS: u64 = 10_000;
/// The pace of a network without a limit, while it is slowed.
const UNPACED_MS: u64 = 500;

/// How fast dials follow each other: a burst, then one each interval (GCRA). Slowed, there is no burst and the
/// interval is longer.
#[derive(Debug)]
struct Rate {
    burst: u64,
    interval_ms: u64,
    /// When the last one granted would have been due at an even pace.
    due: Time,
    rests_until: Time,
    speed: u64,
    /// When it was halved last: connections dialed before ran into the same wall.
    halved: Option<Time>,
    /// Since when the speed is as it is.
    since: Time,
}

impl Rate {
    fn new(burst: u32, interval_ms: u64) -> Self {
        Self {
            burst: u64::from(burst.max(1)),
            interval_ms,
            due: Time::default(),
            rests_until: Time::default(),
            speed: SPEED_FULL,
            halved: None,
            since: Time::default(),
        }
    }

    fn take(&mut self, now: Time) -> Result<(), Time> {
        self.recover(now);
        if self.rests_until > now {
            return Err(self.rests_until);
        }
        let (burst, interval_ms) = match (self.speed, self.interval_ms) {
            (SPEED_FULL, interval_ms) => (self.burst, interval_ms),
            (speed, 0) => (1, UNPACED_MS * SPEED_FULL / speed),
            (speed, interval_ms) => (1, interval_ms.saturating_mul(SPEED_FULL) / speed),
        };
        let due = self.due.max(now);
        let ahead_ms_max = (burst - 1).saturating_mul(interval_ms);
        if due.since_ms(now) > ahead_ms_max {
            return Err(Time(due.0 - ahead_ms_max));
        }
        self.due = due.plus_ms(interval_ms);
        Ok(())
    }

    /// Half as fast from now on, after a rest; once for each wall.
    fn halve(&mut self, now: Time, dialed: Time) {
        if self.halved.is_some_and(|halved| dialed <= halved) {
            return;
        }
        self.recover(now);
        self.speed = (self.speed / 2).max(SPEED_MIN);
        self.rests_until = now.plus_ms(REST_MS.saturating_mul(SPEED_FULL / 2) / self.speed);
        self.halved = Some(now);
        self.since = self.rests_until;
    }

    /// Grows back, step by step.
    fn recover(&mut self, now: Time) {
        let steps = now.since_ms(self.since) / STEP_MS;
        if self.speed < SPEED_FULL && steps > 0 {
            self.speed = self.speed.saturating_add(steps.saturating_mul(SPEED_STEP)).min(SPEED_FULL);
            self.since = self.since.plus_ms(steps.saturating_mul(STEP_MS));
        }
    }
}

/// Lets one thing happen each so many milliseconds, those that come early in the order of their coming.
#[derive(Debug)]
pub struct Spacing {
    every_ms: u64,
    next: Time,
}

impl Spacing {
    pub fn new(every_ms: u64) -> Self {
        Self { every_ms, next: Time::default() }
    }

    /// When the next one is free.
    pub fn next(&self) -> Time {
        self.next
    }

    /// Takes the next free moment, which may be now.
    pub fn take(&mut self, now: Time) -> Time {
        let at = self.next.max(now);
        self.next = at.plus_ms(self.every_ms);
        at
    }

    /// None before `at`.
    pub fn not_before(&mut self, at: Time) {
        self.next = self.next.max(at);
    }
}

/// How long to wait before a connection is tried again, after so many failures in a row; `None` for ever. Spread
/// by `dice` (0 to 1) over the whole wait, so that puppets cut together do not come back together.
pub fn wait_ms(comeback: Comeback, failures: u32, pace: &ConnectPace, dice: f64) -> Option<u64> {
    let spread = |ms: u64| (ms as f64 * dice) as u64;
    let backoff = |nth| doubled(pace.retry_ms_min, nth, pace.retry_ms_max);
    match comeback {
        Comeback::AtOnce => Some(0),
        Comeback::Soon if failures <= 1 => Some(spread(SOON_MS)),
        Comeback::Soon => Some(spread(backoff(failures - 1))),
        Comeback::Backoff => Some(spread(backoff(failures))),
        Comeback::Long => {
            let base = doubled(pace.long_ms, failures, pace.retry_ms_max);
            Some(base.saturating_add(spread(base)))
        }
        Comeback::Never => None,
    }
}

/// `min`, doubled with each failure after the first, up to `max`.
fn doubled(min: u64, failures: u32, max: u64) -> u64 {
    min.saturating_mul(1 << failures.saturating_sub(1).min(20)).clamp(min, max.max(min))
}

/// A small seeded generator (splitmix64): the machine's only chance, given at its birth.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number from 0 up to, not including, 1.
    pub fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(burst: u32, interval_ms: u64) -> ConnectPace {
        ConnectPace { burst, interval_ms, at_once: 1_000, ..ConnectPace::default() }
    }

    #[test]
    fn puppets_go_in_order_at_the_pace() {
        let mut pacer = Pacer::new(&pace(1, 1000));
        for id in [3, 1, 3, 2] {
            pacer.ask(PuppetId(id), Haste::Calm);
        }
        assert_eq!(pacer.turn(Time(10_000)), Ok(PuppetId(3)));
        assert_eq!(pacer.turn(Time(10_000)), Err(Some(Time(11_000))));
        assert_eq!(pacer.turn(Time(11_000)), Ok(PuppetId(1)));
        assert_eq!(pacer.turn(Time(12_000)), Ok(PuppetId(2)));
        assert_eq!(pacer.turn(Time(13_000)), Err(None));
    }

    #[test]
    fn who_has_something_to_say_goes_first_and_the_others_go_too() {
        let mut pacer = Pacer::new(&pace(100, 1));
        (0..3).for_each(|id| pacer.ask(PuppetId(id), Haste::Calm));
        (10..20).for_each(|id| pacer.ask(PuppetId(id), Haste::Eager));
        pacer.ask(PuppetId(2), Haste::Eager);
        pacer.ask(PuppetId(2), Haste::Calm);
        let order: Vec<u32> = std::iter::from_fn(|| pacer.turn(Time(0)).ok()).map(|id| id.0).collect();
        assert_eq!(order, [10, 11, 12, 13, 0, 14, 15, 16, 17, 1, 18, 19, 2]);
    }

    #[test]
    fn so_many_are_under_way_and_no_more() {
        let mut pacer = Pacer::new(&ConnectPace { at_once: 2, ..pace(100, 1) });
        (0..4).for_each(|id| pacer.ask(PuppetId(id), Haste::Calm));
        assert_eq!(pacer.turn(Time(0)), Ok(PuppetId(0)));
        assert_eq!(pacer.turn(Time(0)), Ok(PuppetId(1)));
        assert_eq!(pacer.turn(Time(0)), Err(None));
        assert!(pacer.done(PuppetId(0)) && !pacer.done(PuppetId(0)));
        pacer.forget(PuppetId(2));
        assert_eq!(pacer.turn(Time(0)), Ok(PuppetId(3)));
    }

    /// Takes all that may be taken up to `until`; returns when.
    fn taken(rate: &mut Rate, from: u64, until: u64) -> Vec<u64> {
        let (mut now, mut at) = (from, Vec::new());
        while now <= until {
            match rate.take(Time(now)) {
                Ok(()) => at.push(now),
                Err(next) => now = next.0,
            }
        }
        at
    }

    #[test]
    fn a_burst_then_one_each_interval() {
        let mut rate = Rate::new(3, 100);
        assert_eq!(taken(&mut rate, 1_000, 1_200), [1_000, 1_000, 1_000, 1_100, 1_200]);
        assert_eq!(taken(&mut rate, 2_000, 2_099), [2_000, 2_000, 2_000], "after a pause it is full again");
        let mut unlimited = Rate::new(1, 0);
        assert!((0..10_000).all(|_| unlimited.take(Time(0)).is_ok()));
    }

    #[test]
    fn a_wall_halves_the_pace_after_a_rest_and_it_grows_back() {
        let mut rate = Rate::new(5, 1_000);
        taken(&mut rate, 0, 0);
        (0..20).for_each(|n| rate.halve(Time(n), Time(0)));
        let slow = taken(&mut rate, 100, 20_000);
        assert_eq!(slow, [10_000, 12_000, 14_000, 16_000, 18_000, 20_000], "one wall, however many hit it");
        rate.halve(Time(25_000), Time(20_000));
        let slower = taken(&mut rate, 25_000, 53_000);
        assert_eq!(slower, [45_000, 49_000, 53_000], "the next wall: a longer rest, a quarter of the pace");
        let back = taken(&mut rate, 53_001, 1_000_000);
        assert_eq!(back[back.len() - 1] - back[back.len() - 2], 1_000);
    }

    #[test]
    fn no_limit_is_a_limit_while_the_server_throttles() {
        let mut rate = Rate::new(1, 0);
        rate.halve(Time(0), Time(0));
        assert_eq!(taken(&mut rate, 0, 12_000), [10_000, 11_000, 12_000]);
    }

    #[test]
    fn waits_double_up_to_their_bound_and_spread_from_nothing() {
        let pace = ConnectPace { retry_ms_min: 1000, retry_ms_max: 60_000, long_ms: 30_000, ..pace(1, 1) };
        let wait = |comeback, failures, dice| wait_ms(comeback, failures, &pace, dice);
        assert_eq!(wait(Comeback::AtOnce, 9, 0.9), Some(0));
        assert_eq!(wait(Comeback::Soon, 1, 0.5), Some(500));
        assert_eq!(wait(Comeback::Soon, 2, 0.5), Some(500));
        assert_eq!(wait(Comeback::Soon, 4, 1.0), Some(4_000));
        assert_eq!(wait(Comeback::Backoff, 4, 1.0), Some(8_000));
        assert_eq!(wait(Comeback::Backoff, 4, 0.0), Some(0));
        assert_eq!(wait(Comeback::Backoff, 500, 1.0), Some(60_000));
        assert_eq!(wait(Comeback::Long, 1, 0.0), Some(30_000));
        assert_eq!(wait(Comeback::Long, 9, 1.0), Some(120_000));
        assert_eq!(wait(Comeback::Never, 1, 0.5), None);
    }

    #[test]
    fn moments_are_given_in_order() {
        let mut spacing = Spacing::new(100);
        assert_eq!(
            [spacing.take(Time(5)), spacing.take(Time(6)), spacing.take(Time(300))].map(|t| t.0),
            [5, 105, 300]
        );
        spacing.not_before(Time(900));
        assert_eq!((spacing.next(), spacing.take(Time(301))), (Time(900), Time(900)));
    }
}
