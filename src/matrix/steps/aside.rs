//! What waits while somebody is to be removed from a room who must not read on there: what shows people something of the channel.
//!
//! One topic, or one who returns, is set aside until that is over; the last one counts. What there may be thousands of is not
//! taken, and found again by comparing.

use std::collections::VecDeque;

use super::{Queue, Slot, Wanted};
use crate::bridge::effect::RoomStep;
use crate::ids::RoomId;

/// Steps that are set aside, at most, so that rooms where all is well keep their places. One more is not taken.
pub const ASIDE_MAX: usize = 2_048;

/// What becomes of a step in a room where somebody may read who must not.
pub(super) enum KeptBack {
    /// It shows nothing of the channel.
    No,
    Aside,
    NotTaken,
}

pub(super) fn kept_back(step: &RoomStep) -> KeptBack {
    match step {
        RoomStep::Topic(_) | RoomStep::GhostReturns(_) => KeptBack::Aside,
        RoomStep::GhostJoins(_) | RoomStep::GhostLeaves { .. } => KeptBack::NotTaken,
        RoomStep::Power(_)
        | RoomStep::Door(_)
        | RoomStep::Plate(_)
        | RoomStep::JoinRule(_)
        | RoomStep::GhostPardoned(_)
        | RoomStep::Place(_) => KeptBack::No,
    }
}

impl Queue {
    /// Gives back what finds no place. A later step for the key takes the place of this one, as ever.
    pub(super) fn set_aside(&mut self, slot: Slot, wanted: Wanted) -> Option<(Slot, Wanted)> {
        if self.steps.contains_key(&slot) {
            return None;
        }
        if self.aside.values().map(VecDeque::len).sum::<usize>() >= ASIDE_MAX {
            return Some((slot, wanted));
        }
        self.aside.entry(slot.0.clone()).or_default().push_back(slot.1.clone());
        self.steps.insert(slot, wanted);
        None
    }

    /// What was set aside in rooms that show again what goes on has its turn, in order.
    pub(super) fn go_on(&mut self, withholds: impl Fn(&RoomId) -> bool) {
        for (room, keys) in self.aside.extract_if(.., |room, _| !withholds(room)) {
            self.order.extend(keys.into_iter().map(|key| (room.clone(), key)));
        }
    }
}
