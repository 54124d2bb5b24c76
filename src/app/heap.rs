//! Gives memory back that a burst needed.
//!
//! A thousand connections that are made at once need, for a moment, far more than what they keep, and the
//! allocator would hold on to the rest for ever. So a second after the last of many connections came or went,
//! the free pages go back to the system: about a third of what puppets would cost otherwise. It is done then
//! and not by the clock, because it holds up everybody who allocates for a millisecond or two.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::shell::Shell;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Fewer connections than this are no burst.
const BURST_MIN: u64 = 16;

/// Counts connections that came or went.
#[derive(Debug, Default)]
pub struct Churn(AtomicU64);

impl Churn {
    /// A connection came or went.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Gives memory back after each burst, until cancelled.
pub async fn watch(shell: Arc<Shell>, cancel: CancellationToken) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    let (mut seen, mut done) = (0, 0);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = every.tick() => {}
        }
        let count = shell.churn.0.load(Ordering::Relaxed);
        if count == seen && count - done >= BURST_MIN {
            done = count;
            give_back();
        }
        seen = count;
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
