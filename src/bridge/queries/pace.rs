//! How many private chats may begin in a while, and who was told that there were too many. Counted for each puppet, or for
//! whatever else can be told apart.

use std::collections::HashMap;
use std::hash::Hash;

use crate::ids::{PuppetId, Time};

/// Rooms that people on IRC make the bridge make in a minute, over all puppets.
pub const ALL_MAX: u32 = 60;
/// How long a count lasts, where nothing else is said.
pub const WINDOW_MS: u64 = 60_000;
/// Counts that are kept; with more of them, those that are over are forgotten first.
const COUNTS_MAX: usize = 4_096;

/// Beginnings of the last minute, or of another while.
#[derive(Debug)]
pub struct Pace<K = PuppetId> {
    window_ms: u64,
    all: Window,
    of: HashMap<K, Window>,
}

impl<K> Default for Pace<K> {
    fn default() -> Self {
        Self::every(WINDOW_MS)
    }
}

impl<K> Pace<K> {
    /// Counts that last so long.
    pub fn every(window_ms: u64) -> Self {
        Self { window_ms, all: Window::default(), of: HashMap::new() }
    }
}

#[derive(Debug, Default)]
struct Window {
    since: Time,
    count: u32,
    /// What there was no room for, in lines, until it is told.
    over: u32,
}

impl Window {
    fn turn(&mut self, now: Time, window_ms: u64) {
        if now.since_ms(self.since) >= window_ms {
            (self.since, self.count) = (now, 0);
        }
    }
}

impl<K: Eq + Hash> Pace<K> {
    /// Whether one more chat with this puppet may begin; then it counts. `Err`: when the minute is over.
    pub fn take(&mut self, now: Time, id: K, max: u32, all_max: u32) -> Result<(), Time> {
        let window_ms = self.window_ms;
        if self.of.len() >= COUNTS_MAX {
            self.of.retain(|_, own| own.over > 0 || now.since_ms(own.since) < window_ms);
        }
        self.all.turn(now, window_ms);
        let own = self.of.entry(id).or_default();
        own.turn(now, window_ms);
        if own.count >= max || self.all.count >= all_max {
            own.over = own.over.saturating_add(1);
            return Err(own.since.max(self.all.since).plus_ms(window_ms));
        }
        own.count += 1;
        self.all.count += 1;
        Ok(())
    }

    /// How many lines were left out until a minute that is over; 0 while it is not.
    pub fn left_out(&mut self, now: Time, id: K) -> u32 {
        let Some(own) = self.of.get(&id) else { return 0 };
        if now.since_ms(own.since) < self.window_ms {
            return 0;
        }
        self.of.remove(&id).map_or(0, |own| own.over)
    }

    /// When something may be told.
    pub fn ends(&self, id: K) -> Option<Time> {
        self.of.get(&id).filter(|own| own.over > 0).map(|own| own.since.plus_ms(self.window_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_strangers_make_five_rooms_and_one_count() {
        let mut pace: Pace = Pace::default();
        let begun = (0..1_000u64).filter(|ms| pace.take(Time(*ms), PuppetId(1), 5, ALL_MAX).is_ok());
        assert_eq!(begun.count(), 5);
        assert_eq!(pace.left_out(Time(WINDOW_MS - 1), PuppetId(1)), 0);
        assert_eq!(pace.ends(PuppetId(1)), Some(Time(WINDOW_MS)));
        assert_eq!(pace.left_out(Time(WINDOW_MS), PuppetId(1)), 995);
        assert_eq!((pace.left_out(Time(WINDOW_MS), PuppetId(1)), pace.ends(PuppetId(1))), (0, None));
        assert!(pace.take(Time(WINDOW_MS), PuppetId(1), 5, ALL_MAX).is_ok());
    }

    #[test]
    fn all_puppets_together_have_a_bound_too() {
        let mut pace: Pace = Pace::default();
        let begun = (0..1_000u32).filter(|id| pace.take(Time(1), PuppetId(*id), 5, ALL_MAX).is_ok());
        assert_eq!(begun.count(), ALL_MAX as usize);
        assert!(pace.take(Time(1 + WINDOW_MS), PuppetId(1), 5, ALL_MAX).is_ok());
    }

    #[test]
    fn a_minute_passes_also_where_nobody_asks_what_was_left_out() {
        let mut pace: Pace = Pace::default();
        let mut begun =
            |at: u64| (0..9).filter(|_| pace.take(Time(at), PuppetId(1), 2, ALL_MAX).is_ok()).count();
        assert_eq!([begun(0), begun(WINDOW_MS - 1), begun(WINDOW_MS), begun(WINDOW_MS + 1)], [2, 0, 2, 0]);
        assert_eq!(pace.left_out(Time(2 * WINDOW_MS), PuppetId(1)), 7 + 9 + 7 + 9);
    }

    #[test]
    fn names_that_strangers_make_up_are_not_kept_for_good() {
        let mut pace: Pace<String> = Pace::every(3_600_000);
        for n in 0..3 * COUNTS_MAX as u64 {
            assert!(pace.take(Time(n * 1_000), format!("h{n}.example"), 1, u32::MAX).is_ok());
        }
        assert!(pace.of.len() <= COUNTS_MAX);
        let last = format!("h{}.example", 3 * COUNTS_MAX - 1);
        assert!(
            pace.take(Time(3 * COUNTS_MAX as u64 * 1_000), last, 1, u32::MAX).is_err(),
            "this hour counts"
        );
    }
}
