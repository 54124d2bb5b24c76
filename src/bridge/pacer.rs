//! Who may dial next: one queue over all puppets of a network, paced by a token bucket.
//!
//! Bounded by the number of puppets: each is in it at most once.

use std::collections::{HashSet, VecDeque};

use super::clock::Bucket;
use crate::ids::{PuppetId, Time};

/// The puppets that wait to dial, in the order of asking.
#[derive(Debug)]
pub struct Pacer {
    queue: VecDeque<PuppetId>,
    queued: HashSet<PuppetId>,
    bucket: Bucket,
}

impl Pacer {
    pub fn new(bucket: Bucket) -> Self {
        Self { queue: VecDeque::new(), queued: HashSet::new(), bucket }
    }

    /// Gets in line; once.
    pub fn ask(&mut self, puppet: PuppetId) {
        if self.queued.insert(puppet) {
            self.queue.push_back(puppet);
        }
    }

    /// Lets the next one go, or says when it may (`Err(None)`: nobody waits).
    pub fn turn(&mut self) -> Result<PuppetId, Option<Time>> {
        let Some(&puppet) = self.queue.front() else { return Err(None) };
        self.bucket.take().map_err(Some)?;
        self.queue.pop_front();
        self.queued.remove(&puppet);
        Ok(puppet)
    }
}

/// How long to wait after so many failures in a row: doubling from `min` to `max`, spread by `dice` (0 to 1)
/// over the upper half, so that puppets cut together do not come back together.
pub fn retry_ms(failures: u32, min: u64, max: u64, dice: f64) -> u64 {
    let full = min.saturating_mul(1 << failures.saturating_sub(1).min(20)).clamp(min, max.max(min));
    full / 2 + ((full - full / 2) as f64 * dice) as u64
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
    use crate::bridge::clock::MachineClock;

    #[test]
    fn puppets_go_in_order_at_the_pace_of_the_bucket() {
        let clock = MachineClock::default();
        clock.set(Time(10_000));
        let mut pacer = Pacer::new(Bucket::new(1, 1000, &clock));
        for id in [3, 1, 3, 2] {
            pacer.ask(PuppetId(id));
        }
        assert_eq!(pacer.turn(), Ok(PuppetId(3)));
        assert_eq!(pacer.turn(), Err(Some(Time(11_000))));
        clock.set(Time(11_000));
        assert_eq!(pacer.turn(), Ok(PuppetId(1)));
        clock.set(Time(12_000));
        assert_eq!(pacer.turn(), Ok(PuppetId(2)));
        assert_eq!(pacer.turn(), Err(None));
    }

    #[test]
    fn waits_double_up_to_their_bound_and_spread() {
        assert_eq!(retry_ms(1, 1000, 60_000, 0.0), 500);
        assert_eq!(retry_ms(3, 1000, 60_000, 0.0), 2000);
        assert_eq!(retry_ms(3, 1000, 60_000, 1.0), 4000);
        assert_eq!(retry_ms(500, 1000, 60_000, 1.0), 60_000);
    }
}
