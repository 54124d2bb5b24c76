//! The one clock: the wall's time at the start, carried on by the monotonic clock, so that it never runs
//! backwards and a correction of the wall clock moves no timer.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::ids::Time;

/// Tells the machine what time it is. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall_ms: u64,
    since: Instant,
}

impl Clock {
    /// A clock that shows the wall's time now.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX), since: Instant::now() }
    }

    pub fn now(&self) -> Time {
        Time(self.wall_ms).plus_ms(u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// When the monotonic clock will show this time; a millisecond late rather than early, because the
    /// machine counts in whole ones.
    pub fn instant(&self, time: Time) -> Instant {
        self.since + Duration::from_millis(time.since_ms(Time(self.wall_ms)).min(YEAR_MS) + 1)
    }
}

/// Longer waits than this are waits for nothing.
const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;
