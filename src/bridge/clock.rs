//! The machine's own hands for `governor`: a clock that shows what the last input said.
//!
//! The rate limiter wants to read a clock; the machine has none. So the machine sets this one from the `now`
//! it was given, and every limiter of the network reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::ids::Time;

const NANOS_PER_MS: u64 = 1_000_000;

/// The moment of the input that is being handled.
#[derive(Clone, Debug, Default)]
pub struct MachineClock(Arc<AtomicU64>);

impl MachineClock {
    /// Moves the hands.
    pub fn set(&self, now: Time) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    fn time(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

impl Clock for MachineClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed).saturating_mul(NANOS_PER_MS))
    }
}

/// A token bucket on the machine's clock; without a limit it always says yes.
#[derive(Debug)]
pub struct Bucket {
    limiter: Option<Limiter>,
    clock: MachineClock,
    /// Tokens of what was let through that are still to be taken.
    owed: u32,
    /// So many bytes cost one token more; 0: length costs nothing.
    token_bytes: usize,
    /// Tokens it holds, and how long each takes to come back.
    burst: u32,
    interval_ms: u64,
    /// When it is as full as it can be, if nothing more is taken.
    full_at: Time,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, MachineClock, NoOpMiddleware<Nanos>>;

impl Bucket {
    /// `burst` (at least 1) at once, then one each `interval_ms`; an interval of 0 is no limit.
    pub fn new(burst: u32, interval_ms: u64, clock: &MachineClock) -> Self {
        let quota = Quota::with_period(std::time::Duration::from_millis(interval_ms));
        let burst = std::num::NonZeroU32::new(burst.max(1)).expect("at least 1");
        let limiter =
            quota.map(|quota| RateLimiter::direct_with_clock(quota.allow_burst(burst), clock.clone()));
        let full_at = Time::default();
        Self {
            limiter,
            clock: clock.clone(),
            owed: 0,
            token_bytes: 0,
            burst: burst.get(),
            interval_ms,
            full_at,
        }
    }

    /// The same, where so many bytes cost one token more; 0: length costs nothing.
    pub fn weighing(self, token_bytes: usize) -> Self {
        Self { token_bytes, ..self }
    }

    /// What a line of so many bytes costs.
    pub fn cost(&self, bytes: usize) -> u32 {
        bytes
            .checked_div(self.token_bytes)
            .map_or(1, |more| u32::try_from(more).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// The moment of the input that is being handled.
    pub fn now(&self) -> Time {
        self.clock.time()
    }

    /// Lets something through that costs so many tokens, at least one, or says when to ask again. It goes with its
    /// first token; whoever comes next waits for the others, so that no cost is too high for a small bucket.
    pub fn take(&mut self, cost: u32) -> Result<(), Time> {
        while self.owed > 0 {
            self.check()?;
            self.owed -= 1;
        }
        self.check()?;
        self.owed = cost.saturating_sub(1);
        Ok(())
    }

    /// Lets something through that nobody may have to wait for: from a full bucket only, and never its last token.
    pub fn take_spare(&mut self) -> bool {
        let is_full = self.owed == 0 && self.full_at <= self.now();
        (self.limiter.is_none() || (is_full && self.burst > 1)) && self.check().is_ok()
    }

    fn check(&mut self) -> Result<(), Time> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check().map_err(|until| {
            let nanos = until.earliest_possible().duration_since(Nanos::new(0)).as_u64();
            Time(nanos.div_ceil(NANOS_PER_MS))
        })?;
        self.full_at = self.full_at.max(self.now()).plus_ms(self.interval_ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_one_each_interval() {
        let clock = MachineClock::default();
        clock.set(Time(1_000_000));
        let mut bucket = Bucket::new(2, 500, &clock);
        assert_eq!(bucket.take(1), Ok(()));
        assert_eq!(bucket.take(1), Ok(()));
        assert_eq!(bucket.take(1), Err(Time(1_000_500)));
        clock.set(Time(1_000_500));
        assert_eq!(bucket.take(1), Ok(()));
        assert_eq!(bucket.take(1), Err(Time(1_001_000)));
    }

    #[test]
    fn what_may_be_left_out_takes_no_token_that_somebody_may_want() {
        let clock = MachineClock::default();
        clock.set(Time(1_000_000));
        let mut bucket = Bucket::new(3, 500, &clock);
        assert!(bucket.take_spare());
        assert!(!bucket.take_spare(), "it is not full");
        assert_eq!((bucket.take(1), bucket.take(1)), (Ok(()), Ok(())), "all but one were left");
        clock.set(Time(1_001_499));
        assert!(!bucket.take_spare());
        clock.set(Time(1_001_500));
        assert!(bucket.take_spare());
        assert!(!Bucket::new(1, 500, &clock).take_spare(), "its one token is for words");
        assert!(Bucket::new(1, 0, &clock).take_spare(), "where nothing is limited nobody waits");
    }

    #[test]
    fn what_costs_more_goes_at_once_and_the_next_one_waits_for_it() {
        let clock = MachineClock::default();
        clock.set(Time(1_000_000));
        let mut bucket = Bucket::new(2, 500, &clock);
        assert_eq!(bucket.take(4), Ok(()));
        assert_eq!(bucket.take(1), Err(Time(1_000_500)));
        clock.set(Time(1_000_500));
        assert_eq!(bucket.take(1), Err(Time(1_001_000)));
        clock.set(Time(1_001_500));
        assert_eq!(bucket.take(1), Ok(()));
    }

    #[test]
    fn long_lines_cost_more_where_the_bucket_weighs() {
        let bucket = Bucket::new(5, 500, &MachineClock::default());
        assert_eq!(bucket.cost(510), 1);
        let bucket = bucket.weighing(240);
        assert_eq!([0, 239, 240, 510].map(|bytes| bucket.cost(bytes)), [1, 1, 2, 3]);
    }

    #[test]
    fn no_interval_is_no_limit() {
        let mut bucket = Bucket::new(1, 0, &MachineClock::default());
        assert!((0..10_000).all(|_| bucket.take(1_000).is_ok()));
    }
}
