//! Random moments from a seed that is printed, so that a run that failed can be run again.
//!
//! The seed repeats what the test chose: moments, victims, schedules. It doesn't repeat what the machine did between
//! them, so a rare fault may need several runs with the same seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Numbers from a seed: splitmix64, the same everywhere.
pub struct Random {
    state: u64,
    /// What to say when the test that holds this fails.
    repeat: String,
}

impl Random {
    /// From `BUNRAKU_SEED`, else a new one; `name` is what `scripts/faults` calls the fault.
    pub fn of(name: &str) -> Random {
        let fresh =
            || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64 % 1_000_000);
        let seed = match std::env::var("BUNRAKU_SEED") {
            Ok(text) => text.parse().expect("BUNRAKU_SEED is a number"),
            Err(_) => fresh(),
        };
        let long = if super::figures::is_long() { "--long " } else { "" };
        let repeat = format!("seed {seed}; to repeat: BUNRAKU_SEED={seed} scripts/faults {long}{name}");
        eprintln!("{name}: {repeat}");
        Random { state: seed, repeat }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// In so many of a hundred cases.
    pub fn percent(&mut self, of_hundred: u64) -> bool {
        self.next() % 100 < of_hundred
    }

    /// Between these, in milliseconds.
    pub fn between_ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.next() % (to - from).max(1))
    }

    /// Puts them in any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}", self.repeat);
        }
    }
}
