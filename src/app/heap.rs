//! Gives memory back that a burst needed.
//!
//! A thousand connections that are made at once need, for a moment, far more than what they keep, and the
//! allocator would hold on to the rest for ever. So after the start, and after many connections came or went,
//! the free pages go back to the system: about a third of what puppets would cost otherwise. It is done then,
//! some times in a row because joins and lists of names follow, and not for ever by the clock: it holds up
//! everybody who allocates for a millisecond or two.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::shell::Shell;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Fewer connections than this are no burst.
const BURST_MIN: u64 = 16;
/// After so many looks without a change memory is given back.
const LOOKS: [u32; 5] = [1, 2, 4, 8, 16];

/// Counts connections that came or went.
#[derive(Debug, Default)]
pub struct Churn(AtomicU64);

impl Churn {
    /// A connection came or went.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Gives memory back after the start and after each burst, until cancelled.
pub async fn watch(shell: Arc<Shell>, cancel: CancellationToken) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    let mut bursts = Bursts { seen: 0, settled: 0, quiet: 0, state: State::Owing };
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = every.tick() => {}
        }
        if bursts.look(shell.churn.0.load(Ordering::Relaxed)) {
            give_back();
        }
    }
}

/// When a burst is over.
struct Bursts {
    /// The count at the last look.
    seen: u64,
    /// The count when everything had been given back.
    settled: u64,
    /// Looks since the count changed.
    quiet: u32,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    /// Some of what a burst needed may still be held.
    Owing,
    Even,
}

impl Bursts {
    /// True when memory is to be given back now.
    fn look(&mut self, count: u64) -> bool {
        self.quiet = if count == self.seen { self.quiet.saturating_add(1) } else { 0 };
        self.seen = count;
        if count - self.settled >= BURST_MIN {
            self.state = State::Owing;
        }
        let is_due = self.state == State::Owing && LOOKS.contains(&self.quiet);
        if is_due && LOOKS.last() == Some(&self.quiet) {
            (self.settled, self.state) = (count, State::Even);
        }
        is_due
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back() {
    // SAFETY: takes the allocator's own locks and touches free memory only (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_some_times_after_a_burst_and_then_no_more() {
        let mut bursts = Bursts { seen: 0, settled: 0, quiet: 0, state: State::Even };
        let mut looks = |count: u64, looks: u32| (0..looks).filter(|_| bursts.look(count)).count();
        assert_eq!(looks(BURST_MIN - 1, 100), 0, "a few connections are no burst");
        assert_eq!(looks(900, 1), 0, "it is not over");
        assert_eq!(looks(1_000, 3), 2, "one look and two looks after it");
        assert_eq!(looks(1_003, 100), LOOKS.len(), "somebody else comes, and it begins anew");
        assert_eq!(looks(1_010, 100), 0);
    }
}
