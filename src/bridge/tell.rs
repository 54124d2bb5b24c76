//! What the bridge tells people in a room, bounded.
//!
//! A room hears at most [`BURST`] notices in [`WINDOW_MS`]; what comes on top is counted and told in one sentence
//! when the window ends. Nothing is swallowed unseen, and an outage is no flood. Messages that did not arrive have
//! bounds of their own, in [`gather`].

pub mod gather;

use std::collections::HashMap;

use crate::ids::{RoomId, Time};

/// Notices in one window, at most.
pub const BURST: u32 = 5;
/// The window, in milliseconds.
pub const WINDOW_MS: u64 = 60_000;

/// What each room was told lately.
#[derive(Debug, Default)]
pub struct Tell {
    rooms: HashMap<RoomId, Window>,
}

#[derive(Debug)]
struct Window {
    ends: Time,
    told: u32,
    unsaid: u32,
}

impl Tell {
    /// Whether this notice may be said now; if not, it is counted, and `Err` says when the count is due.
    pub fn may(&mut self, now: Time, room: &RoomId) -> Result<(), Time> {
        let fresh = || Window { ends: now.plus_ms(WINDOW_MS), told: 0, unsaid: 0 };
        let window = self.rooms.entry(room.clone()).or_insert_with(fresh);
        if window.ends <= now && window.unsaid == 0 {
            *window = fresh();
        }
        if window.told < BURST {
            window.told += 1;
            return Ok(());
        }
        window.unsaid = window.unsaid.saturating_add(1);
        Err(window.ends)
    }

    /// The window of a room has ended: how many notices were left unsaid in it.
    pub fn window_ended(&mut self, now: Time, room: &RoomId) -> u32 {
        if self.rooms.get(room).is_none_or(|window| window.ends > now) {
            return 0;
        }
        self.rooms.remove(room).map_or(0, |window| window.unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_told_and_the_rest_is_counted() {
        let room = RoomId::new("!r").unwrap();
        let mut tell = Tell::default();
        for _ in 0..BURST {
            assert_eq!(tell.may(Time(0), &room), Ok(()));
        }
        assert_eq!(tell.may(Time(1), &room), Err(Time(WINDOW_MS)));
        assert_eq!(tell.may(Time(2), &room), Err(Time(WINDOW_MS)));
        assert_eq!(tell.window_ended(Time(WINDOW_MS), &room), 2);
        assert_eq!(tell.may(Time(WINDOW_MS), &room), Ok(()), "a new window");
    }
}
