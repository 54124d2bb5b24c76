//! What is known of our users on the homeserver, so that nothing is asked twice: who is registered, has the
//! bridge's device, is called what, and is in which room.
//!
//! The book is knowledge, not truth: a homeserver that says otherwise is believed, and the entry forgotten.
//! It holds one entry for each ghost that ever spoke and one for each room it is in, and lives in memory; what
//! it learns goes to a [`GhostLog`], and comes back at the next start through [`GhostBook::preload`].

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ids::{RoomId, UserId};

/// One thing known of one of our users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GhostFact {
    Registered {
        user: UserId,
    },
    /// The user has the bridge's device.
    HasDevice {
        user: UserId,
    },
    Named {
        user: UserId,
        display_name: String,
    },
    Joined {
        room: RoomId,
        user: UserId,
    },
    Left {
        room: RoomId,
        user: UserId,
    },
    /// Nothing is known of this user any more, but for the rooms it is in.
    Forgotten {
        user: UserId,
    },
}

/// Where the book's changes go, to be kept over restarts. Must not block.
pub trait GhostLog: Send + Sync {
    fn learned(&self, fact: &GhostFact);
}

/// The book. Shared by all that speak.
pub struct GhostBook {
    users: Mutex<HashMap<UserId, Arc<tokio::sync::Mutex<Known>>>>,
    rooms: Mutex<HashMap<RoomId, HashSet<UserId>>>,
    no_devices: AtomicBool,
    log: Arc<dyn GhostLog>,
}

/// What is known of one user. Its lock is held while the homeserver is asked to make it so, so that two rooms
/// never register one ghost twice.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) registered: bool,
    pub(super) device: bool,
    pub(super) display_name: Option<String>,
}

impl GhostBook {
    pub fn new(log: Arc<dyn GhostLog>) -> Self {
        Self { users: Mutex::default(), rooms: Mutex::default(), no_devices: AtomicBool::new(false), log }
    }

    /// Takes in what was known before the start. Nothing is reported. To be called before the book is in use.
    pub fn preload(&self, facts: impl IntoIterator<Item = GhostFact>) {
        for fact in facts {
            match &fact {
                GhostFact::Joined { .. } | GhostFact::Left { .. } => self.note_room(&fact),
                GhostFact::Registered { user }
                | GhostFact::HasDevice { user }
                | GhostFact::Named { user, .. }
                | GhostFact::Forgotten { user } => {
                    let entry = self.entry(user);
                    let mut known = entry.try_lock().expect("nobody uses the book before it is loaded");
                    known.note(&fact);
                }
            }
        }
    }

    /// One of our users was made to leave a room, as the homeserver tells: it joins again before it speaks there.
    pub fn left(&self, room: &RoomId, user: &UserId) {
        if self.is_joined(room, user) {
            self.learn_room(GhostFact::Left { room: room.clone(), user: user.clone() });
        }
    }

    pub(super) fn entry(&self, user: &UserId) -> Arc<tokio::sync::Mutex<Known>> {
        let mut users = locked(&self.users);
        match users.get(user) {
            Some(known) => Arc::clone(known),
            None => Arc::clone(users.entry(user.clone()).or_default()),
        }
    }

    /// True when this user of ours is known to be in this room.
    pub fn is_joined(&self, room: &RoomId, user: &UserId) -> bool {
        locked(&self.rooms).get(room).is_some_and(|users| users.contains(user))
    }

    /// Notes and reports something about a user whose entry is `known`.
    pub(super) fn learn(&self, known: &mut Known, fact: &GhostFact) {
        known.note(fact);
        self.log.learned(fact);
    }

    /// Notes and reports that a user is in a room, or is no more.
    pub(super) fn learn_room(&self, fact: GhostFact) {
        self.note_room(&fact);
        self.log.learned(&fact);
    }

    fn note_room(&self, fact: &GhostFact) {
        let mut rooms = locked(&self.rooms);
        match fact {
            GhostFact::Joined { room, user } => {
                rooms.entry(room.clone()).or_default().insert(user.clone());
            }
            GhostFact::Left { room, user } => {
                if let Some(users) = rooms.get_mut(room) {
                    users.remove(user);
                    if users.is_empty() {
                        rooms.remove(room);
                    }
                }
            }
            GhostFact::Registered { .. }
            | GhostFact::HasDevice { .. }
            | GhostFact::Named { .. }
            | GhostFact::Forgotten { .. } => debug_assert!(false, "no fact about a room"),
        }
    }

    /// False once the homeserver has refused us a device; it is asked again at the next start.
    pub(super) fn devices_exist(&self) -> bool {
        !self.no_devices.load(Ordering::Relaxed)
    }

    /// Returns true for the first to find out.
    pub(super) fn devices_refused(&self) -> bool {
        !self.no_devices.swap(true, Ordering::Relaxed)
    }
}

impl Known {
    fn note(&mut self, fact: &GhostFact) {
        match fact {
            GhostFact::Registered { .. } => self.registered = true,
            GhostFact::HasDevice { .. } => self.device = true,
            GhostFact::Named { display_name, .. } => self.display_name = Some(display_name.clone()),
            GhostFact::Forgotten { .. } => *self = Self::default(),
            GhostFact::Joined { .. } | GhostFact::Left { .. } => {
                debug_assert!(false, "no fact about a user alone")
            }
        }
    }
}

/// A panic elsewhere leaves maps whole: each change is one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
