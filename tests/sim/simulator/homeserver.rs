//! A model homeserver with the ways of a real one, as they were measured: pure, told the time.
//!
//! To us: events go in transactions of at most 100, one at a time; until one is taken up its events are in memory only
//! and a restart loses them, but not while we are marked down; a slow or lost answer is followed by the same
//! transaction again while the first is worked on; retries wait longer each time; after a restart nothing goes out
//! until something happens. From us: a transaction id is remembered for the room whoever sends, so that two ghosts with
//! one id lose a message; a restart forgets it unless the sender has a device.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bunraku::bridge::effect::Relay;
use bunraku::bridge::input::MatrixEvent;
use bunraku::ids::{RoomId, UserId};

/// Events in one transaction.
const EVENTS_MAX: usize = 100;
/// The longest wait before the same transaction is sent again, in milliseconds; a real one waits up to 512 s.
const RETRY_MS_MAX: u64 = 16_000;

#[derive(Default)]
pub struct Homeserver {
    /// Everything that people did in rooms of ours, in order.
    pub timeline: Vec<MatrixEvent>,
    /// What ghosts and the bot said, in order.
    pub rooms: BTreeMap<RoomId, Vec<Relay>>,
    pub is_away: bool,
    /// It answers with 5xx before this time.
    pub fails_until: u64,
    queue: VecDeque<usize>,
    /// The transaction that is taken up; survives a restart.
    taken_up: Option<Vec<usize>>,
    /// The attempt that is not answered.
    pub attempt: Option<u64>,
    attempts: u64,
    /// Failures in a row; above 0 we are marked down.
    failures: u32,
    /// Restarted, and nothing has happened since.
    sleeps: bool,
    /// Transaction ids of this run, and those of devices.
    heard: BTreeSet<(RoomId, String)>,
    heard_of_devices: BTreeSet<(UserId, RoomId, String)>,
}

/// Whether a sender has a device of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Device {
    Yes,
    No,
}

impl Homeserver {
    /// Something happens in a room; it is to be told to us.
    pub fn happens(&mut self, event: MatrixEvent) -> usize {
        self.timeline.push(event);
        self.queue.push_back(self.timeline.len() - 1);
        self.sleeps = false;
        self.timeline.len() - 1
    }

    /// The next transaction to send us, if there is one and none is under way.
    pub fn next(&mut self) -> Option<(u64, Vec<usize>)> {
        if self.is_away || self.sleeps || self.attempt.is_some() {
            return None;
        }
        if self.taken_up.is_none() && !self.queue.is_empty() {
            let len = self.queue.len().min(EVENTS_MAX);
            self.taken_up = Some(self.queue.drain(..len).collect());
        }
        let events = self.taken_up.clone()?;
        self.attempts += 1;
        self.attempt = Some(self.attempts);
        Some((self.attempts, events))
    }

    /// We took the transaction.
    pub fn taken(&mut self, attempt: u64) {
        if self.attempt == Some(attempt) {
            self.attempt = None;
            self.taken_up = None;
            self.failures = 0;
        }
    }

    /// We did not, or not in time: the wait before the next attempt.
    pub fn not_taken(&mut self, attempt: u64) -> Option<u64> {
        if self.attempt != Some(attempt) {
            return None;
        }
        self.failures += 1;
        Some((1_000 << self.failures.min(6)).min(RETRY_MS_MAX))
    }

    /// The wait is over.
    pub fn may_retry(&mut self, attempt: u64) {
        if self.attempt == Some(attempt) {
            self.attempt = None;
        }
    }

    /// It stops, and forgets what it only remembered.
    pub fn stops(&mut self) {
        self.is_away = true;
        self.attempt = None;
        if self.failures == 0 {
            self.queue.clear();
        }
        self.heard.clear();
    }

    /// It is back; nothing goes out before something happens.
    pub fn is_back(&mut self) {
        self.is_away = false;
        self.sleeps = true;
    }

    /// We did something: it looks at what it has for us.
    pub fn wakes(&mut self) {
        self.sleeps = false;
    }

    /// Somebody of ours says something.
    pub fn says(&mut self, user: &UserId, device: Device, txn: &str, relay: &Relay) {
        self.sleeps = false;
        let key = (relay.room.clone(), txn.to_owned());
        let by_device = (user.clone(), relay.room.clone(), txn.to_owned());
        let is_known =
            !self.heard.insert(key) || (device == Device::Yes && self.heard_of_devices.contains(&by_device));
        if is_known {
            return;
        }
        if device == Device::Yes {
            self.heard_of_devices.insert(by_device);
        }
        self.rooms.entry(relay.room.clone()).or_default().push(relay.clone());
    }

    pub fn is_idle(&self) -> bool {
        self.taken_up.is_none() && self.queue.is_empty()
    }
}
