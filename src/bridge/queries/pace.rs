//! How many private chats may begin in a minute, and who was told that there were too many.

use std::collections::HashMap;

use crate::ids::{PuppetId, Time};

/// Rooms that people on IRC make the bridge make in a minute, over all puppets.
pub const ALL_MAX: u32 = 60;
/// How long a count lasts.
pub const WINDOW_MS: u64 = 60_000;

/// Beginnings of the last minute.
#[derive(Debug, Default)]
pub struct Pace {
    all: Window,
    of: HashMap<PuppetId, Window>,
}

#[derive(Debug, Default)]
struct Window {
    since: Time,
    count: u32,
    /// What there was no room for, in lines, until it is told.
    over: u32,
}

impl Window {
    fn turn(&mut self, now: Time) {
        if now.since_ms(self.since) >= WINDOW_MS {
            (self.since, self.count) = (now, 0);
        }
    }
}

impl Pace {
    /// Whether one more chat with this puppet may begin; then it counts. `Err`: when the minute is over.
    pub fn take(&mut self, now: Time, id: PuppetId, max: u32, all_max: u32) -> Result<(), Time> {
        self.all.turn(now);
        let own = self.of.entry(id).or_default();
        own.turn(now);
        if own.count >= max || self.all.count >= all_max {
            own.over = own.over.saturating_add(1);
            return Err(own.since.max(self.all.since).plus_ms(WINDOW_MS));
        }
        own.count += 1;
        self.all.count += 1;
        Ok(())
    }

    /// How many lines were left out until a minute that is over; 0 while it is not.
    pub fn left_out(&mut self, now: Time, id: PuppetId) -> u32 {
        let Some(own) = self.of.get(&id) else { return 0 };
        if now.since_ms(own.since) < WINDOW_MS {
            return 0;
        }
        self.of.remove(&id).map_or(0, |own| own.over)
    }

    /// When something may be told.
    pub fn ends(&self, id: PuppetId) -> Option<Time> {
        self.of.get(&id).filter(|own| own.over > 0).map(|own| own.since.plus_ms(WINDOW_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_strangers_make_five_rooms_and_one_count() {
        let mut pace = Pace::default();
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
        let mut pace = Pace::default();
        let begun = (0..1_000u32).filter(|id| pace.take(Time(1), PuppetId(*id), 5, ALL_MAX).is_ok());
        assert_eq!(begun.count(), ALL_MAX as usize);
        assert!(pace.take(Time(1 + WINDOW_MS), PuppetId(1), 5, ALL_MAX).is_ok());
    }

    #[test]
    fn a_minute_passes_also_where_nobody_asks_what_was_left_out() {
        let mut pace = Pace::default();
        let mut begun =
            |at: u64| (0..9).filter(|_| pace.take(Time(at), PuppetId(1), 2, ALL_MAX).is_ok()).count();
        assert_eq!([begun(0), begun(WINDOW_MS - 1), begun(WINDOW_MS), begun(WINDOW_MS + 1)], [2, 0, 2, 0]);
        assert_eq!(pace.left_out(Time(2 * WINDOW_MS), PuppetId(1)), 7 + 9 + 7 + 9);
    }
}
