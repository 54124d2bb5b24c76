//! Model partners of the bridge: a homeserver and an IRC server, in this process, on loopback.
//!
//! Tests and benches share them (a bench names this file with `#[path]`). They answer as the real parts
//! do where it matters to the bridge, take faults on request, and note when each message arrived. They
//! share two cores with the bridge under measurement, so a request or a line costs them microseconds.
//! They never judge: what should have arrived is the caller's business.

#![allow(dead_code, reason = "each test or bench uses its own part of the models")]

pub mod homeserver;
pub mod http;
pub mod ircd;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Wakes those who wait for something to become true; costs one atomic load when nobody waits.
#[derive(Default)]
pub struct Bell {
    changed: Notify,
    waiting: AtomicUsize,
}

impl Bell {
    /// Something changed: everybody who waits looks again.
    pub fn ring(&self) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            self.changed.notify_waiters();
        }
    }

    /// Waits until `ready` says so, at most `within`. False when the time ran out first.
    pub async fn until(&self, within: Duration, mut ready: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + within;
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let _leave = Leave(&self.waiting);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if ready() {
                return true;
            }
            if timeout_at(deadline, changed).await.is_err() {
                return ready();
            }
        }
    }
}

struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Fewer arrived in time than were waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    pub wanted: usize,
    pub have: usize,
}

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} arrived in time", self.have, self.wanted)
    }
}

impl std::error::Error for Short {}
