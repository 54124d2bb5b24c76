//! Many who quit in a moment: a netsplit that does not say so, or a server that goes down. Most of them will be back.

use std::collections::VecDeque;

use crate::ids::Time;

/// So many within [`STORM_MS`] are a storm.
pub const STORM_MIN: usize = 20;
pub const STORM_MS: u64 = 10_000;

/// The last who quit.
#[derive(Debug, Default)]
pub(super) struct Storm {
    /// When the last [`STORM_MIN`] quit, the oldest first.
    quits: VecDeque<Time>,
}

impl Storm {
    /// One more quits. True when a storm begins with that.
    pub(super) fn quit(&mut self, now: Time) -> bool {
        let raged = self.rages(now);
        self.quits.push_back(now);
        if self.quits.len() > STORM_MIN {
            self.quits.pop_front();
        }
        !raged && self.rages(now)
    }

    /// True when there is a storm.
    pub(super) fn rages(&self, now: Time) -> bool {
        self.quits.len() >= STORM_MIN && self.quits.front().is_some_and(|first| is_of_now(*first, now))
    }
}

/// True for what was a moment ago.
pub(super) fn is_of_now(then: Time, now: Time) -> bool {
    now.since_ms(then) <= STORM_MS
}
